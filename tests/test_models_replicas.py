"""Copies of a model side by side: who goes where, threads, faults, and the same answers."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from denizens.core import (
    Answer,
    Choose,
    Completion,
    Delta,
    Done,
    Embed,
    Generate,
    Json,
    Message,
    ModelAsk,
    ModelError,
    Option,
    Rate,
    SettingError,
    Ticket,
)
from denizens.models import ImprovisedModel, ReplicaModel, UsageLedger, load_model
from denizens.testing import ScriptedModel, write_tiny_embedder, write_tiny_model


class Slow:
    """A double that works on one ask at a time, when its gate is open, and keeps a diary:
    owners and the threads that touched it."""

    def __init__(self, name: str, gate: threading.Event | None = None) -> None:
        self.name = name
        self.gate = gate or threading.Event()
        self.ledger = UsageLedger()
        self.owners: list[str] = []
        self.cancelled: list[Ticket] = []
        self.threads: set[int] = set()
        self.meeting: threading.Barrier | None = None

    def client(self) -> SlowClient:
        self.threads.add(threading.get_ident())
        return SlowClient(self)

    def describe(self) -> dict[str, Json]:
        return {"name": "slow", "device": self.name}


class SlowClient:
    def __init__(self, model: Slow) -> None:
        self.model = model
        self.queue: dict[Ticket, tuple[ModelAsk, str]] = {}
        self.next = 0

    def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> Ticket:
        self.model.threads.add(threading.get_ident())
        self.model.owners.append(owner)
        self.next += 1
        self.queue[self.next] = (ask, owner)
        return self.next

    def cancel(self, ticket: Ticket) -> None:
        self.model.cancelled.append(ticket)
        self.queue.pop(ticket, None)

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        self.model.threads.add(threading.get_ident())
        if not self.queue or not self.model.gate.wait(timeout):
            return []
        if self.model.meeting is not None:
            self.model.meeting.wait(10)
        ticket, (ask, owner) = next(iter(self.queue.items()))
        del self.queue[ticket]
        self.model.ledger.add(owner, ask.kind, ask.role, tokens_out=3)
        answer: Answer = Completion(text=self.model.name)
        return [Delta(ticket, self.model.name), Done(ticket, answer)]


def say(text: str = "hello", **settings: Any) -> Generate:
    return Generate(messages=(Message.of("user", text),), **settings)


def finished(client: Any) -> dict[Ticket, Any]:
    found: dict[Ticket, Any] = {}
    while events := client.wait():
        found |= {event.ticket: event.answer for event in events if isinstance(event, Done)}
    return found


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true() and time.monotonic() < end:
        time.sleep(0.005)
    assert true()


def test_owners_keep_their_replica() -> None:
    """Each agent's asks go to one replica, agents are spread evenly, and every replica is
    touched by one thread alone, which is not the caller's."""
    slow = [Slow(str(place)) for place in range(3)]
    model = ReplicaModel(slow, spill=100)
    client = model.client()
    for _ in range(4):
        for owner in ("Ann", "Bo", "Cy", "Di", "Ed", "Flo"):
            client.submit(say(), owner)
    for one in slow:
        one.gate.set()
    assert len(finished(client)) == 24
    for one in slow:
        assert len(set(one.owners)) == 2
        assert len(one.owners) == 8
        assert len(one.threads) == 1
    assert len({next(iter(one.threads)) for one in slow} | {threading.get_ident()}) == 4
    model.close()


def test_a_busy_replica_gives_asks_away() -> None:
    """An agent's ask spills over once its replica has so many more; afterwards it is home
    again. Asks of nobody go where least is open."""
    slow = [Slow("0"), Slow("1")]
    model = ReplicaModel(slow, spill=3)
    client = model.client()
    for _ in range(5):
        client.submit(say(), "Ann")
    until(lambda: len(slow[0].owners) + len(slow[1].owners) == 5)
    assert (slow[0].owners, slow[1].owners) == (["Ann"] * 4, ["Ann"])
    client.submit(say())
    until(lambda: len(slow[1].owners) == 2)
    for one in slow:
        one.gate.set()
    finished(client)
    client.submit(say(), "Ann")
    assert next(iter(finished(client).values())).text == "0"
    model.close()


def test_replicas_run_side_by_side() -> None:
    """Two replicas are in their models at the same moment: each waits for the other there."""
    slow = [Slow("0"), Slow("1")]
    meeting = threading.Barrier(2)
    for one in slow:
        one.meeting = meeting
        one.gate.set()
    model = ReplicaModel(slow)
    client = model.client()
    tickets = [client.submit(say(), owner) for owner in ("Ann", "Bo")]
    found = finished(client)  # the barrier breaks, and raises, unless both come
    assert sorted(found[ticket].text for ticket in tickets) == ["0", "1"]
    model.close()


