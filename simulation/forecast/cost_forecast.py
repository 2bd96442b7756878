"""Estimates the cost of a run before it is run: model calls, tokens, seconds, hour by hour."""

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

TIME_LIMIT = 45.0  # the seconds that a forecast takes at most, about, after the model is loaded
REHEARSALS = 3  # how many rehearsals are made, with different seeds, if time allows
SINGLE_REHEARSAL_SPREAD = 0.25
"""The relative spread between rehearsals that is assumed when there was time for one only."""
MARGIN = 0.12
"""The relative error that remains with any sample, since generated texts are improvised."""
RANGE_DEVIATIONS = 1.28
"""The half width of the range in standard deviations: 80 % of a normal distribution."""
BOOTSTRAP_DRAWS = 200

MEASURES = ("calls", "tokens_in", "tokens_out", "tokens_reused", "seconds")
ASSUMPTIONS = (
    "People choose and rate by the similarity of meanings, and their words are improvised: they "
    "meet and talk about as often as in a run, not at the same moments.",
    "Tokens and seconds of an ask are measured on a sample of the asks, with as many open at once "
    "as in the rehearsal; machine and load are taken to stay as they are now.",
    "A step is written as fast as a small transaction just was in this folder.",
)
EXTRAPOLATED = (
    "Time was short for a complete rehearsal: later hours are those of a rehearsal with some of "
    "the people, scaled up, or the same hours of an earlier day."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """An estimate for a scenario until ``end``.

    ``hours`` are rows of (beginning, whether it was rehearsed, costs by kind and role);
    ``overhead_seconds`` are the run's seconds that are not spent on asks. ``low`` and ``high``
    bound ``total``; ``timings`` are the seconds and counts of the forecast itself."""

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
        """calls, tokens_in, tokens_out, tokens_reused, and the seconds of the whole run."""
        return _sums((cost for _, _, costs in self.hours for cost in costs), self.overhead_seconds)

    def spans(self) -> list[tuple[Time, bool, dict[str, float]]]:
        """A row for each hour, or each day beyond 48 hours, with an even share of the overhead."""
        by_day = len(self.hours) > 48
        rows: dict[Time, list[tuple[bool, tuple[Usage, ...]]]] = {}
        for hour, rehearsed, costs in self.hours:
            rows.setdefault(hour.replace(hour=0) if by_day else hour, []).append((rehearsed, costs))
        overhead = self.overhead_seconds / max(1, len(self.hours))
        return [
            (
                at,
                all(rehearsed for rehearsed, _ in row),
                _sums((cost for _, costs in row for cost in costs), overhead * len(row)),
            )
            for at, row in rows.items()
        ]

    def as_json(self) -> Json:
        """The forecast as JSON."""
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
                {"at": at.isoformat(), "rehearsed": rehearsed, **_rounded(row)}
                for at, rehearsed, row in self.spans()
            ],
            "took": {name: round(value, 2) for name, value in self.timings.items()},
            "assumed": list(self.assumptions),
        }


@dataclass(frozen=True, slots=True)
class _Estimator:
    """Turns the asks of rehearsals into costs. ``embedding_seconds`` is the time of one text."""

    rehearsals: list[list[HourlyAsks]]
    probe: ProbeResult
    embedding_seconds: float
    overhead_seconds: float

    def hourly_costs(self) -> tuple[tuple[Time, bool, tuple[Usage, ...]], ...]:
        """The costs of the mean of the rehearsals, hour by hour."""
        keys = self.probe.keys()
        model = CostModel(keys, self.probe.sums(keys).sum(axis=0))
        hours = mean_hours(self.rehearsals)
        return tuple((hour.at, hour.rehearsed, self._costs(hour, model)) for hour in hours)

    def _costs(self, hour: HourlyAsks, model: CostModel) -> tuple[Usage, ...]:
        costs = []
        for key, stats in hour.stats.items():
            embedding = Usage("", *key, seconds=self.embedding_seconds * stats.texts)
            costs.append(model.usage_of(key, stats) + embedding)
        return sum_usage(costs)

    def range(self) -> tuple[dict[str, float], dict[str, float]]:
        """The lower and upper bounds of the total: the estimate divided and multiplied by a factor
        that combines the spread of the probe (bootstrap over its blocks), the spread between
        rehearsals, and MARGIN."""
        import numpy as np

        keys = self.probe.keys()
        table = self.probe.sums(keys)
        mean = mean_hours(self.rehearsals)

        def total(hours: Sequence[HourlyAsks], sums: NDArray[np.float64]) -> dict[str, float]:
            model = CostModel(keys, sums)
            costs = (cost for hour in hours for cost in self._costs(hour, model))
            return _sums(costs, self.overhead_seconds)

        estimate = total(mean, table.sum(axis=0))
        by_rehearsal = [total(hours, table.sum(axis=0)) for hours in self.rehearsals]
        blocks, count = len(self.probe.blocks), len(by_rehearsal)
        rng = np.random.default_rng(blocks)
        resampled = [
            total(mean, table[rng.integers(0, blocks, blocks)].sum(axis=0))
            for _ in range(BOOTSTRAP_DRAWS if blocks > 1 else 0)
        ]
        low, high = {}, {}
        for name, value in estimate.items():
            probe_spread = _relative_spread([sums[name] for sums in resampled], value)
            spread = SINGLE_REHEARSAL_SPREAD
            if count > 1:
                spread = _relative_spread([sums[name] for sums in by_rehearsal], value)
            variance = probe_spread**2 + spread**2 * (1 + 1 / count) + MARGIN**2
            factor = exp(RANGE_DEVIATIONS * sqrt(variance))
            low[name], high[name] = value / factor, value * factor
        return low, high


