"""Who goes first, who rests, and that nobody waits for ever."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from denizens.core import Delta, Done, Generate, Message, Rate
from denizens.models.engine.backends import PrefixCacheBackend, min_cache_tokens
from denizens.models.engine.scheduler import MAX_WAIT_PASSES
from denizens.tests.support.engine_fuzzer import words
from denizens.tests.support.tiny_models import agree, generate_ask, load_engine, record_draws, write

if TYPE_CHECKING:
    from denizens.models import LocalModel
    from denizens.models.engine import Engine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lean model, and one whose prompts cannot be cut."""
    return write(tmp_path_factory.mktemp("tiny"), "llama", "mistral")


def seen(model: LocalModel) -> list[dict[int, int]]:
    """What each pass ran from now on: tokens by ticket."""
    keeper: Any = model.engine.backend
    real = keeper.run
    passes: list[dict[int, int]] = []

    def run(pieces: Any) -> Any:
        passes.append({row.key[-1]: count for row, count in pieces})
        return real(pieces)

    keeper.run = run
    return passes


def until_done(engine: Engine, ticket: int, most: int = 5000) -> Any:
    """Passes until an ask is answered; all answers so far."""
    done: dict[int, Any] = {}
    for _ in range(most):
        for event in engine.step():
            if isinstance(event, Done):
                done[event.ticket] = event.answer
        if ticket in done:
            return done
    raise AssertionError(f"not answered after {most} passes")


def running(model: LocalModel, count: int, priority: int, **more: Any) -> list[dict[int, int]]:
    """A full batch of asks that all write already; what the passes run from now on."""
    passes = seen(model)
    for ticket in range(1, count + 1):
        ask = generate_ask(f"line {ticket}", seed=ticket, max_tokens=100, temperature=0.0, **more)
        model.engine.submit(ticket, ask, "", priority)
    while len(passes) < 3 or passes[-1] != dict.fromkeys(range(1, count + 1), 1):
        model.engine.step()
    passes.clear()
    return passes


