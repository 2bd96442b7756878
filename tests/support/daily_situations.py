"""Bo Li decides by Daily: situations at a moment, and a mind that answers by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from denizens.core import (
    Affordance,
    AgentState,
    Answer,
    Ask,
    Choice,
    Choose,
    Completion,
    ConversationView,
    Decision,
    Embed,
    Event,
    Generate,
    Input,
    Observation,
    Persona,
    Rate,
    Rating,
    Recall,
    Record,
    Seed,
    Situation,
    Vectors,
)
from denizens.planners import Daily
from denizens.tests.support.planner_driver import run
from denizens.tests.support.recalled_records import recalled

DAY = datetime(2023, 2, 13)
NINE = DAY.replace(hour=9)
BED, OVEN = "v:Mill:bedroom:bed", "v:Bakery:room:oven"
PLACES = (BED, "v:Mill:kitchen:stove", OVEN, "v:Bakery:room:counter", "v:Park:garden:bench")
CAN = (Affordance("wait"), Affordance("continue"), *(Affordance("act", one) for one in PLACES))
BO = Persona(
    name="Bo Li",
    currently="Bo Li worries.",
    lifestyle="Bo wakes up at 6am, goes to bed at 10pm",
    home="v:Mill:bedroom",
)
ADA = Event("doing", "Ada", "is", "reading", "Ada is reading")


@dataclass
class Mind:
    """Answers by hand. Choices take the first option, or the one that ``wanted`` names."""

    records: list[Record] = field(default_factory=list)
    wanted: dict[str, str] = field(default_factory=dict)
    importance: float = 4.0
    say: Callable[[Generate], str] = lambda ask: f"baking loaf {ask.seed % 1000} for Ada"
    asks: list[Ask] = field(default_factory=list)

    def answer(self, ask: Ask) -> Answer:
        self.asks.append(ask)
        if isinstance(ask, Recall):
            return recalled(self.records[: ask.cue.limit])
        if isinstance(ask, Generate):
            return Completion(text=self.say(ask))
        if isinstance(ask, Choose):
            names = [option.name for option in ask.options]
            name = self.wanted.get(ask.role, names[0])
            spread = [1.0 / (2 + place) for place in range(len(names))]
            spread[names.index(name) if name in names else 0] = 1.0
            total = sum(spread)
            return Choice(index=spread.index(1.0), probabilities=tuple(p / total for p in spread))
        if isinstance(ask, Rate):
            return Rating(value=self.importance, probabilities=())
        assert isinstance(ask, Embed)
        return Vectors.of(np.eye(len(ask.texts), 8, dtype=np.float32))

    def kinds(self) -> list[str]:
        return [ask.kind for ask in self.asks]

    def roles(self) -> list[str]:
        return [ask.role for ask in self.asks if isinstance(ask, Choose | Generate)]


def situation(
    now: datetime = NINE,
    state: AgentState | None = None,
    *,
    fresh: tuple[Event, ...] = (),
    talk: ConversationView | None = None,
    can: tuple[Affordance, ...] = CAN,
    inputs: tuple[Input, ...] = (),
    notices: tuple[Event, ...] = (),
    persona: Persona = BO,
) -> Situation:
    return Situation(
        persona=persona,
        state=state or AgentState(),
        seen=Observation(BO.name, now, "v:Mill:bedroom", events=fresh, talk=talk, notices=notices),
        fresh=fresh,
        can=can,
        tools=(),
        inputs=inputs,
        now=now,
        seed=Seed.of(1).child(now.isoformat()),
    )


def lived(given: Situation, mind: Mind, planner: Daily | None = None) -> Decision:
    made = run((planner or Daily()).decide(given), mind)
    assert isinstance(made, Decision)
    return made


def memory(number: int, text: str = "", depth: int = 0) -> Record:
    return Record(
        id=number, kind="observation", text=text or f"m{number}", created=DAY, depth=depth
    )