def forecast_cost(
    scenario: Scenario,
    end: Time,
    *,
    model: Model | None = None,
    seconds: float = TIME_LIMIT,
    progress: Callable[[str], None] | None = None,
) -> Forecast:
    """Estimate what ``scenario`` costs until ``end``, with its own model or with ``model``.

    The scenario is rehearsed in memory (``RehearsalModel``) for at most half of ``seconds``; then
    the engine answers a sample of what was asked (``probe_engine``). Nothing is written. Raises
    what ``build_simulation`` raises."""
    began = time.perf_counter()
    engine = model if model is not None else load_scenario_model(scenario, progress)
    loaded = time.perf_counter()
    report = progress or (lambda text: None)
    report("Rehearsing, with improvised texts")
    embeddings = EmbeddingCache(engine, seconds * 0.3)
    stand_in, rehearsals, reduced = _rehearse_all(scenario, end, embeddings, seconds * 0.5)
    rehearsed = time.perf_counter()
    report("Probing the engine")
    probe = probe_engine(engine, stand_in.blocks.kept, seconds - (rehearsed - loaded))
    probed = time.perf_counter()
    steps = scenario.clock.steps_until(end)
    estimator = _Estimator(
        [complete_hours(rehearsal, scenario.start, end, reduced) for rehearsal in rehearsals],
        probe,
        embeddings.seconds / embeddings.embedded if embeddings.embedded else 0.0,
        _overhead_seconds(rehearsals[0], steps),
    )
    hours = estimator.hourly_costs()
    low, high = estimator.range()
    is_complete = all(was_rehearsed for _, was_rehearsed, _ in hours)
    return Forecast(
        scenario=scenario.scenario.name,
        start=scenario.start,
        end=end,
        steps=steps,
        agents=len(scenario.people),
        hours=hours,
        overhead_seconds=estimator.overhead_seconds,
        low=low,
        high=high,
        timings={
            "loading": loaded - began,
            "rehearsing": rehearsed - loaded,
            "probing": probed - rehearsed,
            "lives": len(rehearsals),
            "rehearsed_steps": rehearsals[0].steps,
            "probed_calls": float(probe.sums(probe.keys())[:, :, 0].sum()),
        },
        assumptions=ASSUMPTIONS if is_complete else (*ASSUMPTIONS, EXTRAPOLATED),
    )


def _rehearse_all(
    scenario: Scenario, end: Time, embeddings: EmbeddingCache, seconds: float
) -> tuple[RehearsalModel, list[Rehearsal], Rehearsal | None]:
    """Returns the model of the first rehearsal (its asks are the sample), the rehearsals (with
    different seeds), and one with fewer people if the first was cut short."""
    began = time.perf_counter()
    stand_in = RehearsalModel(embeddings)
    rehearsals = [rehearse(scenario, end, stand_in, began + seconds * 0.7)]
    steps = rehearsals[0].steps
    first_seconds = time.perf_counter() - began
    deadline = began + seconds
    if steps < scenario.clock.steps_until(end):
        smaller = reduce_people(scenario)
        if len(smaller.people) == len(scenario.people):
            return stand_in, rehearsals, None
        return stand_in, rehearsals, rehearse(smaller, end, RehearsalModel(embeddings), deadline)
    seed = scenario.scenario.seed
    for number in range(1, REHEARSALS):
        if time.perf_counter() + first_seconds > deadline:
            break
        reseeded = scenario.with_overrides(seed=seed + number)
        rehearsal = rehearse(reseeded, end, RehearsalModel(embeddings), deadline)
        if rehearsal.steps < steps:
            break
        rehearsals.append(rehearsal)
    return stand_in, rehearsals, None


def _overhead_seconds(rehearsal: Rehearsal, steps: int) -> float:
    """The seconds that a run spends outside of asks: as in the rehearsal, plus transactions."""
    ratio = steps / rehearsal.steps if rehearsal.steps else 0.0
    commits = commit_seconds() * (rehearsal.steps + rehearsal.rounds)
    return ratio * (rehearsal.overhead_seconds + commits)


def _relative_spread(values: Sequence[float], mean: float) -> float:
    return stdev(values) / mean if len(values) > 1 and mean else 0.0


def _sums(costs: Iterable[Usage], overhead_seconds: float) -> dict[str, float]:
    sums = dict.fromkeys(MEASURES, 0.0)
    for cost in costs:
        for name in MEASURES:
            sums[name] += getattr(cost, name)
    sums["seconds"] += overhead_seconds
    return sums


def _rounded(sums: Mapping[str, float]) -> dict[str, Json]:
    return {name: round(value, 1 if name == "seconds" else None) for name, value in sums.items()}
