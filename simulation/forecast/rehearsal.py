"""Rehearsals of a scenario: what is asked in each hour, and estimates for hours not rehearsed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

from ...core import Time
from ...store import Store
from ..builder import build_simulation
from ..scenario import Scenario
from .rehearsal_model import AskStats, KindAndRole, RehearsalModel

HOUR = timedelta(hours=1)
DAYTIME = range(7, 22)
"""Hours of a day in which people are assumed to be awake when no rehearsed hour shows it."""
MEASURED_COMMITS = 20  # how many transactions are timed to measure one

StatsByRole: TypeAlias = dict[KindAndRole, AskStats]


@dataclass(slots=True)
class Rehearsal:
    """What was asked in each hour that was rehearsed to its end, the number of steps and of
    rounds of asks, and the seconds that were not spent on asks."""

    hours: dict[Time, StatsByRole] = field(default_factory=dict)
    steps: int = 0
    rounds: int = 0
    overhead_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class HourlyAsks:
    """An hour of the run: its beginning, whether it was rehearsed, and what is asked in it."""

    at: Time
    rehearsed: bool
    stats: StatsByRole


def rehearse(scenario: Scenario, end: Time, model: RehearsalModel, deadline: float) -> Rehearsal:
    """Simulate a scenario in memory until ``end``, or until ``time.perf_counter()`` passes
    ``deadline``; at least one step."""
    rehearsal = Rehearsal()
    with Store(":memory:") as store:
        simulation = build_simulation(
            scenario.with_overrides(max_tokens_per_day=0), store=store, model=model
        )
        last = simulation.clock.steps_until(end)
        began, model_seconds = time.perf_counter(), model.seconds
        hour = floor_hour(simulation.now)
        while simulation.step < last:
            if simulation.step and time.perf_counter() > deadline:
                break
            hour = floor_hour(simulation.now)
            simulation.tick()
            add_stats(rehearsal.hours.setdefault(hour, {}), model.stats)
            model.stats = {}
        rehearsal.steps, rehearsal.rounds = simulation.step, model.rounds
        seconds = time.perf_counter() - began
        rehearsal.overhead_seconds = seconds - (model.seconds - model_seconds)
        is_partial = simulation.step < last and floor_hour(simulation.now) == hour
        if is_partial and len(rehearsal.hours) > 1:
            del rehearsal.hours[hour]
    return rehearsal


def reduce_people(scenario: Scenario) -> Scenario:
    """The scenario with about five of its people, evenly chosen, and without inputs."""
    every = max(2, len(scenario.people) // 5)
    return replace(scenario, people=scenario.people[::every], inputs=())


def extrapolate_hours(rehearsal: Rehearsal, reduced: Rehearsal) -> dict[Time, StatsByRole]:
    """The hours of a rehearsal that was cut short, then the hours of a rehearsal with fewer people,
    scaled by the ratio of asks in the hours common to both."""
    both = sorted(rehearsal.hours.keys() & reduced.hours.keys())
    reduced_calls = sum(stats.calls for hour in both for stats in reduced.hours[hour].values())
    calls = sum(stats.calls for hour in both for stats in rehearsal.hours[hour].values())
    ratio = calls / reduced_calls if reduced_calls else 0.0
    scaled = {hour: scaled_mean([reduced.hours[hour]], ratio) for hour in reduced.hours if ratio}
    return {**scaled, **rehearsal.hours}


def complete_hours(
    rehearsal: Rehearsal, start: Time, end: Time, reduced: Rehearsal | None = None
) -> list[HourlyAsks]:
    """All hours of a run. An hour that was not rehearsed is estimated by the first available of:
    the same hour of ``reduced``, the latest rehearsed hour at the same time of day, in the daytime
    the mean of the last three hours; else it has no asks."""
    hours = extrapolate_hours(rehearsal, reduced) if reduced else rehearsal.hours
    completed: list[HourlyAsks] = []
    known = sorted(hours)
    at = floor_hour(start)
    while at < end:
        fraction = _fraction_in_run(at, start, end)
        same = [hour for hour in known if hour.hour == at.hour]
        if at in hours:
            stats = hours[at]
        elif same:
            ratio = fraction / max(_fraction_in_run(same[-1], start, end), 1e-9)
            stats = scaled_mean([hours[same[-1]]], ratio)
        else:
            latest = known[-3:] if at.hour in DAYTIME else []
            stats = scaled_mean([hours[hour] for hour in latest], fraction)
        completed.append(HourlyAsks(at, at in rehearsal.hours, stats))
        at += HOUR
    return completed


def mean_hours(rehearsals: Sequence[list[HourlyAsks]]) -> list[HourlyAsks]:
    """The mean of several rehearsals, hour by hour."""
    return [
        HourlyAsks(hours[0].at, hours[0].rehearsed, scaled_mean([h.stats for h in hours], 1.0))
        for hours in zip(*rehearsals)
    ]


def scaled_mean(many: Sequence[StatsByRole], factor: float) -> StatsByRole:
    """The mean of several stats, times a factor."""
    sums: StatsByRole = {}
    for stats_by_role in many:
        add_stats(sums, stats_by_role, factor / len(many))
    return sums


def add_stats(sums: StatsByRole, stats_by_role: StatsByRole, factor: float = 1.0) -> None:
    """Add stats, times a factor, to ``sums``."""
    for key, stats in stats_by_role.items():
        sums.setdefault(key, AskStats()).add(stats, factor)


def floor_hour(at: Time) -> Time:
    """The beginning of the hour that contains a time."""
    return at.replace(minute=0, second=0, microsecond=0)


def _fraction_in_run(hour: Time, start: Time, end: Time) -> float:
    return (min(hour + HOUR, end) - max(hour, start)) / HOUR


def commit_seconds() -> float:
    """The seconds of a small durable transaction in the current folder."""
    try:
        directory = tempfile.TemporaryDirectory(prefix=".denizens-", dir=Path.cwd())
    except OSError:
        directory = tempfile.TemporaryDirectory(prefix="denizens-")
    with directory as folder, Store(Path(folder) / "commits.db") as store:
        began = time.perf_counter()
        for number in range(MEASURED_COMMITS):
            with store.transaction():
                store.put("forecast", [number, "a step's entry, of about its length" * 20])
        return (time.perf_counter() - began) / MEASURED_COMMITS
