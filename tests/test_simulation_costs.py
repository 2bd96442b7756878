"""What asks cost is kept with the run, and the run is the same for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from denizens.core import Answer, Embed, Generate, Model, ModelAsk, RunCorrupt
from denizens.models import ImprovisedModel, Router, Usage, UsageLedger
from denizens.simulation import (
    Run,
    Simulation,
    begin,
    build_simulation,
    check_run,
    fork,
    open_store,
    read_scenario,
    replay,
    resume,
)
from denizens.simulation.record import usage_summary
from denizens.store import Store
from denizens.testing import ScriptedModel
from denizens.tests.support.metered_client import MeteredClient

STEPS = 60
MODEL_KINDS = ("generate", "choose", "rate", "embed")


class Priced(ImprovisedModel):
    """The improvising model with a ledger, as an engine has: prompts are counted, a third of
    each is said to be reused, and every call takes another time."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.ledger = UsageLedger()
        self.answered = 0

    def client(self) -> MeteredClient:  # type: ignore[override]
        """A mailbox that enters what it answers."""
        return MeteredClient(super().client(), self.enter)

    def enter(self, owner: str, ask: ModelAsk, answer: Answer) -> None:
        """Enter an answered ask."""
        words = 10 if isinstance(ask, Embed) else sum(len(m.text.split()) for m in ask.messages)
        self.answered += 1
        self.ledger.add(
            owner,
            ask.kind,
            ask.role,
            tokens_in=words,
            tokens_out=getattr(answer, "tokens_out", 0),
            tokens_reused=words // 3,
            seconds=0.001 * (self.answered % 7),
        )


def lived(folder: Path, model: Model, steps: int = STEPS) -> str:
    """A run of the crossroads in ``folder``; its hash."""
    simulation = begin(read_scenario("crossroads"), folder, model=model)
    with simulation.store:
        return [tick.hash for tick in simulation.run(steps=steps)][-1]


def go_on(simulation: Simulation, steps: int) -> str:
    """Live so many steps more and close the file, which must be sound; the hash."""
    with simulation.store as store:
        head = [tick.hash for tick in simulation.run(steps=steps)][-1]
        assert check_run(store) == ()
        return head


def ledger(folder: Path) -> list[tuple[int, Usage]]:
    """A run's costs without the seconds, which no two runs share."""
    with Run(folder) as run:
        return [(step, replace(cost, seconds=0.0)) for step, cost in run.usage()]


def test_a_ledger_leaves_the_run_as_it_is(tmp_path: Path) -> None:
    """With a model that keeps a ledger, with one that keeps none, and with none that took
    other times, a run has the same hash; the file is sound and replays."""
    plain = lived(tmp_path / "plain", ImprovisedModel())
    priced = Priced()
    assert lived(tmp_path / "priced", priced) == plain
    slow = Priced()
    slow.answered = 3
    assert lived(tmp_path / "slow", slow) == plain
    assert replay(tmp_path / "priced").hash == plain
    with open_store(tmp_path / "priced") as store:
        assert check_run(store) == ()
    assert ledger(tmp_path / "priced") == ledger(tmp_path / "slow")


def test_every_call_is_in_the_ledger_once(tmp_path: Path) -> None:
    """The engine's count of answers is the ledger's; its tokens and seconds add up over
    kinds, roles and people alike."""
    model = Priced()
    lived(tmp_path / "run", model)
    with Run(tmp_path / "run") as run:
        found = run.stats()["ledger"]
        costs = [cost for _, cost in run.usage()]
    assert found["total"]["calls"] == model.answered == sum(cost.calls for cost in costs) > 50
    assert set(found["by_agent"]) == {"Hanna Brook", "Otto Lind"}
    assert set(found["by_kind"]) == set(MODEL_KINDS)
    for key in ("calls", "tokens_in", "tokens_out", "tokens_reused"):
        for table in ("by_kind", "by_role", "by_agent"):
            assert sum(row[key] for row in found[table].values()) == found["total"][key] > 0
    seconds = [row["seconds"] for row in found["by_kind"].values()]
    assert seconds == sorted(seconds, reverse=True)
    assert found["total"]["seconds"] == pytest.approx(sum(cost.seconds for cost in costs), abs=0.01)


