"""What a run will cost, before it is run: calls, tokens, seconds, hour by hour."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, sqrt
from statistics import stdev
from typing import TYPE_CHECKING

from ...core import Json, Model, Time
from ...models import Usage, sum_usage
from ..builder import load_scenario_model
from ..record import usage_summary
from ..scenario import Scenario
from .engine_probe import CostModel, ProbeResult, probe_engine
from .rehearsal import (
    HourlyAsks,
    Rehearsal,
    StatsByRole,
    commit_seconds,
    complete_hours,
    mean_hours,
    reduce_people,
    rehearse,
)
from .rehearsal_model import EmbeddingCache, RehearsalModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TIME_LIMIT = 45.0
"""About how long a forecast takes at most, after the model is loaded."""
REHEARSALS = 3
"""So many lives are rehearsed, by different seeds, where one takes little time."""
SINGLE_REHEARSAL_SPREAD = 0.25
"""Relative spread that is supposed where there was time for one life only."""
MARGIN = 0.12
"""Relative error that any sample leaves, since the texts are improvised."""
RANGE_DEVIATIONS = 1.28
"""The range reaches so many standard deviations to both sides: four of five, if normal."""
BOOTSTRAP_DRAWS = 200

MEASURES = ("calls", "tokens_in", "tokens_out", "tokens_reused", "seconds")
ASSUMPTIONS = (
    "People choose and rate by the nearness of meanings and their words are improvised: they "
    "meet and talk about as often as in a run, not at the same moments.",
    "Tokens and seconds of an ask are those the engine needed for a sample of the asks, put to "
    "it as they were open together: machine and load stay as they are now.",
    "A step is written down as fast as a small transaction just was in this folder.",
)
EXTRAPOLATED = (
    "Time was short for a whole rehearsal: later hours are those that some of the people lived "
    "alone, scaled up, or the same hours of an earlier day."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """An estimate for a scenario until ``end``.

    ``hours`` are rows (when it begins, whether it was rehearsed, costs by kind and role);
    ``overhead_seconds`` are the run's seconds beside its asks. ``low`` and ``high`` bound what
    ``total`` says; ``timings`` tells how the forecast itself was made, times in seconds."""

    scenario: str
    start: Time
    end: Time
    steps: int
    agents: int
    hours: tuple[tuple[Time, bool, tuple[Usage, ...]], ...]
    overhead_seconds: float
    low: Mapping[str, float]
    high: Mapping[str, float]
    timings: Mapping[str, float]
    assumptions: tuple[str, ...]

    @property
    def total(self) -> dict[str, float]:
        """calls, tokens_in, tokens_out, tokens_reused, and all of the run's seconds."""
        return _sums((cost for _, _, costs in self.hours for cost in costs), self.overhead_seconds)

    def spans(self) -> list[tuple[Time, bool, dict[str, float]]]:
        """A row for every hour, or every day where there are more than 48 hours;
        ``overhead_seconds``
        is spread evenly."""
        by_day = len(self.hours) > 48
        rows: dict[Time, list[tuple[bool, tuple[Usage, ...]]]] = {}
        for hour, lived, costs in self.hours:
            rows.setdefault(hour.replace(hour=0) if by_day else hour, []).append((lived, costs))
        share = self.overhead_seconds / max(1, len(self.hours))
        return [
            (
                at,
                all(lived for lived, _ in row),
                _sums((cost for _, costs in row for cost in costs), share * len(row)),
            )
            for at, row in rows.items()
        ]

    def as_json(self) -> Json:
        """Everything as plain JSON."""
        sums = usage_summary((0, cost) for _, _, costs in self.hours for cost in costs)
        return {
            "scenario": self.scenario,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "steps": self.steps,
            "agents": self.agents,
            "total": _rounded(self.total),
            "low": _rounded(self.low),
            "high": _rounded(self.high),
            "by_kind": sums["by_kind"],
            "by_role": sums["by_role"],
            "spans": [
                {"at": at.isoformat(), "rehearsed": lived, **_rounded(row)}
                for at, lived, row in self.spans()
            ],
            "took": {name: round(value, 2) for name, value in self.timings.items()},
            "assumed": list(self.assumptions),
        }