def test_clients_do_not_mix() -> None:
    """Two mailboxes get their own answers and deltas, and the ledgers add up."""
    slow = [Slow("0"), Slow("1")]
    model = ReplicaModel(slow)
    for one in slow:
        one.gate.set()
    first, second = model.client(), model.client()
    mine = {first.submit(say(), owner) for owner in "ab"}
    theirs = {second.submit(say(), owner) for owner in "cde"}
    events: list[Any] = []
    while found := second.wait():
        events += found
    assert {event.ticket for event in events} == theirs
    assert [event.ticket for event in events if isinstance(event, Delta)] == [
        event.ticket for event in events if isinstance(event, Done)
    ]
    assert set(finished(first)) == mine
    spent = model.ledger.take()
    assert {entry.agent for entry in spent} == set("abcde")
    assert sum(entry.tokens_out for entry in spent) == 15
    model.close()


def test_cancel_and_timeout() -> None:
    """A cancelled ask is taken from its replica and never heard of; wait is over in time."""
    slow = Slow("0")
    model = ReplicaModel([slow])
    client = model.client()
    assert client.wait() == []
    one, two = client.submit(say(), "Ann"), client.submit(say(), "Ann")
    assert client.wait(0.05) == []
    client.cancel(one)
    client.cancel(77)
    until(lambda: slow.cancelled == [1])
    slow.gate.set()
    assert set(finished(client)) == {two}
    model.close()


def test_a_replica_that_raises() -> None:
    """A programming error in a replica is raised where its asks are waited for; the next
    asks are answered, by it as well."""
    scripts = [ScriptedModel(["fine"]), ScriptedModel(["well", "good"])]
    model = ReplicaModel(scripts)
    client = model.client()
    client.submit(say(), "Ann")
    assert [answer.text for answer in finished(client).values()] == ["fine"]
    client.submit(say(), "Ann")
    with pytest.raises(ModelError, match="nothing left to answer"):
        client.wait()
    assert client.wait() == []
    client.submit(say(), "Bo")
    assert [answer.text for answer in finished(client).values()] == ["well"]
    model.close()


def test_closing() -> None:
    """After close what was open is Failed, asking raises, and the threads are gone; a model
    that is forgotten closes by itself."""
    slow = Slow("0")
    model = ReplicaModel([slow, ImprovisedModel()])
    client = model.client()
    client.submit(say(), "Ann")
    until(lambda: slow.owners == ["Ann"])
    model.close()
    (failed,) = finished(client).values()
    assert failed.reason == "engine"
    with pytest.raises(ModelError, match="closed"):
        client.submit(say())
    forgotten = ReplicaModel([ImprovisedModel()])
    del forgotten
    gc.collect()
    until(lambda: not any(t.name == "denizens-replica" for t in threading.enumerate()))
    with pytest.raises(ModelError, match="at least one"):
        ReplicaModel([])


def test_doubles_answer_as_alone() -> None:
    """Through replicas an improvised model says to each ask what it says by itself."""
    asks = [say(str(place), seed=place) for place in range(60)]
    alone, many = ImprovisedModel(seed=4), ReplicaModel([ImprovisedModel(seed=4)] * 3)
    one, other = alone.client(), many.client()
    first = [one.submit(ask, f"agent {place % 7}") for place, ask in enumerate(asks)]
    second = [other.submit(ask, f"agent {place % 7}") for place, ask in enumerate(asks)]
    left, right = finished(one), finished(other)
    assert [left[ticket] for ticket in first] == [right[ticket] for ticket in second]
    many.close()


def test_two_tiny_models(tmp_path: Path) -> None:
    """``cpu,cpu`` loads two real models that answer all four asks as one does."""
    write_tiny_model(tmp_path / "lm")
    write_tiny_embedder(tmp_path / "embedder")
    settings: Any = {"dtype": "float32", "embedder": str(tmp_path / "embedder")}
    alone = load_model(str(tmp_path / "lm"), device="cpu", **settings)
    model = load_model(str(tmp_path / "lm"), device="cpu,cpu", **settings)
    assert isinstance(model, ReplicaModel)
    about = model.describe()
    assert (about["device"], about["replicas"]) == ("cpu,cpu", 2)
    assert about["digest"] == alone.describe()["digest"]
    options = (Option("bread", "the baker sells bread"), Option("iron", "a smith forges"))
    asks: list[ModelAsk] = [
        *(say(f"the town {place}", max_tokens=6, seed=place) for place in range(6)),
        Choose(messages=(), options=options, about="iron"),
        Rate(messages=(), about="a war"),
        Embed(texts=("bread", "iron")),
    ]

    def answers(model: Any) -> list[Any]:
        client = model.client()
        tickets = [client.submit(ask, f"agent {n % 4}") for n, ask in enumerate(asks)]
        found = finished(client)
        return [found[ticket] for ticket in tickets]

    one, two = answers(alone), answers(model)
    assert [answer.text for answer in one[:6]] == [answer.text for answer in two[:6]]
    assert one[6].probabilities == pytest.approx(two[6].probabilities, abs=1e-4)
    assert one[7].value == pytest.approx(two[7].value, abs=1e-3)
    assert one[8].array() == pytest.approx(two[8].array(), abs=1e-5)
    assert sum(spent.calls for spent in model.ledger.take()) == len(asks)
    model.close()


@pytest.mark.parametrize("device", ["cpu,cpx", "cpu,", "auto,auto", "gpu:0,gpu:1"])
def test_devices_are_checked(device: str) -> None:
    """Every device of a list is looked at before anything is loaded."""
    with pytest.raises(SettingError, match="device"):
        load_model("no-such-model", device=device)
