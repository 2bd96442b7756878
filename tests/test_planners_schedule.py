"""Days changed when something comes up, without gap or overlap."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from denizens.core import (
    AgentState,
    ScheduleEntry,
)
from denizens.planners import StepBuilder
from denizens.planners.daily.day_plan import revise_schedule
from denizens.tests.support.day_situations import DAY, bo, contiguous, ends, situation
from hypothesis import assume, given, settings
from hypothesis import strategies as st


def block(minutes: int, *, begun: int = 0, fine: bool = False) -> ScheduleEntry:
    """A block in whose ``begun``-th minute it is nine o'clock."""
    start = DAY.replace(hour=9) - timedelta(minutes=begun)
    return ScheduleEntry(start=start, minutes=minutes, doing="baking bread", fine=fine)


DAYS = st.lists(st.integers(1, 200), min_size=1, max_size=8)


def day_of(lengths: list[int], start: datetime) -> tuple[ScheduleEntry, ...]:
    """A day without gaps: slots of these lengths."""
    slots = []
    for number, minutes in enumerate(lengths):
        slots.append(ScheduleEntry(start=start, minutes=minutes, doing=f"block {number}"))
        start = ends(slots[-1])
    return tuple(slots)


@settings(max_examples=150, deadline=None)
@given(DAYS, st.integers(0, 600), st.integers(1, 120))
def test_a_changed_day_stays_without_gap_or_overlap(
    lengths: list[int], minute: int, minutes: int
) -> None:
    """Something new takes its time from what was planned then, and only from that."""
    schedule = day_of(lengths, DAY)
    total = sum(lengths)
    assume(minute <= total)
    now = DAY + timedelta(minutes=minute)
    draft = StepBuilder(situation(now, bo(), AgentState(schedule=schedule, doing=schedule[0])))
    revise_schedule(draft, "helping Ada", minutes)
    changed = draft.state.schedule
    assert contiguous(changed)
    assert changed[0].start == (DAY if minute else now)
    assert ends(changed[-1]) == max(
        DAY + timedelta(minutes=total), now + timedelta(minutes=minutes)
    )
    (new,) = [slot for slot in changed if slot.doing == "helping Ada"]
    assert (new.start, new.minutes, new.fine) == (now, minutes, True)
    assert draft.state.doing is None
    kept = {slot.doing: slot for slot in schedule}
    for slot in changed:
        if slot is not new:
            old = kept[slot.doing]
            assert old.start <= slot.start
            assert ends(slot) <= ends(old)
            assert replace(slot, start=old.start, minutes=old.minutes) == old


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 7199), st.integers(1, 60))
def test_a_change_between_minutes_overlaps_nothing(seconds: int, minutes: int) -> None:
    """In a world of ten-second steps slots lose at most the broken minute, and none overlaps."""
    now = DAY + timedelta(seconds=seconds)
    draft = StepBuilder(situation(now, bo(), AgentState(schedule=day_of([60, 30, 30], DAY))))
    revise_schedule(draft, "helping Ada", minutes)
    changed = draft.state.schedule
    for one, other in pairwise(changed):
        assert timedelta(0) <= other.start - ends(one) < timedelta(minutes=1)


def test_two_changes_give_way_to_the_later() -> None:
    """What comes up last is what is done; the first goes on after it."""
    draft = StepBuilder(situation(DAY.replace(hour=9), bo(), AgentState(schedule=(block(60),))))
    revise_schedule(draft, "helping Ada", 40)
    revise_schedule(draft, "calling Cy", 10)
    assert [(slot.doing, slot.minutes) for slot in draft.state.schedule] == [
        ("calling Cy", 10),
        ("helping Ada", 30),
        ("baking bread", 20),
    ]
