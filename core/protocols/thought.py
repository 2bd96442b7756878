"""Thoughts: generators that yield asks, and the driver that answers them.

A thought yields a tuple of asks and is sent the tuple of their answers. Use the typed helpers
below instead of a bare ``yield``: ``answer = yield from generate(...)``.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar, cast, overload

from ..argument_checks import check_arguments
from ..types import AgentId
from .asks import (
    Answer,
    Ask,
    Call,
    Choice,
    Choose,
    Completion,
    Embed,
    Failed,
    Generate,
    Rate,
    Rating,
    Recall,
    Recalled,
    ToolResult,
    Vectors,
)

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

Thought: TypeAlias = Generator[tuple[Ask, ...], tuple[Answer, ...], T]


@dataclass(frozen=True, slots=True, order=True)
class AskId:
    """The identity of an ask, assigned by the driver: the step, the agent, and the path in its
    thought (``round.place``)."""

    step: int
    agent: AgentId
    path: str


@dataclass(frozen=True, slots=True)
class AnsweredAsk:
    """An ask of a thought and its answer."""

    ask: Ask
    answer: Answer


class AskHandler(Protocol):
    """Answers asks by models, memories and tools, or from a record."""

    def submit(self, where: AskId, ask: Ask) -> None:
        """Accept an ask; never blocks."""

    def wait(self) -> Sequence[tuple[AskId, Answer]]:
        """Block until at least one submitted ask is answered."""


def generate(ask: Generate) -> Thought[Completion | Failed]:
    """Generate text or JSON."""
    (answer,) = yield (ask,)
    return cast(Completion | Failed, answer)


def choose(ask: Choose) -> Thought[Choice | Failed]:
    """Choose an option."""
    (answer,) = yield (ask,)
    return cast(Choice | Failed, answer)


def rate(ask: Rate) -> Thought[Rating | Failed]:
    """Rate a text."""
    (answer,) = yield (ask,)
    return cast(Rating | Failed, answer)


def embed(ask: Embed) -> Thought[Vectors | Failed]:
    """Embed texts."""
    (answer,) = yield (ask,)
    return cast(Vectors | Failed, answer)


def recall(ask: Recall) -> Thought[Recalled | Failed]:
    """Recall records from the agent's memory."""
    (answer,) = yield (ask,)
    return cast(Recalled | Failed, answer)


def call(ask: Call) -> Thought[ToolResult | Failed]:
    """Call a tool."""
    (answer,) = yield (ask,)
    return cast(ToolResult | Failed, answer)


@check_arguments
def all_of(thoughts: Sequence[Thought[T]]) -> Thought[tuple[T, ...]]:
    """Run thoughts side by side; returns their results in the same order."""
    waiting: dict[int, tuple[Ask, ...]] = {}
    results: dict[int, T] = {}

    def advance(place: int, answers: tuple[Answer, ...] | None) -> None:
        try:
            thought = thoughts[place]
            waiting[place] = next(thought) if answers is None else thought.send(answers)
        except StopIteration as end:
            results[place] = end.value

    for place in range(len(thoughts)):
        advance(place, None)
    while waiting:
        places = list(waiting)
        answers = yield tuple(ask for place in places for ask in waiting[place])
        start = 0
        for place in places:
            size = len(waiting.pop(place))
            advance(place, answers[start : start + size])
            start += size
    return tuple(results[place] for place in range(len(thoughts)))


@overload
def together(a: Thought[A], b: Thought[B], /) -> Thought[tuple[A, B]]: ...
@overload
def together(a: Thought[A], b: Thought[B], c: Thought[C], /) -> Thought[tuple[A, B, C]]: ...
@check_arguments
def together(*thoughts: Thought[object]) -> Thought[tuple[object, ...]]:
    """Run two or three thoughts of different types side by side; returns their results."""
    return all_of(thoughts)


@check_arguments
def traced(thought: Thought[T], log: list[AnsweredAsk]) -> Thought[T]:
    """Run a thought unchanged and append each ask and its answer to ``log``."""
    try:
        asks = next(thought)
        while True:
            answers = yield asks
            log.extend(map(AnsweredAsk, asks, answers))
            asks = thought.send(answers)
    except StopIteration as end:
        return cast(T, end.value)


@check_arguments
def drive(
    thoughts: Mapping[AgentId, Thought[T]], handler: AskHandler, *, step: int = 0
) -> dict[AgentId, T]:
    """Drive one thought per agent to its end, side by side, and return the results.

    A thought goes on as soon as its own asks are answered. Thoughts are isolated, so results do
    not depend on the order of answers. An exception in a thought closes all others and is
    raised.
    """
    results: dict[AgentId, T] = {}
    open_asks: dict[AgentId, list[Answer | None]] = {}
    rounds = dict.fromkeys(thoughts, 0)

    def advance(who: AgentId, answers: tuple[Answer, ...] | None) -> None:
        try:
            while True:
                thought = thoughts[who]
                asks = next(thought) if answers is None else thought.send(answers)
                rounds[who] += 1
                answers = ()
                if asks:
                    break
        except StopIteration as end:
            results[who] = end.value
            return
        open_asks[who] = [None] * len(asks)
        for place, ask in enumerate(asks):
            handler.submit(AskId(step, who, f"{rounds[who]}.{place}"), ask)

    try:
        for who in thoughts:
            advance(who, None)
        while open_asks:
            for where, answer in handler.wait():
                answers = open_asks[where.agent]
                answers[int(where.path.partition(".")[2])] = answer
                complete = tuple(one for one in answers if one is not None)
                if len(complete) == len(answers):
                    del open_asks[where.agent]
                    advance(where.agent, complete)
    finally:
        for thought in thoughts.values():
            thought.close()
    return {who: results[who] for who in thoughts}