def test_without_a_ledger_asks_and_answers_tell(tmp_path: Path) -> None:
    """A model without one: calls and tokens are those of the recorded asks, by step, agent,
    kind and role; nothing is said of time and reuse."""
    lived(tmp_path / "run", ImprovisedModel())
    told: dict[tuple[int, str, str, str], list[int]] = {}
    with Run(tmp_path / "run") as run:
        for row in run.asks():
            if row.kind in MODEL_KINDS:
                sums = told.setdefault(
                    (row.where.step, row.where.agent, row.kind, row.role), [0, 0]
                )
                sums[0] += 1
                sums[1] += getattr(row.answer, "tokens_out", 0)
        costs = list(run.usage())
    assert {(step, *c.key): [c.calls, c.tokens_out] for step, c in costs} == told
    assert {(c.seconds, c.tokens_reused) for _, c in costs} == {(0.0, 0)}


def test_a_tick_says_what_it_cost(tmp_path: Path) -> None:
    """The costs that ticks carry are those of the ledger, step by step."""
    model = Priced()
    with Store(":memory:") as store:
        simulation = build_simulation(read_scenario("crossroads"), store=store, model=model)
        told = [(tick.step, cost) for tick in simulation.run(steps=30) for cost in tick.spent]
        kept = list(simulation.journal.usage.rows())
    assert len(told) == len(kept) > 10
    for (step, said), (noted, cost) in zip(told, kept):
        assert (step, replace(said, seconds=0.0)) == (noted, replace(cost, seconds=0.0))
        assert said.seconds == pytest.approx(cost.seconds, abs=1e-5)


def test_talks_and_other_runs_are_not_charged(tmp_path: Path) -> None:
    """One model for two runs stepped in turn, with a chat in between: each run's ledger is
    that of a run alone."""
    lived(tmp_path / "alone", Priced(), steps=20)
    model = Priced()
    scenario = read_scenario("crossroads")
    runs = [begin(scenario, tmp_path / name, model=model) for name in ("one", "two")]
    for _ in range(20):
        for simulation in runs:
            simulation.tick()
            chatter = model.client()
            chatter.submit(Generate(messages=()), owner="Hanna Brook")
            chatter.wait()
    for simulation in runs:
        simulation.store.close()
    assert ledger(tmp_path / "one") == ledger(tmp_path / "two") == ledger(tmp_path / "alone")


def test_pieces_cost_what_the_whole_did(tmp_path: Path) -> None:
    """A run in three pieces has the ledger of the whole; a fork has it as of its step and
    goes on adding to it; a replay writes none."""
    lived(tmp_path / "whole", Priced())
    lived(tmp_path / "parts", Priced(), steps=20)
    for _ in range(2):
        go_on(resume(tmp_path / "parts", model=Priced()), 20)
    whole = ledger(tmp_path / "whole")
    assert ledger(tmp_path / "parts") == whole
    fork(tmp_path / "whole", 30, tmp_path / "fork")
    assert ledger(tmp_path / "fork") == [row for row in whole if row[0] < 30]
    go_on(resume(tmp_path / "fork", model=Priced()), 30)
    assert ledger(tmp_path / "fork") == whole
    before = (tmp_path / "whole" / "run.db").read_bytes()
    replay(tmp_path / "whole")
    assert (tmp_path / "whole" / "run.db").read_bytes() == before


class Stop(Exception):
    """Breaks a step off."""


class Stopping(Priced):
    """Breaks off while the ``last``-th answer is on its way."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self.last = last

    def enter(self, owner: str, ask: ModelAsk, answer: Answer) -> None:
        """Enter an ask, or break off."""
        if self.answered == self.last:
            raise Stop
        super().enter(owner, ask, answer)


@pytest.mark.parametrize("last", [12, 25, 41])
def test_a_broken_step_pays_for_what_it_got(tmp_path: Path, last: int) -> None:
    """What arrived before a step was broken off is paid once: kept answers are in the
    ledger at once, and after the resume the run's ledger is that of an unbroken one."""
    lived(tmp_path / "whole", Priced())
    simulation = begin(read_scenario("crossroads"), tmp_path / "run", model=Stopping(last))
    with pytest.raises(Stop):
        list(simulation.run(steps=STEPS))
    pending = simulation.store.rows("SELECT kind FROM pending")
    open_step = [cost for step, cost in simulation.journal.usage.rows(simulation.step)]
    assert sum(cost.calls for cost in open_step) == len(pending) > 0
    simulation.store.close()
    with open_store(tmp_path / "run") as store:
        assert check_run(store) == ()
    simulation = resume(tmp_path / "run", model=Priced())
    go_on(simulation, STEPS - simulation.step)
    # Of the answers that were lost with the break, nothing was kept to be paid.
    assert ledger(tmp_path / "run") == ledger(tmp_path / "whole")


