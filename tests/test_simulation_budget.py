"""The cap on a simulated day's tokens: it stops a run cleanly and changes no life."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from denizens.core import BudgetExceeded, Delta, Done, ModelAsk, SettingError
from denizens.models import ImprovisedModel, InstantClient
from denizens.simulation import (
    Run,
    Scenario,
    Simulation,
    begin,
    build_simulation,
    check_run,
    fork,
    read_scenario,
    replay,
    resume,
)
from denizens.store import Store

STEPS = 60
HIGH = 100_000


class Watched(ImprovisedModel):
    """Counts what it is asked, and keeps how many asks were open at once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = self.open = self.most = 0

    def client(self) -> InstantClient:
        """A mailbox that tells of its asks."""
        return WatchedClient(self)


class WatchedClient(InstantClient):
    """The client of a watched model."""

    def __init__(self, model: Watched) -> None:
        super().__init__(model._answer)
        self.model = model

    def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> int:
        """Queue an ask."""
        self.model.asked += 1
        self.model.open += 1
        self.model.most = max(self.model.most, self.model.open)
        return super().submit(ask, owner, priority)

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        """Answer all."""
        self.model.open = 0
        return super().wait(timeout)


def capped(cap: int, name: str = "crossroads") -> Scenario:
    """A scenario with a cap on a day's tokens; here the words that are written."""
    return read_scenario(name).with_overrides(max_tokens_per_day=cap)


def lived(simulation: Simulation, steps: int = STEPS) -> Simulation:
    """Live on to ``steps`` steps or the cap; the file must be sound then."""
    with simulation.store as store:
        list(simulation.run(steps=steps - simulation.step))
        assert check_run(store) == ()
    return simulation


@pytest.fixture(scope="module")
def whole() -> list[str]:
    """The hash of a run without a cap, before and after each step."""
    with Store(":memory:") as store:
        simulation = build_simulation(
            read_scenario("crossroads"), store=store, model=ImprovisedModel()
        )
        return [simulation.hash, *(tick.hash for tick in simulation.run(steps=STEPS))]


@pytest.fixture(scope="module")
def steps_cost() -> dict[int, int]:
    """Tokens of each step of that run."""
    with Store(":memory:") as store:
        simulation = build_simulation(
            read_scenario("crossroads"), store=store, model=ImprovisedModel()
        )
        costs = {t.step: sum(c.tokens for c in t.spent) for t in simulation.run(steps=STEPS)}
    return costs


def test_a_cap_stops_before_the_step_that_might_pass_it(
    tmp_path: Path, whole: list[str], steps_cost: dict[int, int]
) -> None:
    """The run ends with its committed steps before the first step that would pass the cap
    if it cost as much as the largest before it; the day stays below the cap."""
    largest = steps_cost[0]
    cap = largest * 2
    simulation = lived(begin(capped(cap), tmp_path, model=ImprovisedModel()))
    assert isinstance(simulation.halted, BudgetExceeded)
    assert not simulation.stopping
    spent = simulation.budget.spent(simulation.step)
    assert spent == sum(steps_cost[step] for step in range(simulation.step))
    assert cap - largest < spent <= cap
    with Run(tmp_path) as run:
        assert (run.steps, run.hash) == (simulation.step, whole[simulation.step])
    for words in ("2026-05-02", f"{spent:,} of {cap:,} tokens", "max_tokens_per_day"):
        assert words in str(simulation.halted)


def test_a_higher_cap_goes_on(tmp_path: Path, whole: list[str]) -> None:
    """With the same cap a stopped run stays where it is and asks nothing; with a higher one,
    or none, it goes on to the hash of a run that never had one."""
    begun = lived(begin(capped(300), tmp_path, model=ImprovisedModel()))
    model = Watched()
    same = lived(resume(tmp_path, model=model))
    assert (same.step, model.asked) == (begun.step, 0)
    assert same.halted is not None
    on = lived(resume(tmp_path, model=ImprovisedModel(), max_tokens_per_day=HIGH))
    assert (on.halted, on.step) == (None, STEPS)
    assert hash_of(tmp_path) == whole[-1]
    with Run(tmp_path) as run:
        assert run.scenario.model.max_tokens_per_day == HIGH
    free = lived(resume(tmp_path, model=ImprovisedModel(), max_tokens_per_day=0), STEPS + 5)
    assert (free.budget.cap, free.halted, free.step) == (0, None, STEPS + 5)


def hash_of(folder: Path) -> str:
    """A run's hash."""
    with Run(folder) as run:
        return run.hash


def test_a_step_that_nobody_foresaw_is_broken_off(tmp_path: Path, whole: list[str]) -> None:
    """The first step passes a small cap amidst its asks: nothing more is asked, what was
    open is kept and paid, no step is committed; with a higher cap it is not asked again."""
    first = Watched()
    simulation = lived(begin(capped(40), tmp_path, model=first))
    assert simulation.step == 0
    assert "broken off" in str(simulation.halted)
    with Run(tmp_path) as run:
        kept = run.store.rows("SELECT tokens_out FROM pending")
        assert run.steps == 0
        spent = sum(cost.tokens for _, cost in run.usage())
    assert first.asked == len(kept)
    assert 40 <= spent == sum(tokens for (tokens,) in kept)
    again = Watched()
    lived(resume(tmp_path, model=again, max_tokens_per_day=HIGH))
    assert hash_of(tmp_path) == whole[-1]
    total = Watched()
    lived(begin(read_scenario("crossroads"), tmp_path / "free", model=total))
    assert first.asked + again.asked == total.asked
    with Run(tmp_path) as one, Run(tmp_path / "free") as other:
        assert list(one.usage()) == list(other.usage())


