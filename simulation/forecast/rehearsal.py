"""Rehearsed lives, hour by hour, and what the hours that were not rehearsed are taken from."""

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
"""Hours in which people are taken to be awake where no rehearsed hour tells."""
MEASURED_COMMITS = 20
"""Transactions by which the time of one is measured."""

StatsByRole: TypeAlias = dict[KindAndRole, AskStats]


@dataclass(slots=True)
class Rehearsal:
    """What was asked in each hour that was rehearsed to its end, the steps and rounds of
    asks, and the seconds that living took beside the asks."""

    hours: dict[Time, StatsByRole] = field(default_factory=dict)
    steps: int = 0
    rounds: int = 0
    overhead_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class HourlyAsks:
    """An hour of the run: when it begins, whether it was rehearsed, and what is asked in it."""

    at: Time
    rehearsed: bool
    stats: StatsByRole


def rehearse(scenario: Scenario, end: Time, model: RehearsalModel, deadline: float) -> Rehearsal:
    """Live a scenario in memory until ``end``, or until the clock of ``time.perf_counter``
    passes ``deadline``; at least one step."""
    life = Rehearsal()
    with Store(":memory:") as store:
        simulation = build_simulation(
            scenario.with_overrides(max_tokens_per_day=0), store=store, model=model
        )
        last = simulation.clock.steps_until(end)
        began, spent = time.perf_counter(), model.seconds
        hour = floor_hour(simulation.now)
        while simulation.step < last:
            if simulation.step and time.perf_counter() > deadline:
                break
            hour = floor_hour(simulation.now)
            simulation.tick()
            add_stats(life.hours.setdefault(hour, {}), model.stats)
            model.stats = {}
        life.steps, life.rounds = simulation.step, model.rounds
        life.overhead_seconds = time.perf_counter() - began - (model.seconds - spent)
        if simulation.step < last and floor_hour(simulation.now) == hour and len(life.hours) > 1:
            del life.hours[hour]
    return life


def reduce_people(scenario: Scenario) -> Scenario:
    """The scenario with every so-and-so-manieth of its people, five or so."""
    every = max(2, len(scenario.people) // 5)
    return replace(scenario, people=scenario.people[::every], inputs=())


def extrapolate_hours(life: Rehearsal, few: Rehearsal) -> dict[Time, StatsByRole]:
    """The hours of a life that was cut short, and after them those that a few of its people
    lived on for, scaled up by what all and what the few asked in the hours lived by both."""
    both = sorted(life.hours.keys() & few.hours.keys())
    few_asked = sum(tally.calls for hour in both for tally in few.hours[hour].values())
    asked = sum(tally.calls for hour in both for tally in life.hours[hour].values())
    times = asked / few_asked if few_asked else 0.0
    on = {hour: scaled_mean([few.hours[hour]], times) for hour in few.hours if times}
    return {**on, **life.hours}


def complete_hours(
    life: Rehearsal, start: Time, end: Time, few: Rehearsal | None = None
) -> list[HourlyAsks]:
    """All hours of a run. One that was not rehearsed is taken from those that ``few`` lived,
    else from the latest one at the same time of a day, else by day from the mean of the last
    three; nights are quiet."""
    hours = extrapolate_hours(life, few) if few else life.hours
    found: list[HourlyAsks] = []
    known = sorted(hours)
    at = floor_hour(start)
    while at < end:
        share = _fraction_in_run(at, start, end)
        same = [hour for hour in known if hour.hour == at.hour]
        if at in hours:
            asked = hours[at]
        elif same:
            part = share / max(_fraction_in_run(same[-1], start, end), 1e-9)
            asked = scaled_mean([hours[same[-1]]], part)
        else:
            latest = known[-3:] if at.hour in DAYTIME else []
            asked = scaled_mean([hours[hour] for hour in latest], share)
        found.append(HourlyAsks(at, at in life.hours, asked))
        at += HOUR
    return found


def mean_hours(lives: Sequence[list[HourlyAsks]]) -> list[HourlyAsks]:
    """The mean of several lives, hour by hour."""
    return [
        HourlyAsks(hours[0].at, hours[0].lived, scaled_mean([hour.asked for hour in hours], 1.0))
        for hours in zip(*lives)
    ]


def scaled_mean(many: Sequence[StatsByRole], share: float) -> StatsByRole:
    """A share of the mean of tallies."""
    sums: StatsByRole = {}
    for tallies in many:
        add_stats(sums, tallies, share / len(many))
    return sums


def add_stats(sums: StatsByRole, tallies: StatsByRole, share: float = 1.0) -> None:
    """Add tallies to sums."""
    for key, tally in tallies.items():
        sums.setdefault(key, AskStats()).add(tally, share)


def floor_hour(at: Time) -> Time:
    """The full hour before a moment."""
    return at.replace(minute=0, second=0, microsecond=0)


def _fraction_in_run(hour: Time, start: Time, end: Time) -> float:
    """The part of an hour that lies in the run."""
    return (min(hour + HOUR, end) - max(hour, start)) / HOUR


def commit_seconds() -> float:
    """How long a small durable transaction takes in the folder one is in."""
    try:
        place = tempfile.TemporaryDirectory(prefix=".denizens-", dir=Path.cwd())
    except OSError:
        place = tempfile.TemporaryDirectory(prefix="denizens-")
    with place as folder, Store(Path(folder) / "commits.db") as store:
        began = time.perf_counter()
        for number in range(MEASURED_COMMITS):
            with store.transaction():
                store.put("forecast", [number, "a step's entry, of about its length" * 20])
        return (time.perf_counter() - began) / MEASURED_COMMITS
