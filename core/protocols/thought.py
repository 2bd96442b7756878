"""Thoughts: generators that ask, and the driver that answers them.

A thought yields a tuple of asks and is sent the tuple of their answers. Nobody writes a
bare ``yield``: the typed helpers below do.
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
    """Where an ask stands in a run: the step, the agent, and the path in its thought
    (``round.place``). Given by the driver; asks carry no identity."""

    step: int
    agent: AgentId
    path: str


@dataclass(frozen=True, slots=True)
class AnsweredAsk:
    """An ask of a thought with its answer, kept to explain a step."""

    ask: Ask
    answer: Answer


class AskHandler(Protocol):
    """What answers asks: models, memories, tools, or a record of them."""

    def submit(self, where: AskId, ask: Ask) -> None:
        """Take an ask in; never blocks."""
        ...

    def wait(self) -> Sequence[tuple[AskId, Answer]]:
        """Block until something submitted is answered; at least one pair."""
        ...


def generate(ask: Generate) -> Thought[Completion | Failed]:
    """Ask for text."""
    (answer,) = yield (ask,)
    return cast(Completion | Failed, answer)


def choose(ask: Choose) -> Thought[Choice | Failed]:
    """Ask which option fits."""
    (answer,) = yield (ask,)
    return cast(Choice | Failed, answer)


def rate(ask: Rate) -> Thought[Rating | Failed]:
    """Ask for a rating."""
    (answer,) = yield (ask,)
    return cast(Rating | Failed, answer)


def embed(ask: Embed) -> Thought[Vectors | Failed]:
    """Ask for embeddings."""
    (answer,) = yield (ask,)
    return cast(Vectors | Failed, answer)


def recall(ask: Recall) -> Thought[Recalled | Failed]:
    """Ask the memory."""
    (answer,) = yield (ask,)
    return cast(Recalled | Failed, answer)


def call(ask: Call) -> Thought[ToolResult | Failed]:
    """Call a tool."""
    (answer,) = yield (ask,)
    return cast(ToolResult | Failed, answer)


@check_arguments
def all_of(thoughts: Sequence[Thought[T]]) -> Thought[tuple[T, ...]]:
    """Run any number of thoughts side by side; their results in the same order."""
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
        at = 0
        for place in places:
            size = len(waiting.pop(place))
            advance(place, answers[at : at + size])
            at += size
    return tuple(results[place] for place in range(len(thoughts)))


@overload
def together(a: Thought[A], b: Thought[B], /) -> Thought[tuple[A, B]]: ...
@overload
def together(a: Thought[A], b: Thought[B], c: Thought[C], /) -> Thought[tuple[A, B, C]]: ...
@check_arguments
def together(*thoughts: Thought[object]) -> Thought[tuple[object, ...]]:
    """Run two or three thoughts of different types side by side."""
    return all_of(thoughts)


@check_arguments
def traced(thought: Thought[T], log: list[AnsweredAsk]) -> Thought[T]:
    """Pass a thought through unchanged, appending each ask and answer to ``log``."""
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
    thoughts: Mapping[AgentId, Thought[T]], faculties: AskHandler, *, step: int = 0
) -> dict[AgentId, T]:
    """Drive one thought per agent to its end, all side by side.

    A thought goes on as soon as *its own* asks are answered, whatever the others wait for.
    Thoughts are isolated, so the results do not depend on the order of answers. An
    exception in a thought is a programming error: it closes the others and is raised.
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
            faculties.submit(AskId(step, who, f"{rounds[who]}.{place}"), ask)

    try:
        for who in thoughts:
            advance(who, None)
        while open_asks:
            for where, answer in faculties.wait():
                slots = open_asks[where.agent]
                slots[int(where.path.partition(".")[2])] = answer
                if all(slot is not None for slot in slots):
                    del open_asks[where.agent]
                    advance(where.agent, tuple(slot for slot in slots if slot is not None))
    finally:
        for thought in thoughts.values():
            thought.close()
    return {who: results[who] for who in thoughts}
