"""Random asks against a tiny engine, compared with the same asks alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from denizens.core import Choose, Done, Message, ModelAsk, Option, Rate
from denizens.models.engine.backends import PrefixCacheBackend, min_cache_tokens
from denizens.models.engine.scheduler import BatchLimits
from denizens.testing.tiny_models import WORDS
from denizens.tests.support.tiny_models import DrawRecorder, answers, generate_ask, record_draws

if TYPE_CHECKING:
    from denizens.models import LocalModel
    from denizens.models.engine import Engine

SCHEMA = {
    "type": "object",
    "properties": {"mood": {"enum": ["glad", "sad"]}, "hours": {"type": "integer"}},
    "required": ["mood", "hours"],
    "additionalProperties": False,
}


def words(random: Random, count: int) -> str:
    return " ".join(random.choice(WORDS.split()) for _ in range(count))


def prompt(random: Random) -> str:
    """One of a few beginnings of up to 90 tokens, cut anywhere, and a unique end."""
    beginning = words(Random(random.randrange(3)), 60)
    cut = random.choice([0, 10, 120, len(beginning), len(beginning)])
    return beginning[:cut] + " " + words(random, random.randint(1, 30))


def random_ask(random: Random, seed: int, longest: int = 110) -> ModelAsk:
    """A random ask; Generates have the seed by which they are recorded."""
    text = prompt(random)
    kind = random.randrange(8)
    if kind == 6:
        options = tuple(Option(words(Random(i), 1 + i % 3) + str(i)) for i in range(4))
        return Choose(messages=(Message.of("user", text),), options=options, about=text[-40:])
    if kind == 7:
        return Rate(messages=(Message.of("user", text),), about=text[:30], low=1, high=5)
    return generate_ask(
        text,
        seed=seed,
        max_tokens=40 if kind == 5 else random.choice([1, 20, longest]),
        temperature=random.choice([0.0, 0.0, 0.7, 1.3]),
        top_p=random.choice([1.0, 0.9]),
        top_k=random.choice([0, 5]),
        schema=SCHEMA if kind == 5 else None,
        stream=kind == 4,
        stop=("th",) if kind == 3 else (),
    )


@dataclass
class IsolatedAnswers:
    """What asks draw and are answered when each has a fresh engine for itself."""

    model: LocalModel
    known: dict[str, tuple[DrawRecorder, Any]] = field(default_factory=dict)

    def of(self, ask: ModelAsk) -> tuple[DrawRecorder, Any]:
        key = repr(ask)
        if key not in self.known:
            self.model.engine.backend.clear_cache()
            with record_draws() as seen:
                (answer,) = answers(self.model, [ask])
            self.known[key] = (seen, answer)
        return self.known[key]


@dataclass
class FuzzedEngine:
    """Asks that come, run and are cancelled in random order; only some are compared."""

    engine: Engine
    random: Random
    done: dict[int, Any] = field(default_factory=dict)
    cancelled: set[int] = field(default_factory=set)
    tickets: int = 0

    def submit(self, ask: ModelAsk) -> int:
        self.tickets += 1
        self.engine.submit(self.tickets, ask, "", self.random.choice([0, 0, 1, 2]))
        return self.tickets

    def step(self) -> None:
        for event in self.engine.step():
            if isinstance(event, Done):
                assert event.ticket not in self.done
                self.done[event.ticket] = event.answer

    def play(self, asks: Sequence[ModelAsk], neighbours: Sequence[ModelAsk]) -> list[int]:
        """Everything in a random order, passes between; the tickets of ``asks``."""
        random = self.random
        coming: list[tuple[int | None, ModelAsk]] = [(None, one) for one in neighbours]
        for place, one in enumerate(asks):
            coming.insert(random.randint(0, len(coming)), (place, one))
        tickets = [0] * len(asks)
        beside: list[int] = []
        while coming or len(self.engine):
            while coming and random.random() < 0.5:
                which, ask = coming.pop(0)
                ticket = self.submit(ask)
                if which is None:
                    beside.append(ticket)
                else:
                    tickets[which] = ticket
            if beside and random.random() < 0.05:
                ticket = beside.pop(random.randrange(len(beside)))
                self.engine.cancel(ticket)
                self.cancelled.add(ticket)
            self.step()
            assert self.engine.check_invariants() == []
        return tickets


def resize(random: Random, model: LocalModel) -> None:
    """A cache that holds two or three prompts, or plenty; passes of few tokens, or many."""
    keeper = model.engine.backend
    if isinstance(keeper, PrefixCacheBackend):
        keeper.clear_cache()
        least = min_cache_tokens(model.prompt_builder.window)
        keeper.limit = random.choice([least, least, least, least + 100, 20 * least])
    limits = BatchLimits(rows=random.choice([3, 16, 16]), pass_tokens=random.choice([16, 40, 200]))
    model.engine.scheduler.limits = model.engine.limits = limits
