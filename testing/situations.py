"""Sample situations: alone, at work, in a conversation, at night, with goals and tools."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from ..core import (
    Affordance,
    AgentState,
    ConversationView,
    Event,
    Input,
    Observation,
    Persona,
    ScheduleEntry,
    Seed,
    Situation,
    Utterance,
    VisibleAgent,
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
ACT_SCHEMA = {
    "type": "object",
    "properties": {
        "doing": {"type": "string", "minLength": 1},
        "emoji": {"type": "string"},
        "asleep": {"type": "boolean"},
    },
    "required": ["doing"],
}
SAY_SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
STAY_AFFORDANCES = (Affordance("wait"), Affordance("continue"))
PLACE_AFFORDANCES = (
    *(Affordance("act", place, ACT_SCHEMA) for place in PLACES),
    Affordance("talk", "Bo Li"),
)
TOOLS = (calculator.spec, clock.spec, calendar.spec)


def default_situations() -> tuple[Situation, ...]:
    """Twelve complete situations; nothing else has to be set up for them."""
    plain = Situation(
        persona=ANA,
        state=AgentState(records=3, day=NOON.date().isoformat()),
        seen=Observation(ANA.name, NOON, "town:Office:desk room", target=PLACES[1]),
        fresh=(),
        can=(*STAY_AFFORDANCES, *PLACE_AFFORDANCES),
        tools=(),
        inputs=(),
        now=NOON,
        seed=Seed.of(5),
    )
    slot = ScheduleEntry(
        start=NOON - timedelta(minutes=5), minutes=60, doing="doing sums", place=PLACES[1]
    )
    goal = Goal(text="Work out what 17 loaves at 3 francs cost.")
    with_tools = replace(plain, tools=TOOLS)
    with_goal = replace(with_tools, state=with_goals(replace(with_tools.state, doing=slot), [goal]))
    whisper = Input(kind="whisper", to=ANA.name, text="goal: Tell Bo that the letter is found.")
    return (
        plain,
        replace(plain, can=(), tools=TOOLS),
        replace(plain, state=AgentState(reflect_left=-1.0)),
        _meeting(with_tools),
        with_goal,
        replace(with_tools, inputs=(whisper, Input(kind="whisper", to=ANA.name, text="It rains."))),
        replace(with_goal, can=()),
        _night(with_goal),
        _talking(with_goal, floor=ANA.name),
        _talking(with_tools, floor="Bo Li"),
        _talking(with_tools, floor="", ended=True),
        _after_refusal(with_goal),
    )


def _meeting(base: Situation) -> Situation:
    event = Event("doing", "Bo Li", "is", "baking", "Bo Li is baking", "town:Office:desk room")
    bo = VisibleAgent("Bo Li", 2, "baking")
    seen = replace(base.seen, events=(event,), people=(bo,))
    return replace(base, seen=seen, fresh=(event,))


def _night(base: Situation) -> Situation:
    late = NOON.replace(hour=2)
    return replace(base, now=late, seen=replace(base.seen, at=late))


def _talking(base: Situation, *, floor: str, ended: bool = False) -> Situation:
    said = (("Bo Li", "Found it?"), (ANA.name, "Not yet."), ("Bo Li", "What is 17 times 3?"))
    lines = tuple(Utterance(who, text, NOON) for who, text in said)
    talk = ConversationView("t1", (ANA.name, "Bo Li"), floor, lines, ended)
    mine = (Affordance("say", "", SAY_SCHEMA), Affordance("leave"))
    can = mine if floor == ANA.name else (Affordance("listen"), Affordance("leave"))
    everything = PLACE_AFFORDANCES if ended else can
    return replace(base, seen=replace(base.seen, talk=talk), can=(*everything, *STAY_AFFORDANCES))


def _after_refusal(base: Situation) -> Situation:
    told = Event("refused", ANA.name, "could not", "act", "the desk is taken")
    return replace(base, seen=replace(base.seen, notices=(told,)))
