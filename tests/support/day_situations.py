"""Bo Li's days: a persona with given hours, the situation at a moment, and checks of schedules."""

from __future__ import annotations

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

DAY = datetime(2023, 2, 13)
OVEN = "v:Bakery:room:oven"


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
        can=(Affordance("wait"), Affordance("act", "v:Mill:bedroom:bed"), Affordance("act", OVEN)),
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
