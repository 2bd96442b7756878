"""Rehearsed lives, hour by hour, and what the hours that were not rehearsed are taken from."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

from ..core import Time
from ..simulation import Scenario, build
from ..store import Store
from .rehearsal import Key, Rehearsing, Tally

HOUR = timedelta(hours=1)
DAYTIME = range(7, 22)
"""Hours in which people are taken to be awake where no rehearsed hour tells."""
COMMITS = 20
"""Transactions by which the time of one is measured."""

Tallies: TypeAlias = dict[Key, Tally]


@dataclass(slots=True)
class Life:
    """What was asked in each hour that was rehearsed to its end, the steps and rounds of
    asks, and the seconds that living took beside the asks."""

    hours: dict[Time, Tallies] = field(default_factory=dict)
    steps: int = 0
    rounds: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour of the run: when it begins, whether it was rehearsed, and what is asked in it."""

    at: Time
    lived: bool
    asked: Tallies


def rehearse(scenario: Scenario, end: Time, model: Rehearsing, deadline: float) -> Life:
    """Live a scenario in memory until ``end``, or until the clock of ``time.perf_counter``
    passes ``deadline``; at least one step."""
    life = Life()
    with Store(":memory:") as store:
        simulation = build(scenario.settle(max_tokens_per_day=0), store=store, model=model)
        last = simulation.clock.steps_until(end)
        began, spent = time.perf_counter(), model.seconds
        hour = floor(simulation.now)
        while simulation.step < last:
            if simulation.step and time.perf_counter() > deadline:
                break
            hour = floor(simulation.now)
            simulation.tick()
            merge(life.hours.setdefault(hour, {}), model.tally)
            model.tally = {}
        life.steps, life.rounds = simulation.step, model.rounds
        life.seconds = time.perf_counter() - began - (model.seconds - spent)
        if simulation.step < last and floor(simulation.now) == hour and len(life.hours) > 1:
            del life.hours[hour]
    return life


def few_of(scenario: Scenario) -> Scenario:
    """The scenario with every so-and-so-manieth of its people, five or so."""
    every = max(2, len(scenario.people) // 5)
    return replace(scenario, people=scenario.people[::every], inputs=())


def stretched(life: Life, few: Life) -> dict[Time, Tallies]:
    """The hours of a life that was cut short, and after them those that a few of its people
    lived on for, scaled up by what all and what the few asked in the hours lived by both."""
    both = sorted(life.hours.keys() & few.hours.keys())
    few_asked = sum(tally.calls for hour in both for tally in few.hours[hour].values())
    asked = sum(tally.calls for hour in both for tally in life.hours[hour].values())
    times = asked / few_asked if few_asked else 0.0
    on = {hour: scaled([few.hours[hour]], times) for hour in few.hours if times}
    return {**on, **life.hours}


def whole(life: Life, start: Time, end: Time, few: Life | None = None) -> list[Hour]:
    """All hours of a run. One that was not rehearsed is taken from those that ``few`` lived,
    else from the latest one at the same time of a day, else by day from the mean of the last
    three; nights are quiet."""
    hours = stretched(life, few) if few else life.hours
    found: list[Hour] = []
    known = sorted(hours)
    at = floor(start)
    while at < end:
        share = _share(at, start, end)
        same = [hour for hour in known if hour.hour == at.hour]
        if at in hours:
            asked = hours[at]
        elif same:
            part = share / max(_share(same[-1], start, end), 1e-9)
            asked = scaled([hours[same[-1]]], part)
        else:
            latest = known[-3:] if at.hour in DAYTIME else []
            asked = scaled([hours[hour] for hour in latest], share)
        found.append(Hour(at, at in life.hours, asked))
        at += HOUR
    return found


def averaged(lives: Sequence[list[Hour]]) -> list[Hour]:
    """The mean of several lives, hour by hour."""
    return [
        Hour(hours[0].at, hours[0].lived, scaled([hour.asked for hour in hours], 1.0))
        for hours in zip(*lives)
    ]


def scaled(many: Sequence[Tallies], share: float) -> Tallies:
    """A share of the mean of tallies."""
    sums: Tallies = {}
    for tallies in many:
        merge(sums, tallies, share / len(many))
    return sums


def merge(sums: Tallies, tallies: Tallies, share: float = 1.0) -> None:
    """Add tallies to sums."""
    for key, tally in tallies.items():
        sums.setdefault(key, Tally()).add(tally, share)


def floor(at: Time) -> Time:
    """The full hour before a moment."""
    return at.replace(minute=0, second=0, microsecond=0)


def _share(hour: Time, start: Time, end: Time) -> float:
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
        for number in range(COMMITS):
            with store.transaction():
                store.put("forecast", [number, "a step's entry, of about its length" * 20])
        return (time.perf_counter() - began) / COMMITS