def test_an_urgent_prompt_is_read_at_once_though_the_batch_is_full(folder: Path) -> None:
    """A long prompt of higher priority is read in full passes of its own from the next pass
    on, while all others rest, and answered before any of them; they then go on as if nothing
    had been."""
    with record_draws() as quiet:
        model = load_engine(folder, rows=8, pass_tokens=64)
        running(model, 8, 1)
        until_done(model.engine, 8)
    model = load_engine(folder, rows=8, pass_tokens=64)
    with record_draws() as disturbed:
        passes = running(model, 8, 1)
        urgent = generate_ask(words(Random(1), 300), seed=99, max_tokens=5)
        size = len(model.prompt_builder.ids(urgent.messages))
        model.engine.submit(99, urgent, "chat", 0)
        done = until_done(model.engine, 99)
        assert set(done) == {99}
        reading = -(-size // 64)
        assert passes[:reading] == [{99: 64}] * (reading - 1) + [{99: size - 64 * (reading - 1)}]
        # As soon as it writes, it does so beside as many others as a pass may hold.
        assert all(found.get(99) == 1 and len(found) == 8 for found in passes[reading:])
        until_done(model.engine, 8)
    assert model.engine.scheduler.preempted == 0
    for seed in range(1, 9):
        assert agree(quiet, disturbed, seed) == 100


def test_an_urgent_ask_takes_room_from_the_least_urgent(folder: Path) -> None:
    """Where the cache is full too, the least urgent rows make room, and are recomputed."""
    model = load_engine(folder, window=256, pass_tokens=64)
    keeper: Any = model.engine.backend
    keeper.limit = min_cache_tokens(256)
    passes = seen(model)
    for ticket in range(1, 7):
        ask = generate_ask(words(Random(ticket), 40), seed=ticket, max_tokens=100, temperature=0.0)
        model.engine.submit(ticket, ask, "", 1 + ticket // 5)
    for _ in range(20):
        model.engine.step()
    seated = {row.key[-1] for row in model.engine.scheduler.running}
    before = model.engine.scheduler.preempted
    model.engine.submit(99, generate_ask(words(Random(9), 150), max_tokens=5), "chat", 0)
    passes.clear()
    done = until_done(model.engine, 99)
    assert list(passes[0]) == [99]
    assert set(done) == {99}
    assert model.engine.scheduler.preempted > before
    assert max(seated) not in {row.key[-1] for row in model.engine.scheduler.running}
    done |= until_done(model.engine, 6)
    while len(model.engine):
        done |= {e.ticket: 1 for e in model.engine.step() if isinstance(e, Done)}
    assert set(done) == {1, 2, 3, 4, 5, 6, 99}


@pytest.mark.parametrize("kind", ["llama", "mistral"])
@pytest.mark.parametrize("full", [False, True])
def test_urgent_asks_without_end_starve_nobody(folder: Path, kind: str, full: bool) -> None:
    """While urgent asks come at every pass, enough to fill every pass and every seat, a less
    urgent one is answered within a bounded number of passes."""
    model = load_engine(folder, kind, rows=3, pass_tokens=32)
    engine = model.engine
    low = [
        generate_ask("low", seed=1, max_tokens=8),
        generate_ask(words(Random(2), 100), seed=2, max_tokens=3),
    ]
    for number, ask in enumerate(low):
        engine.submit(1000 + number, ask, "", 5)
    done: dict[int, int] = {}
    for ticket in range(1, 1000):
        size = 60 if full else 10
        if ticket % (3 if kind == "mistral" else 1) == 0 or full:
            urgent = generate_ask(words(Random(ticket), size), seed=ticket, max_tokens=2)
            engine.submit(ticket, urgent, "", 0)
        done.update({e.ticket: ticket for e in engine.step() if isinstance(e, Done)})
        if {1000, 1001} <= set(done):
            break
    assert {1000, 1001} <= set(done)
    assert max(done[1000], done[1001]) < 12 * MAX_WAIT_PASSES
    # Not before its time, where urgent asks leave room for nothing else.
    assert not full or min(done[1000], done[1001]) > MAX_WAIT_PASSES / 2


def test_a_decision_of_many_parts_is_not_starved(folder: Path) -> None:
    """All rows of a less urgent decision are moved up together."""
    model = load_engine(folder, rows=3, pass_tokens=32, method="direct")
    message = (Message.of("user", words(Random(2), 60)),)
    model.engine.submit(1000, Rate(messages=message, about="x", low=1, high=9), "", 5)
    for ticket in range(1, 12 * MAX_WAIT_PASSES):
        model.engine.submit(ticket, generate_ask(words(Random(ticket), 60), max_tokens=2), "", 0)
        if any(event.ticket == 1000 for event in model.engine.step()):
            return
    raise AssertionError("starved")


def test_shared_parts_are_as_urgent_as_the_most_urgent_ask(folder: Path) -> None:
    """A pair that is already being scored for a less urgent ask is scored in the time of the
    more urgent one that wants it too."""
    model = load_engine(folder, rows=2, pass_tokens=32, method="direct")
    message = (Message.of("user", words(Random(2), 60)),)
    rate = Rate(messages=message, about="x", low=1, high=9)
    model.engine.submit(1, rate, "", 9)
    model.engine.step()
    for ticket in range(2, 12):
        model.engine.submit(ticket, generate_ask(words(Random(ticket), 60), max_tokens=20), "", 5)
    model.engine.submit(12, rate, "", 0)
    done = until_done(model.engine, 12)
    assert set(done) == {1, 12}


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_a_long_prompt_is_read_though_others_write(folder: Path, kind: str) -> None:
    """Of equal priority, a prompt longer than a pass is read while others go on writing: in
    parts, with a token for each of them at every pass, where prompts can be cut."""
    model = load_engine(folder, kind, rows=8, pass_tokens=32)
    passes = running(model, 4, 0)
    long = generate_ask(words(Random(1), 150), seed=99, max_tokens=1)
    size = len(model.prompt_builder.ids(long.messages))
    model.engine.submit(99, long, "", 0)
    done = until_done(model.engine, 99)
    assert set(done) == {99}
    assert all(found[ticket] == 1 for found in passes for ticket in range(1, 5))
    if isinstance(model.engine.backend, PrefixCacheBackend):
        parts = [24] * (size // 24) + [size % 24]
        assert [found[99] for found in passes] == [part for part in parts if part]
    else:
        assert [found[99] for found in passes] == [size]


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_a_long_prompt_is_read_though_short_ones_keep_coming(folder: Path, kind: str) -> None:
    """Nor do asks that come after it, each with a prompt and a token to write, keep it out."""
    model = load_engine(folder, kind, rows=4, pass_tokens=32)
    for ticket in range(1, 4):
        model.engine.submit(ticket, generate_ask(f"line {ticket}", max_tokens=50), "", 0)
    model.engine.submit(4, generate_ask(words(Random(1), 150), max_tokens=2), "", 0)
    for ticket in range(5, 200):
        model.engine.submit(ticket, generate_ask(f"line {ticket}", max_tokens=20), "", 0)
        if any(event.ticket == 4 for event in model.engine.step()):
            break
    else:
        raise AssertionError("the long prompt is never read")
    assert len(model.engine) > 1


def test_asks_of_one_priority_go_by_age(folder: Path) -> None:
    """With one seat and nothing in common, asks are answered in the order they came."""
    model = load_engine(folder, rows=1)
    asks: list[Generate] = [
        generate_ask(f"{i} {words(Random(i), 3)}", max_tokens=2) for i in range(12)
    ]
    for ticket, ask in enumerate(asks):
        model.engine.submit(ticket, ask, "", 0)
    order: list[int] = []
    while len(model.engine):
        order += [event.ticket for event in model.engine.step() if not isinstance(event, Delta)]
    assert order == list(range(12))


def test_asks_that_begin_alike_share_one_reading(folder: Path) -> None:
    """Of many asks with one long beginning the first reads it and the others wait for it: it is
    run once, whatever lies between them in the queue."""
    model = load_engine(folder, rows=16, pass_tokens=64)
    base = words(Random(1), 200)
    passes = seen(model)
    for ticket in range(24):
        text = f"{base} {ticket}" if ticket % 2 else words(Random(50 + ticket), 30)
        model.engine.submit(ticket, generate_ask(text, max_tokens=2), "", 0)
    while len(model.engine):
        model.engine.step()
    shared = sum(count for found in passes for ticket, count in found.items() if ticket % 2)
    assert shared < 200 + 50 + 12 * 40
    assert model.engine.stats.reused > 11 * 190
