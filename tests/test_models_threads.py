"""Clients of one LocalModel in several threads, and what its mailboxes promise."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from denizens.core import Choose, Done, Embed, Failed, Message, ModelAsk, Option, Rate
from denizens.tests.support.tiny_models import answers, generate_ask, load_engine, write

if TYPE_CHECKING:
    from denizens.models import LocalModel
    from denizens.models.local import LocalClient

PATIENCE = 120.0  # seconds until a thread counts as hung; nothing here takes a tenth of it


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model."""
    return write(tmp_path_factory.mktemp("tiny"), "llama")


@pytest.fixture(scope="module")
def model(folder: Path) -> LocalModel:
    """One engine for all tests here."""
    return load_engine(folder, method="direct")


def together(*works: Callable[[], Any]) -> list[Any]:
    """Run each in a thread of its own; what they return. Fails where one hangs or raises."""
    found: dict[int, Any] = {}
    wrong: list[BaseException] = []

    def run(place: int, work: Callable[[], Any]) -> None:
        try:
            found[place] = work()
        except BaseException as error:  # noqa: BLE001  told below
            wrong.append(error)

    threads = [
        threading.Thread(target=run, args=(place, work), daemon=True)
        for place, work in enumerate(works)
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    assert wrong == []
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    return [found[place] for place in range(len(works))]


def ask(number: int) -> ModelAsk:
    """One of all kinds; some are answered at once, some fail."""
    message = (Message.of("user", f"baker {number}"),)
    options = (Option("bread"), Option("town"), Option(f"a {number}"))
    kinds: list[ModelAsk] = [
        generate_ask(f"line {number}", seed=number, max_tokens=1 + number % 17),
        Choose(messages=message, options=options, about="what now"),
        Embed(texts=(f"text {number}",)),
        generate_ask(max_tokens=0),
        Rate(messages=message, about="importance", low=1, high=4),
        generate_ask(f"more {number}", seed=number, max_tokens=6, stream=True),
        Choose(messages=message, options=(), about="nothing"),
    ]
    return kinds[number % len(kinds)]


def all_of(client: LocalClient, asks: list[ModelAsk], random: Random) -> list[Any]:
    """Submit asks one by one between waits; their answers, each exactly once."""
    found: dict[int, Any] = {}
    tickets = []
    coming = list(asks)
    while coming or client.open:
        for _ in range(random.randint(0, 3)):
            if coming:
                tickets.append(client.submit(coming.pop(0), priority=random.randint(0, 2)))
        for event in client.wait(random.choice([None, 0.0, 0.001, 1.0])):
            if isinstance(event, Done):
                assert event.ticket not in found
                found[event.ticket] = event.answer
    return [found[ticket] for ticket in tickets]


def test_threads_get_all_their_answers(model: LocalModel) -> None:
    """Four threads with clients of their own at one engine: each gets every answer once, the
    same as when asked alone, whoever of them drives."""
    asks = [[ask(100 * thread + i) for i in range(24)] for thread in range(4)]
    works = [
        lambda thread=thread: all_of(model.client(), asks[thread], Random(thread))
        for thread in range(4)
    ]
    found = together(*works)
    assert model.engine.check_invariants() == []
    for thread in range(4):
        for one, other in zip(found[thread], answers(model, asks[thread])):
            if hasattr(one, "text"):
                assert one == other
            assert type(one) is type(other)


def test_an_answer_may_come_before_submit_returns(model: LocalModel) -> None:
    """Asks that are answered at once, while another thread drives, are not waited for ever:
    their ticket is open before anybody can answer it."""
    stop = threading.Event()

    def drive() -> int:
        client, count = model.client(), 0
        while not stop.is_set():
            if not client.open:
                client.submit(generate_ask(max_tokens=300))
            client.wait(0.01)
            count += 1
        for ticket in set(client.open):
            client.cancel(ticket)
        return count

    def quick() -> Any:
        client = model.client()
        real = model.submit

        def late(box: LocalClient, *more: Any) -> int:
            ticket = real(box, *more)
            while box is client and not client.arrived:
                time.sleep(0.001)
            return ticket

        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(model, "submit", late)
                client.submit(generate_ask(max_tokens=0))
        finally:
            stop.set()
        return client.wait(), set(client.open)

    driven, (events, left) = together(drive, quick)
    assert [event.answer.reason for event in events] == ["context_too_long"]
    assert left == set()
    assert driven > 0


def test_a_cancel_does_not_wait_for_another_threads_answer(model: LocalModel) -> None:
    """While one thread drives a long answer, another's cancel takes effect at once; it is not
    held up until the driver has what it waits for."""
    driving = threading.Event()
    finished = threading.Event()
    real = model.engine.step

    def step() -> Any:
        driving.set()
        return real()

    def drive() -> Any:
        client = model.client()
        client.submit(generate_ask("a long line", seed=1, max_tokens=400))
        found = client.wait()
        finished.set()
        return found

    def cancel() -> bool:
        client = model.client()
        ticket = client.submit(generate_ask("in vain", seed=2, max_tokens=400))
        assert driving.wait(PATIENCE)
        client.cancel(ticket)
        early = not finished.is_set()
        assert client.wait() == []
        return early

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model.engine, "step", step)
        (done,), early = together(drive, cancel)
    assert isinstance(done, Done)
    assert early
    assert model.engine.check_invariants() == []
    assert len(model.engine) == 0


