"""Runs planners without a model: the test answers the asks, and counts them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol, TypeVar

from denizens.core import (
    NONE_OF_THESE,
    Affordance,
    AgentState,
    Answer,
    AnsweredAsk,
    Ask,
    Call,
    Choice,
    Choose,
    Completion,
    Embed,
    Failed,
    Generate,
    Json,
    Observation,
    Persona,
    Rate,
    Rating,
    Recall,
    Recalled,
    Seed,
    Situation,
    Thought,
    ToolResult,
    ToolSpec,
    traced,
)
from denizens.models import hashed_vectors
from denizens.planners import Goal, Task, with_goals
from denizens.testing import Answerer

T = TypeVar("T")
Tools = Mapping[str, Callable[[Json], Json]]
AT = datetime(2026, 5, 4, 9)


def spec(name: str, *fields: str, effect: str = "reads") -> ToolSpec:
    """A tool with text fields."""
    schema = {
        "type": "object",
        "properties": {field: {"type": "string"} for field in fields},
        "required": list(fields),
        "additionalProperties": False,
    }
    return ToolSpec(name, f"What {name.replace('_', ' ')} tells.", schema, effect)  # type: ignore[arg-type]


def task(goal: str, *tools: ToolSpec, **more: object) -> Task:
    """A task at nine."""
    return Task(goal=goal, seed=Seed.of(1), now=AT, tools=tools, **more)  # type: ignore[arg-type]


PRICE = spec("price", "thing")
DOING = {
    "type": "object",
    "properties": {"doing": {"type": "string", "minLength": 1}},
    "required": ["doing"],
}
PLACES = ("v:Bakery:room:oven", "v:Park:lawn:bench")
CAN = (Affordance("wait"), *(Affordance("act", place, DOING) for place in PLACES))


def situation(*goals: str, can: tuple[Affordance, ...] = (), **more: object) -> Situation:
    """A situation of Bo Li in the bakery with these goals."""
    base = Situation(
        persona=Persona(name="Bo Li"),
        state=with_goals(AgentState(records=2), [Goal(text=text) for text in goals]),
        seen=Observation("Bo Li", AT, "v:Bakery:room"),
        fresh=(),
        can=can,
        tools=(PRICE,),
        inputs=(),
        now=AT,
        seed=Seed.of(3),
    )
    return replace(base, **more)  # type: ignore[arg-type]


class AskAnswerer(Protocol):
    """What answers the asks of a thought."""

    def answer(self, ask: Ask) -> Answer:
        """The answer to an ask."""


def run(thought: Thought[T], mind: AskAnswerer) -> T:
    """A thought's result, its asks answered by ``mind``."""
    try:
        asks = next(thought)
        while True:
            asks = thought.send(tuple(mind.answer(ask) for ask in asks))
    except StopIteration as end:
        result: T = end.value
        return result


class ScriptedAnswers:
    """Answers asks as a test tells it: ``moves`` are the names to choose, one a decision;
    ``arguments`` the calls' arguments, one a fill; ``texts`` what is written, by role;
    ``tools`` what calls give (an exception is a failure). Everything else fails the test.
    """

    def __init__(
        self,
        *,
        moves: Sequence[str] = (),
        arguments: Sequence[Json] = (),
        texts: Mapping[str, Sequence[Json]] | None = None,
        tools: Tools | None = None,
        ratings: Callable[[Rate], float] | None = None,
        recalled: Answer | None = None,
        **choices: Sequence[str],
    ) -> None:
        self.choices = {"tool": list(moves), **{k: list(v) for k, v in choices.items()}}
        self.texts = {role: list(given) for role, given in (texts or {}).items()}
        self.texts["arguments"] = [json.dumps(one) for one in arguments]
        self.tools = tools or {}
        self.ratings = ratings
        self.recalled = recalled or Recalled(hits=())
        self.log: list[AnsweredAsk] = []

    def think(self, thought: Thought[T]) -> T:
        """A thought's result, its asks logged."""
        return run(traced(thought, self.log), self)

    def answer(self, ask: Ask) -> Answer:
        """The answer that the test holds ready."""
        if isinstance(ask, Choose):
            return self._choice(ask)
        if isinstance(ask, Generate):
            text = self.texts[ask.role].pop(0)
            if isinstance(text, Failed):
                return text
            plain = text if isinstance(text, str) else json.dumps(text)
            return Completion(text=plain, data=None if ask.schema is None else json.loads(plain))
        if isinstance(ask, Call):
            try:
                return ToolResult(ok=True, value=self.tools[ask.tool](ask.arguments), receipt="r")
            except ValueError as error:
                return ToolResult(ok=False, error=str(error), receipt="r", reason="failed")
        if isinstance(ask, Rate):
            value = self.ratings(ask) if self.ratings else 3.0
            return Rating(value=value, probabilities=())
        if isinstance(ask, Embed):
            return hashed_vectors(ask)
        assert isinstance(ask, Recall)
        return self.recalled

    def _choice(self, ask: Choose) -> Answer:
        name = self.choices[ask.role].pop(0)
        if name == "!":
            return Failed(reason="engine", detail="out of memory")
        names = [option.name for option in ask.options]
        place = names.index(NONE_OF_THESE.name if name == "none" else name)
        spread = tuple(float(place == at) for at in range(len(names)))
        return Choice(index=place, probabilities=spread)

    def kinds(self) -> list[str]:
        """What was asked, in order: the role of a model's ask, else its kind."""
        return [getattr(one.ask, "role", one.ask.kind) for one in self.log]

    def done(self) -> bool:
        """Whether everything held ready was asked for."""
        return not any(self.choices.values()) and not any(self.texts.values())

    def offered(self, number: int = -1) -> list[str]:
        """The names among which the ``number``-th decision about tools was made."""
        asks = [one.ask for one in self.log if isinstance(one.ask, Choose)]
        moves = [ask for ask in asks if ask.role == "tool"]
        return [option.name for option in moves[number].options]

    def prompt(self, role: str) -> str:
        """The words of the last prompt of a role."""
        asks = [one.ask for one in self.log if isinstance(one.ask, Generate)]
        last = [ask for ask in asks if ask.role == role][-1]
        return "\n".join(message.text for message in last.messages)


class ThoughtDriver:
    """Drives a thought with an answerer and counts its asks."""

    def __init__(self, answer: Answerer) -> None:
        self.answer = answer
        self.asks = 0

    def think(self, thought: Thought[T], most: int) -> T:
        """A thought's result; fails when it asks more than ``most``."""
        try:
            asks = next(thought)
            while True:
                self.asks += len(asks)
                assert self.asks <= most, f"{self.asks} asks"
                asks = thought.send(tuple(self.answer(ask) for ask in asks))
        except StopIteration as end:
            found: T = end.value
            return found