def test_any_caps_end_on_the_same_life(tmp_path: Path, whole: list[str]) -> None:
    """Twelve runs under random caps, each raised whenever it stops: no stop has spent more
    than its cap and the answers that were open, and all end on the uncapped hash."""
    chance = random.Random(5)
    stops = 0
    for number in range(12):
        folder, model = tmp_path / str(number), Watched()
        cap = chance.randrange(1, 400)
        simulation = lived(begin(capped(cap), folder, model=model))
        while simulation.halted:
            stops += 1
            assert spent_and_open(folder, model.most) <= cap
            cap += chance.randrange(1, 200)
            simulation = lived(resume(folder, model=model, max_tokens_per_day=cap))
        assert hash_of(folder) == whole[-1]
        assert replay(folder).hash == whole[-1]
    assert stops > 20


def spent_and_open(folder: Path, most: int) -> int:
    """What a run has spent, less the dearest ``most`` answers of a step broken off."""
    with Run(folder) as run:
        spent = sum(cost.tokens for _, cost in run.usage())
        written: list[int] = [row[0] for row in run.store.rows("SELECT tokens_out FROM pending")]
    return spent - sum(sorted(written)[-most:])


def test_the_cap_is_no_part_of_the_life(tmp_path: Path) -> None:
    """Scenarios that differ in the cap only are one run: same hash from the start, and a
    run begun without one can be given one later."""
    heads = set()
    for cap in (0, HIGH, 2 * HIGH):
        with Store(":memory:") as store:
            simulation = build_simulation(capped(cap), store=store, model=ImprovisedModel())
            heads.add((simulation.hash, [tick.hash for tick in simulation.run(steps=3)][-1]))
    assert len(heads) == 1
    lived(begin(capped(0), tmp_path, model=ImprovisedModel()), 20)
    simulation = lived(resume(tmp_path, model=ImprovisedModel(), max_tokens_per_day=10), 40)
    assert simulation.halted is not None
    assert simulation.step == 20


def test_forks_keep_the_cap_and_count_their_own_past(tmp_path: Path) -> None:
    """A fork has the cap of its run and only the costs up to its step; resuming it works."""
    stopped = lived(begin(capped(600), tmp_path / "run", model=ImprovisedModel()))
    early = stopped.step // 2
    fork(tmp_path / "run", early, tmp_path / "fork")
    simulation = resume(tmp_path / "fork", model=ImprovisedModel())
    assert simulation.budget.cap == 600
    assert 0 < simulation.budget.spent(early) < stopped.budget.spent(stopped.step)
    lived(simulation)
    assert simulation.step == stopped.step


def test_every_day_begins_anew(tmp_path: Path) -> None:
    """Across midnight the count starts again: a cap that the two days together pass, and
    none alone, does not stop the run."""
    scenario = read_scenario("crossroads")
    late = replace(scenario, scenario=replace(scenario.scenario, start="2026-05-02 15:00"))
    days: dict[date, int] = {}
    largest = 0
    with Store(":memory:") as store:
        for tick in build_simulation(late, store=store, model=ImprovisedModel()).run(
            steps=STEPS * 19
        ):
            cost = sum(cost.tokens for cost in tick.spent)
            days[tick.at.date()] = days.get(tick.at.date(), 0) + cost
            largest = max(largest, cost)
    first, second = days.values()
    cap = max(first, second) + largest
    assert cap < first + second
    with Store(":memory:") as store:
        settled = late.with_overrides(max_tokens_per_day=cap)
        simulation = build_simulation(settled, store=store, model=ImprovisedModel())
        list(simulation.run(steps=STEPS * 19))
        assert (simulation.halted, simulation.step) == (None, STEPS * 19)
        assert simulation.budget.spent(0) == first
        assert simulation.budget.spent(simulation.step) == second


def test_ticks_taken_by_hand_obey_too(tmp_path: Path) -> None:
    """``tick`` raises what ``run`` reports, and nothing is asked."""
    lived(begin(capped(300), tmp_path, model=ImprovisedModel()))
    model = Watched()
    simulation = resume(tmp_path, model=model)
    with simulation.store, pytest.raises(BudgetExceeded):
        simulation.tick()
    assert model.asked == 0


def test_a_negative_cap_is_refused(tmp_path: Path) -> None:
    """The scenario's key is checked, and a misspelt one is refused with its name."""
    path = tmp_path / "s.toml"
    path.write_text('[scenario]\nextends = "crossroads"\n[model]\nmax_tokens_per_day = -1\n')
    with pytest.raises(SettingError, match="max_tokens_per_day must not be negative"):
        read_scenario(path)
    path.write_text('[scenario]\nextends = "crossroads"\n[model]\nmax_token_per_day = 5\n')
    with pytest.raises(SettingError, match="max_tokens_per_day"):
        read_scenario(path)