def test_cancels_and_answers_race(model: LocalModel) -> None:
    """Cancelling at random from one thread while another drives loses no other answer: each
    ask is either answered or cancelled, and nothing stays in the engine."""

    def racing(seed: int) -> int:
        random, client, cancelled = Random(seed), model.client(), set()
        waiting: set[int] = set()
        answered = 0
        for i in range(120):
            waiting.add(client.submit(ask(1000 * seed + i)))
            if random.random() < 0.5:
                ticket = random.choice(sorted(waiting))
                client.cancel(ticket)
                waiting.discard(ticket)
                cancelled.add(ticket)
            for event in client.wait(random.choice([0.0, 0.0005])):
                assert event.ticket not in cancelled
                if isinstance(event, Done):
                    answered += 1
                    waiting.remove(event.ticket)
        while waiting:
            for event in client.wait(PATIENCE):
                if isinstance(event, Done):
                    answered += 1
                    waiting.remove(event.ticket)
        assert answered + len(cancelled) == 120
        return len(cancelled)

    assert all(count > 10 for count in together(*(lambda s=s: racing(s) for s in range(3))))
    assert (len(model.engine), model.engine.check_invariants()) == (0, [])


def test_a_wait_ends_when_its_time_is_over(model: LocalModel) -> None:
    """A thread that waits for another's pass gives up when its time is over, and gets its
    answer at a later wait."""
    begun, go_on = threading.Event(), threading.Event()
    real = model.engine.step

    def slow() -> Any:
        begun.set()
        assert go_on.wait(PATIENCE)
        return real()

    def drive() -> Any:
        client = model.client()
        client.submit(generate_ask(seed=3))
        return client.wait()

    def hurry() -> Any:
        assert begun.wait(PATIENCE)
        client = model.client()
        client.submit(generate_ask(seed=4))
        early = client.wait(0.01)
        go_on.set()
        return early, client.wait(PATIENCE)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model.engine, "step", slow)
        driven, (early, late) = together(drive, hurry)
    assert early == []
    assert [driven[0].answer, late[0].answer] == answers(
        model, [generate_ask(seed=3), generate_ask(seed=4)]
    )


def test_a_raising_engine_raises_in_the_thread_that_drives(model: LocalModel) -> None:
    """An error of the engine reaches whoever drove, and the next to wait drives on."""
    real = model.engine.step
    calls: list[int] = []

    def broken() -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise KeyError("an error of the engine")
        return real()

    client = model.client()
    client.submit(generate_ask(seed=5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model.engine, "step", broken)
        with pytest.raises(KeyError):
            client.wait()
        assert isinstance(client.wait()[0], Done)


def test_half_a_character_harms_no_ask(model: LocalModel) -> None:
    """A lone surrogate in any text is read as the replacement character: all are answered as
    with it, and nobody else notices."""
    bad = "bread \ud83c town"
    message = (Message.of("user", bad),)
    options = (Option("one"), Option(bad))
    asks: list[ModelAsk] = [
        generate_ask(bad),
        Choose(messages=(Message.of("user", "x"),), options=options, about="which"),
        Rate(messages=message, about="x"),
        Embed(texts=("fine", bad)),
        generate_ask("fine", seed=6),
        Embed(texts=("fine too",)),
    ]
    found = answers(model, asks)
    assert not any(isinstance(one, Failed) for one in found)
    good = bad.replace("\ud83c", "\ufffd")
    assert found[0] == answers(model, [generate_ask(good)])[0]
    assert found[4:] == answers(model, asks[4:])
    assert model.engine.check_invariants() == []
