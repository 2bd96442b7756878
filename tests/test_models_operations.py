"""Ten thousand random operations on an engine with next to no memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from denizens.core import Choose, Completion, Delta, Done, Failed, Message, ModelAsk, Option, Rate
from denizens.models.engine.backends import PrefixCacheBackend, min_cache_tokens
from denizens.models.engine.request import TokenSequence
from denizens.models.engine.scheduler import BatchLimits
from denizens.testing.tiny_models import WORDS
from denizens.tests.support.tiny_models import forgetful, generate_ask, load_engine, write

if TYPE_CHECKING:
    from denizens.models import LocalModel
    from denizens.models.engine import Engine

OPERATIONS = 10_000
WINDOW = 160


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model."""
    return write(tmp_path_factory.mktemp("tiny"), "llama", "mistral")


def words(random: Random, size: int) -> str:
    return " ".join(random.choice(WORDS.split()) for _ in range(size))


def schemas(random: Random) -> Any:
    """One of some schemas, an impossible one among them."""
    kinds: list[Any] = [
        {"enum": ["glad", "sad"]},
        {"type": "array", "items": {"type": "integer"}, "maxItems": 3},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"type": "banana"},
    ]
    return random.choice(kinds)


@dataclass
class Storm:
    """Random operations, and what must be true of them."""

    model: LocalModel
    random: Random
    numbers: Any = field(default_factory=lambda: count(1))
    open: dict[int, ModelAsk] = field(default_factory=dict)
    cancelled: set[int] = field(default_factory=set)
    done: dict[int, Any] = field(default_factory=dict)
    streamed: dict[int, str] = field(default_factory=dict)

    @property
    def engine(self) -> Engine:
        return self.model.engine

    def ask(self) -> ModelAsk:
        """Any kind of ask: lengths from a word to too long, schemas, streams, choices."""
        random = self.random
        begin = words(Random(random.randrange(4)), random.choice([0, 20, 40, 70]))
        text = f"{begin} {words(random, random.choice([1, 3, 20, 60]))}"
        kind = random.random()
        if kind < 0.15:
            options = [
                Option(words(Random(i), 1 + i % 4) + str(i)) for i in range(random.randint(0, 5))
            ]
            message = (Message.of("user", text),)
            return Choose(messages=message, options=tuple(options), about=text[-30:])
        if kind < 0.25:
            low = random.randint(0, 3)
            return Rate(
                messages=(Message.of("user", text),), about="x", low=low, high=random.randint(2, 6)
            )
        return generate_ask(
            text * 6 if kind < 0.28 else text,
            max_tokens=random.choice([0, 1, 2, 5, 12, 60]),
            seed=random.randrange(1000),
            schema=schemas(random) if kind < 0.4 else None,
            stream=kind > 0.8,
            stop=("th", "\n") if kind > 0.9 else (),
            temperature=random.choice([0.0, 1.0, float("nan")]) if kind < 0.6 else 0.8,
        )

    def submit(self) -> None:
        ticket = next(self.numbers)
        self.open[ticket] = self.ask()
        self.engine.submit(
            ticket, self.open[ticket], f"who {ticket % 5}", self.random.randint(0, 2)
        )

    def cancel(self) -> None:
        if self.open:
            ticket = self.random.choice([*self.open])
            del self.open[ticket]
            self.cancelled.add(ticket)
            self.engine.cancel(ticket)

    def step(self) -> None:
        for event in self.engine.step():
            # Nothing is heard of what is cancelled or answered.
            ask = self.open[event.ticket]
            if isinstance(event, Delta):
                self.streamed[event.ticket] = self.streamed.get(event.ticket, "") + event.text
                continue
            del self.open[event.ticket]
            self.done[event.ticket] = event.answer
            if getattr(ask, "stream", False) and isinstance(event.answer, Completion):
                assert self.streamed.pop(event.ticket, "") == event.answer.text

    def settle(self) -> None:
        """Answer what is open, unless that takes for ever."""
        for _ in range(20_000):
            if not len(self.engine):
                return
            self.step()
        raise AssertionError("the engine does not come to an end")

    def change(self) -> None:
        """Other limits from now on, which are never less than one ask needs."""
        limits = BatchLimits(
            rows=self.random.choice([1, 4, 30]), pass_tokens=self.random.choice([16, 48, 300])
        )
        self.engine.limits = self.engine.scheduler.limits = limits


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_no_operation_leaks(folder: Path, kind: str) -> None:
    """Over 10,000 submits, cancels and passes with room for two or three asks (1,000 where the
    cache cannot be cut): nothing is held that nothing uses, every ask that is not cancelled is
    answered exactly once, and in the end, once the trie is cleared, nothing is held."""
    model = forgetful(load_engine(folder, kind, method="direct", window=WINDOW))
    keeper = model.engine.backend
    if isinstance(keeper, PrefixCacheBackend):
        keeper.limit = min_cache_tokens(WINDOW)
    storm = Storm(model, Random(3))
    asked = 0
    for number in range(OPERATIONS if kind == "llama" else OPERATIONS // 10):
        draw = storm.random.random()
        if draw < 0.2 and len(storm.open) < 40:
            storm.submit()
            asked += 1
        elif draw < 0.25:
            storm.cancel()
        elif draw < 0.255:
            storm.change()
        else:
            storm.step()
        if number % 10 == 0:
            assert model.engine.check_invariants() == []
    storm.settle()
    assert model.engine.check_invariants() == []
    assert len(storm.done) + len(storm.cancelled) == asked
    assert set(storm.done) | storm.cancelled == set(range(1, asked + 1))
    reasons = {getattr(answer, "reason", "") for answer in storm.done.values()}
    assert reasons >= {"", "schema", "context_too_long", "engine", "refused"}
    assert len(storm.cancelled) > asked / 20
    keeper.clear_cache()
    assert keeper.find_leaks([]) == []
    if isinstance(keeper, PrefixCacheBackend):
        assert model.engine.scheduler.preempted > 100
        assert (keeper.kv_cache.allocated_tokens, keeper.prefix_cache.tokens) == (0, 0)
        assert keeper.free == keeper.limit


def test_more_asks_than_memory_are_all_answered(folder: Path) -> None:
    """Two hundred asks at once, of which three fit: they wait, and none fails."""
    model = load_engine(folder, window=WINDOW)
    keeper: Any = model.engine.backend
    keeper.limit = min_cache_tokens(WINDOW)
    storm = Storm(model, Random(5))
    for ticket in range(1, 201):
        storm.open[ticket] = generate_ask(
            words(storm.random, 60), max_tokens=30, seed=ticket, temperature=0
        )
        model.engine.submit(ticket, storm.open[ticket], "", 0)
    while len(model.engine):
        storm.step()
        assert keeper.free >= 0
        assert len(model.engine.scheduler.running) <= 6
    assert len(storm.done) == 200
    assert not any(isinstance(answer, Failed) for answer in storm.done.values())
    assert [event for event in model.engine.step() if isinstance(event, Done)] == []


def test_room_for_a_beginning_is_not_made_of_what_it_goes_on_from(folder: Path) -> None:
    """Where the only thing to evict is the first half of what is to be kept, the second half is
    not kept, and the limit holds."""
    keeper: Any = load_engine(folder, window=WINDOW).engine.backend
    ids = [*range(3, 103)]
    row = TokenSequence(ids, 99, 100, (0, 0, 0, 0), None)
    assert keeper.allocate(row, {})
    row.computed = 100
    keeper.prefix_cache.insert(
        ids[:60], lambda start, end: keeper.kv_cache.read(row.slot, start, end)
    )
    keeper.limit = keeper.kv_cache.allocated_tokens + 60 + 20
    keeper.cache_prefix(row)
    assert (keeper.prefix_cache.tokens, keeper.cached_length(ids), keeper.free) == (60, 60, 20)
    keeper.limit += 20
    keeper.cache_prefix(row)
    assert (keeper.prefix_cache.tokens, keeper.cached_length(ids), keeper.free) == (100, 100, 0)
