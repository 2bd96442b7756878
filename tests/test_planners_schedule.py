"""Days changed when something comes up, without gap or overlap."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from denizens.core import (
    Affordance,
    AgentState,
    Observation,
    Persona,
    RoutineEntry,
    ScheduleEntry,
    Seed,
    Situation,
)
from denizens.planners import StepBuilder
from denizens.planners.daily.day_plan import revise_schedule
from hypothesis import assume, given, settings
from hypothesis import strategies as st

DAY = datetime(2023, 2, 13)


def clock(minute: int) -> str:
    hour, rest = divmod(minute % 1440, 60)
    return f"{(hour + 11) % 12 + 1}:{rest:02d}{'am' if hour < 12 else 'pm'}"


def bo(wake: int = 6 * 60, sleep: int = 22 * 60, *routine: RoutineEntry) -> Persona:
    return Persona(
        name="Bo Li",
        currently="Bo Li worries.",
        lifestyle=f"wakes up at {clock(wake)}, goes to bed at {clock(sleep)}",
        home="v:Mill:bedroom",
        routine=routine,
    )


def situation(now: datetime, persona: Persona, state: AgentState | None = None) -> Situation:
    return Situation(
        persona=persona,
        state=state or AgentState(records=1),
        seen=Observation(persona.name, now, "v:Mill:bedroom"),
        fresh=(),
        can=(
            Affordance("wait"),
            Affordance("act", "v:Mill:bedroom:bed"),
            Affordance("act", "v:Bakery:room:oven"),
        ),
        tools=(),
        inputs=(),
        now=now,
        seed=Seed.of(1),
    )


def ends(slot: ScheduleEntry) -> datetime:
    return slot.start + timedelta(minutes=slot.minutes)


def contiguous(schedule: tuple[ScheduleEntry, ...]) -> bool:
    """No slot is empty, none begins before or after the one before it ends."""
    return all(slot.minutes > 0 for slot in schedule) and all(
        ends(one) == other.start for one, other in pairwise(schedule)
    )


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
