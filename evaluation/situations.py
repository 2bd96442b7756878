"""Situations to try a planner in: alone, at work, in a talk, at night, with goals and tools."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from ..core import (
    Affordance,
    AgentState,
    Event,
    Input,
    Line,
    Neighbour,
    Observation,
    Persona,
    Seed,
    Situation,
    Slot,
    Talk,
)
from ..planners import Goal, with_goals
from ..tools import calculator, calendar, clock

ANA = Persona(
    name="Ana Ek",
    traits="curious",
    background="Ana Ek keeps the town's books.",
    currently="Ana Ek is looking for a lost letter.",
    lifestyle="Ana goes to bed around 11pm, awakes up around 6am",
    daily="opens the office at 8am, has lunch at noon",
    home="town:Ana's house",
)
NOON = datetime(2026, 5, 4, 12)
PLACES = ("town:Ana's house:bedroom:bed", "town:Office:desk room:desk", "town:Park:lawn:bench")
DOING = {
    "type": "object",
    "properties": {
        "doing": {"type": "string", "minLength": 1},
        "emoji": {"type": "string"},
        "asleep": {"type": "boolean"},
    },
    "required": ["doing"],
}
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
STAYING = (Affordance("wait"), Affordance("continue"))
OUT = (*(Affordance("act", place, DOING) for place in PLACES), Affordance("talk", "Bo Li"))
TOOLS = (calculator.spec, clock.spec, calendar.spec)


def situations() -> tuple[Situation, ...]:
    """The usual ones. Each is complete: nothing has to be set up for it."""
    plain = Situation(
        persona=ANA,
        state=AgentState(records=3, day=NOON.date().isoformat()),
        seen=Observation(ANA.name, NOON, "town:Office:desk room", target=PLACES[1]),
        fresh=(),
        can=(*STAYING, *OUT),
        tools=(),
        inputs=(),
        now=NOON,
        seed=Seed.of(5),
    )
    slot = Slot(start=NOON - timedelta(minutes=5), minutes=60, doing="doing sums", place=PLACES[1])
    goal = Goal(text="Work out what 17 loaves at 3 francs cost.")
    armed = replace(plain, tools=TOOLS)
    wanted = replace(armed, state=with_goals(replace(armed.state, doing=slot), [goal]))
    whisper = Input(kind="whisper", to=ANA.name, text="goal: Tell Bo that the letter is found.")
    return (
        plain,
        replace(plain, can=(), tools=TOOLS),
        replace(plain, state=AgentState(reflect_left=-1.0)),
        _met(armed),
        wanted,
        replace(armed, inputs=(whisper, Input(kind="whisper", to=ANA.name, text="It rains."))),
        replace(wanted, can=()),
        _night(wanted),
        _talking(wanted, floor=ANA.name),
        _talking(armed, floor="Bo Li"),
        _talking(armed, floor="", ended=True),
        _refused(wanted),
    )


def _met(base: Situation) -> Situation:
    event = Event("doing", "Bo Li", "is", "baking", "Bo Li is baking", "town:Office:desk room")
    bo = Neighbour("Bo Li", 2, "baking")
    seen = replace(base.seen, events=(event,), people=(bo,))
    return replace(base, seen=seen, fresh=(event,))


def _night(base: Situation) -> Situation:
    late = NOON.replace(hour=2)
    return replace(base, now=late, seen=replace(base.seen, at=late))


def _talking(base: Situation, *, floor: str, ended: bool = False) -> Situation:
    said = (("Bo Li", "Found it?"), (ANA.name, "Not yet."), ("Bo Li", "What is 17 times 3?"))
    lines = tuple(Line(who, text, NOON) for who, text in said)
    talk = Talk("t1", (ANA.name, "Bo Li"), floor, lines, ended)
    mine = (Affordance("say", "", TEXT), Affordance("leave"))
    can = mine if floor == ANA.name else (Affordance("listen"), Affordance("leave"))
    everything = OUT if ended else can
    return replace(base, seen=replace(base.seen, talk=talk), can=(*everything, *STAYING))


def _refused(base: Situation) -> Situation:
    told = Event("refused", ANA.name, "could not", "act", "the desk is taken")
    return replace(base, seen=replace(base.seen, notices=(told,)))