@pytest.fixture
def spoilt(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A raw connection to a short run's file."""
    lived(tmp_path / "run", Priced(), steps=30)
    raw = sqlite3.connect(tmp_path / "run" / "run.db", isolation_level=None)
    yield raw
    raw.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger SET tokens_in = tokens_in + 1 WHERE kind = 'rate'",
        "UPDATE ledger SET seconds = 0 WHERE kind = 'rate'",
        "UPDATE ledger SET agent = CAST(agent AS BLOB) WHERE kind = 'embed'",
        "DELETE FROM ledger WHERE kind = 'rate' AND step = 0 AND agent = 'Otto Lind'",
        "DELETE FROM parts WHERE part = 'ledger'",
        "DELETE FROM ledger",
    ],
)
def test_damage_is_told(tmp_path: Path, spoilt: sqlite3.Connection, statement: str) -> None:
    """A row changed, moved or removed behind the program's back is found by the check."""
    assert spoilt.execute(statement).rowcount > 0
    with open_store(tmp_path / "run") as store:
        assert check_run(store)


def test_a_changed_row_is_not_read(tmp_path: Path, spoilt: sqlite3.Connection) -> None:
    """Reading the ledger checks its rows; the message names the file."""
    spoilt.execute("UPDATE ledger SET calls = 900 WHERE step = 0")
    with Run(tmp_path / "run") as run, pytest.raises(RunCorrupt, match=r"run\.db.*checksum"):
        list(run.usage())


def test_a_router_pays_for_all_its_models(tmp_path: Path) -> None:
    """A router of a model with a ledger and one without has the union: every answer of both
    once, whoever answered it, and the hash of the run is what it was."""
    priced = Priced()
    router = Router({"embed": priced, "plan": priced}, default=ImprovisedModel())
    assert lived(tmp_path / "routed", router) == lived(tmp_path / "plain", ImprovisedModel())
    counts = []
    for name in ("routed", "plain"):
        with Run(tmp_path / name) as run:
            sums = usage_summary(run.usage())
            counts.append({role: one["calls"] for role, one in sums["by_role"].items()})
    # A recall's cue is embedded by the engine; only the engine knows.
    recalls = 4
    counts[1]["embed"] += recalls
    assert counts[0] == counts[1]
    with Run(tmp_path / "routed") as run:
        roles = usage_summary(run.usage())["by_role"]
        assert run.stats()["asks"]["recall"] == recalls
    assert all((one["tokens_in"] > 0) == (role in ("embed", "plan")) for role, one in roles.items())


def test_agents_with_models_of_their_own(tmp_path: Path) -> None:
    """Two people, one with an engine that keeps a ledger and one without: each pays its own
    way."""
    with Store(":memory:") as store:
        simulation = build_simulation(
            read_scenario("crossroads"), store=store, model=ImprovisedModel()
        )
        priced = Priced()
        simulation.agents["Hanna Brook"].model = priced
        list(simulation.run(steps=20))
        by_agent = usage_summary(simulation.journal.usage.rows())["by_agent"]
    assert by_agent["Hanna Brook"]["calls"] == priced.answered > 0
    assert by_agent["Hanna Brook"]["tokens_in"] > 0 == by_agent["Otto Lind"]["tokens_in"]
    assert by_agent["Otto Lind"]["calls"] > 0


def test_ledgers_hand_out_once() -> None:
    """What was taken is gone, others' entries stay, parts are taken along."""
    part = UsageLedger()
    whole = UsageLedger([part])
    part.add("Bo", "rate", "rate", tokens_in=3)
    whole.add("Bo", "rate", "rate", tokens_in=4, seconds=0.5)
    whole.add("Ann", "rate", "rate")
    assert whole.take({"Bo"}) == (Usage("Bo", "rate", "rate", 2, 7, 0, 0, 0.5),)
    assert [cost.agent for cost in whole.take()] == ["Ann"]
    assert whole.take() == part.take() == ()


def test_a_router_forgets_what_was_cancelled() -> None:
    """A cancelled ask costs nothing; an answered one costs once."""
    router = Router({}, default=ScriptedModel(lambda ask: "yes"))
    client = router.client()
    first, second = (client.submit(Generate(messages=()), owner=who) for who in ("Ann", "Bo"))
    client.cancel(first)
    assert [event.ticket for event in client.wait()] == [second]
    assert [(cost.agent, cost.calls) for cost in router.ledger.take()] == [("Bo", 1)]


def test_routine_costs_nothing(tmp_path: Path) -> None:
    """Who asks no model has an empty ledger."""
    scenario = read_scenario("crossroads").with_overrides(planner="routine")
    go_on(begin(scenario, tmp_path / "run", model=Priced()), 10)
    with Run(tmp_path / "run") as run:
        costs = [cost for _, cost in run.usage() if cost.kind not in ("rate", "embed")]
        assert costs == []