def forecast_cost(
    scenario: Scenario,
    end: Time,
    *,
    model: Model | None = None,
    seconds: float = TIME_LIMIT,
    progress: Callable[[str], None] | None = None,
) -> Forecast:
    """Estimate what ``scenario`` costs until ``end``, with its own model unless one is given.

    It is rehearsed in memory (see ``RehearsalModel``) for at most half of ``overhead_seconds``;
    then the
    engine answers a sample of what was asked (see ``probe_engine``). The range is made of the
    sample's spread (bootstrap), the spread of lives by other seeds, and ``MARGIN``.

    Nothing of it stays. Raises what ``build`` raises."""
    began = time.perf_counter()
    real = model if model is not None else load_scenario_model(scenario, progress)
    loaded = time.perf_counter()
    say = progress or (lambda words: None)
    say("Rehearsing, with improvised texts")
    meanings = EmbeddingCache(real, seconds * 0.3)
    player, lives, few = _rehearse_all(scenario, end, meanings, seconds * 0.5)
    rehearsed = time.perf_counter()
    say("Probing the engine")
    found = probe_engine(real, player.blocks.kept, seconds - (rehearsed - loaded))
    probed = time.perf_counter()
    wholes = [complete_hours(life, scenario.start, end, few) for life in lives]
    text = meanings.seconds / meanings.embedded if meanings.embedded else 0.0
    keys = found.keys()
    table = found.sums(keys)
    prices = CostModel(keys, table.sum(axis=0))
    hours = tuple((h.at, h.rehearsed, _usage_of(h.stats, prices, text)) for h in mean_hours(wholes))
    steps = scenario.clock.steps_until(end)
    living = _overhead_seconds(lives[0], steps)
    low, high = _range(wholes, found, text, living)
    stretched = () if all(lived for _, lived, _ in hours) else (EXTRAPOLATED,)
    return Forecast(
        scenario=scenario.scenario.name,
        start=scenario.start,
        end=end,
        steps=steps,
        agents=len(scenario.people),
        hours=hours,
        overhead_seconds=living,
        low=low,
        high=high,
        timings={
            "loading": loaded - began,
            "rehearsing": rehearsed - loaded,
            "probing": probed - rehearsed,
            "lives": len(lives),
            "rehearsed_steps": lives[0].steps,
            "probed_calls": float(table[:, :, 0].sum()),
        },
        assumptions=(*ASSUMPTIONS, *stretched),
    )


def _rehearse_all(
    scenario: Scenario, end: Time, meanings: EmbeddingCache, seconds: float
) -> tuple[RehearsalModel, list[Rehearsal], Rehearsal | None]:
    """One life by the scenario's own seed, whose asks are probed; others by other seeds as
    long as there is time, or where there was not even enough for one, a few of its people."""
    began = time.perf_counter()
    player = RehearsalModel(meanings)
    lives = [rehearse(scenario, end, player, began + seconds * 0.7)]
    steps = lives[0].steps
    first = time.perf_counter() - began
    if steps < scenario.clock.steps_until(end):
        few = reduce_people(scenario)
        alone = len(few.people) < len(scenario.people)
        deadline = began + seconds
        return (
            player,
            lives,
            rehearse(few, end, RehearsalModel(meanings), deadline) if alone else None,
        )
    seed = scenario.scenario.seed
    for number in range(1, REHEARSALS):
        if time.perf_counter() - began + first > seconds:
            break
        other = scenario.with_overrides(seed=seed + number)
        life = rehearse(other, end, RehearsalModel(meanings), began + seconds)
        if life.steps < steps:
            break
        lives.append(life)
    return player, lives, None


def _usage_of(asked: StatsByRole, prices: CostModel, text: float) -> tuple[Usage, ...]:
    """What tallies cost; ``text`` are the seconds of embedding one."""
    costs = []
    for key, tally in asked.items():
        embedding = Usage("", *key, seconds=text * tally.texts)
        costs.append(prices.usage_of(key, tally) + embedding)
    return sum_usage(costs)


def _overhead_seconds(life: Rehearsal, steps: int) -> float:
    """Seconds of a run beside its asks: living itself, and a durable transaction for every
    step and every round of answers."""
    share = steps / life.steps if life.steps else 0.0
    return share * (life.overhead_seconds + commit_seconds() * (life.steps + life.rounds))


def _range(
    wholes: Sequence[list[HourlyAsks]], found: ProbeResult, text: float, living: float
) -> tuple[dict[str, float], dict[str, float]]:
    import numpy as np

    keys = found.keys()
    table = found.sums(keys)
    mean = mean_hours(wholes)

    def total(hours: Sequence[HourlyAsks], sums: NDArray[np.float64]) -> dict[str, float]:
        prices = CostModel(keys, sums)
        return _sums((cost for h in hours for cost in _usage_of(h.stats, prices, text)), living)

    best = total(mean, table.sum(axis=0))
    lives = [total(hours, table.sum(axis=0)) for hours in wholes]
    count = len(found.blocks)
    dice = np.random.default_rng(count)
    drawn = [
        total(mean, table[dice.integers(0, count, count)].sum(axis=0))
        for _ in range(BOOTSTRAP_DRAWS if count > 1 else 0)
    ]
    low, high = {}, {}
    for name, value in best.items():
        wide = _relative_spread([one[name] for one in drawn], value)
        among = (
            _relative_spread([one[name] for one in lives], value)
            if len(lives) > 1
            else SINGLE_REHEARSAL_SPREAD
        )
        factor = exp(RANGE_DEVIATIONS * sqrt(wide**2 + among**2 * (1 + 1 / len(lives)) + MARGIN**2))
        low[name], high[name] = value / factor, value * factor
    return low, high


def _relative_spread(values: Sequence[float], mean: float) -> float:
    return stdev(values) / mean if len(values) > 1 and mean else 0.0


def _sums(costs: Iterable[Usage], living: float) -> dict[str, float]:
    sums = dict.fromkeys(MEASURES, 0.0)
    for cost in costs:
        for name in MEASURES:
            sums[name] += getattr(cost, name)
    sums["seconds"] += living
    return sums


def _rounded(sums: Mapping[str, float]) -> dict[str, Json]:
    return {name: round(value, 1 if name == "seconds" else None) for name, value in sums.items()}
