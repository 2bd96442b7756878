"""Agents between threads, processes and failed writes; what a life has used."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from denizens import Agent, Memory, Persona, Toolbox
from denizens.agents import ReplyEnd, TextPiece, run_tool
from denizens.core import Choose, ContextLock, ModelAsk, Rate, RunError, RunLocked
from denizens.memory import Documents
from denizens.models import ImprovisedModel
from denizens.planners import Dialogue, Intent
from denizens.store import Store
from denizens.testing import ScriptedModel
from denizens.tools import Policy, ToolContext, UsageLimits, tool

NOON = datetime(2026, 5, 2, 12)


def sender(memory: Memory, sent: list[int]) -> Agent:
    """An agent that sends when asked, twice in its life at most."""

    @tool(effect="acts")
    def send() -> str:
        """Send a message."""
        sent.append(1)
        return "sent"

    def answer(ask: ModelAsk) -> Any:
        if isinstance(ask, Choose):
            return "send"
        return 3 if isinstance(ask, Rate) else "Fine."

    return Agent(
        Persona(name="Bo"),
        model=ScriptedModel(answer),
        memory=memory,
        tools=Toolbox([send]),
        policy=Policy(trusted=("Ada",), life=UsageLimits(calls=2)),
        dialogue=Dialogue(intents=(Intent(name="send", about="Send.", tool="send"),)),
    )


def test_chats_from_many_threads_keep_every_line(tmp_path: Path) -> None:
    """Made in one thread, used in others at once: every line is kept, in a file that is whole."""
    with Memory(tmp_path / "bo.db", "Bo") as memory:
        bo = Agent(Persona(name="Bo"), model=ImprovisedModel(), memory=memory)

        def talk(number: int) -> str:
            return bo.chat(f"line {number}", f"Guest {number}", at=NOON).text

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(talk, range(8)))
        said = [record.text for record in memory.records()]
        assert all(any(f"line {number}" in text for text in said) for number in range(8))
        assert bo.state.records == len(memory)
        assert not memory.store.verify()


def test_a_tools_thread_uses_its_callers_store(tmp_path: Path) -> None:
    """A tool with a time limit runs in a thread of its own, inside the chat that called it."""
    with Store(tmp_path / "s.db") as store:

        @tool(timeout=5)
        def count() -> int:
            """Count rows."""
            return int(store.rows("SELECT count(*) FROM header")[0][0])

        with store.owner:
            context = ToolContext(who="Bo", now=NOON)
            assert Toolbox([count]).call("count", {}, context=context, key="k").ok


def test_transactions_of_two_threads_do_not_mix(tmp_path: Path) -> None:
    """What another thread writes meanwhile is not rolled back with a transaction."""
    with Store(tmp_path / "s.db") as store:
        other = threading.Thread(target=store.put, args=("other", 1))

        def fail() -> None:
            with store.transaction():
                store.put("mine", 1)
                other.start()
                other.join(0.05)
                raise ValueError("given up")

        with pytest.raises(ValueError, match="given up"):
            fail()
        other.join()
        assert (store.get("mine"), store.get("other")) == (None, 1)


def test_a_cancelled_wait_ends_the_call_only() -> None:
    """CancelledError is no Exception; of a tool it is a failure like others."""

    @tool
    async def news() -> str:
        """Read the news."""
        task = asyncio.ensure_future(asyncio.sleep(5))
        await asyncio.sleep(0)
        task.cancel()
        await task
        return "x"

    @tool
    def mean() -> str:
        """Interrupt."""
        raise KeyboardInterrupt

    box, context = Toolbox([news, mean]), ToolContext(who="Bo", now=NOON)
    found = box.call("news", {}, context=context, key="k")
    assert not found.ok
    assert "cancelled" in found.error
    assert found.receipt
    with pytest.raises(KeyboardInterrupt):
        box.call("mean", {}, context=context, key="k")


def test_the_state_is_rolled_back_with_its_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that fails leaves the agent as it was, and the next chat goes on from there."""
    bo = Agent(Persona(name="Bo"), model=ImprovisedModel(), memory=Memory(":memory:", "Bo"))
    bo.chat("hi", "Ada", at=NOON)
    before = bo.state

    def fail() -> None:
        with bo.memory.store.transaction():
            bo.learn(["one"], at=NOON)
            assert bo.state.records == before.records + 1
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="full"):
        fail()
    assert bo.state == before
    with monkeypatch.context() as broken:
        broken.setattr(Memory, "mark_accessed", lambda *a, **b: 1 / 0)
        broken.setattr(Memory, "add", lambda *a, **b: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            bo.chat("more", "Ada", at=NOON)
    assert bo.state == before
    bo.chat("again", "Ada", at=NOON + timedelta(minutes=1))
    assert bo.state.records == len(bo.memory)


def test_records_added_beside_a_thought_are_counted(tmp_path: Path) -> None:
    """After a document or a memory of the owner's, chats go on."""
    (tmp_path / "book.md").write_text("Holidays begin on 3 July.\n")
    bo = Agent(Persona(name="Bo"), model=ImprovisedModel(), memory=Memory(":memory:", "Bo"))
    bo.chat("hi", "Ada", at=NOON)
    Documents(bo.memory).add(tmp_path / "book.md", at=NOON)
    bo.memory.remember("a cat came", at=NOON)
    bo.chat("and now?", "Ada", at=NOON + timedelta(minutes=1))
    assert bo.state.records == len(bo.memory)


def test_a_life_is_bounded_over_processes_and_visitors(tmp_path: Path) -> None:
    """Two calls in a life, whether a chat or a visitor makes them, before or after a restart."""
    sent: list[int] = []
    for start in range(3):
        with Memory(tmp_path / "bo.db", "Bo") as memory:
            bo = sender(memory, sent)
            at = NOON + timedelta(hours=start)
            if start:
                bo.chat("Send one.", "Ada", at=at)
            found = run_tool(bo, "send", {}, at=at, person="Ada")
            assert found.ok == (start == 0)
            assert bo.state.calls == min(start + 1, 2)
    assert len(sent) == 2


def test_a_fork_does_not_write_beside_its_parent(tmp_path: Path) -> None:
    """In a forked child the parent's store and model say at once why they cannot be used."""
    memory = Memory(tmp_path / "bo.db", "Bo")
    memory.remember("before", at=NOON)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        told = "written"
        try:
            memory.remember("child", at=NOON)
        except RunError as error:
            told = str(error)
            memory.close()
        os.write(writing, told.encode())
        os._exit(0)
    os.waitpid(child, 0)
    told = os.read(reading, 1000).decode()
    assert "fork" in told
    assert str(os.getpid()) in told
    memory.remember("parent", at=NOON)
    assert [record.text for record in memory.records()] == ["before", "parent"]
    assert not memory.store.verify()
    memory.close()


@pytest.mark.parametrize("effect", ["pure", "acts"])
def test_a_tool_uses_the_memory_of_its_chat(tmp_path: Path, effect: Any) -> None:
    """What a tool remembers while a chat goes on stands before the chat's own records; a chat
    that it begins with the same agent fails as a call, and the outer one is kept."""
    made: dict[str, Agent] = {}

    @tool(effect=effect)
    def note() -> str:
        """Write a note."""
        made["bo"].memory.remember("A note.", at=NOON)
        made["bo"].chat("Inner.", "Cleo", at=NOON)
        return "never"

    def answer(ask: ModelAsk) -> Any:
        if isinstance(ask, Choose):
            return "note"
        return 3 if isinstance(ask, Rate) else "Fine."

    path = tmp_path / "bo.db"
    bo = made["bo"] = Agent(
        Persona(name="Bo"),
        model=ScriptedModel(answer),
        memory=Memory(path, "Bo"),
        tools=Toolbox([note]),
        policy=Policy(trusted=("Ada",)),
        dialogue=Dialogue(intents=(Intent(name="note", about="Write a note.", tool="note"),)),
    )
    bo.chat("Write a note.", "Ada", at=NOON)
    bo.chat("Thanks.", "Ada", at=NOON + timedelta(minutes=1))
    bo.memory.close()
    with pytest.raises(RunError, match="was closed; open it again"):
        bo.chat("Hello?", "Ada", at=NOON)
    with Memory(path, "Bo") as kept:
        texts = [record.text for record in kept.records()]
    assert texts[0] == "A note."
    assert "Write a note." in texts[1]
    assert "Inner" not in str(texts)


class MeetingModel(ImprovisedModel):
    """Answers nothing before asks of two chats have arrived at once."""

    def __init__(self) -> None:
        super().__init__()
        self.meeting = threading.Barrier(2, timeout=20)

    def client(self) -> Any:
        client, met = super().client(), threading.Event()
        wait = client.wait

        def wait_for_the_other(timeout: float | None = None) -> Any:
            if not met.is_set():
                met.set()
                self.meeting.wait()
            return wait(timeout)

        client.wait = wait_for_the_other  # type: ignore[method-assign]
        return client


def test_two_people_are_answered_at_once() -> None:
    """A chat holds the store only while it reads and writes: the thoughts of two people wait for
    the model together, and what each leaves in the state is kept."""
    memory = Memory(":memory:", "Bo")
    bo = Agent(Persona(name="Bo"), model=MeetingModel(), memory=memory, private_talk=False)
    bo.bootstrap()
    before = bo.state.reflect_left
    with ThreadPoolExecutor(2) as pool:
        replies = list(pool.map(lambda who: bo.chat("Hello!", who, at=NOON), ("Ada", "Cy")))
    assert all(reply.text for reply in replies)
    assert bo.state.records == len(memory) == 4
    lost = sum(record.importance for record in memory.records())
    assert bo.state.reflect_left == pytest.approx(before - lost)


def test_a_persons_messages_are_answered_in_their_order() -> None:
    """A second call of the same person waits for the first, in whatever thread it is made."""
    memory = Memory(":memory:", "Bo")
    bo = Agent(Persona(name="Bo"), model=ImprovisedModel(), memory=memory)
    streams = [bo.stream(f"line {number}", "Ada") for number in range(4)]
    replies = [stream.result(20) for stream in streams]
    lines = bo.session("Ada").lines
    assert [line.text for line in lines if line.who == "Bo"] == [reply.text for reply in replies]
    assert len(lines) == 8


def test_a_stream_is_read_in_an_event_loop() -> None:
    """``async for`` gets the pieces and the end, without blocking the loop."""
    bo = Agent(Persona(name="Bo"), model=ImprovisedModel(), memory=Memory(":memory:", "Bo"))

    async def read() -> list[Any]:
        return [event async for event in bo.stream("Hello!", "Ada")]

    events = asyncio.run(read())
    assert isinstance(events[-1], ReplyEnd)
    pieces = [event.text for event in events if isinstance(event, TextPiece)]
    assert "".join(pieces).strip() == events[-1].reply.text


def test_a_cancelled_stream_ends() -> None:
    """Cancelled before the first word: the work ends, and the next message is answered."""
    bo = Agent(Persona(name="Bo"), model=MeetingModel(), memory=Memory(":memory:", "Bo"))
    stream = bo.stream("Hello!", "Ada")
    stream.cancel()
    bo.model.meeting.abort()  # type: ignore[attr-defined]
    reply = stream.result(20)
    assert (reply.resolve, reply.text) == ("cancelled", "")
    bo.model = ImprovisedModel()
    assert bo.chat("Hello!", "Ada", at=NOON).text


def test_a_lock_that_is_not_acquired_again_stays_with_its_holder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever released a lock to wait, and cannot have it back, does not release it again when its
    block ends: another context holds it by then."""
    monkeypatch.setattr("denizens.core.context_lock.LOCK_TIMEOUT", 0.05)
    first, other = ContextLock("a.db"), ContextLock("b.db")
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with first:
            taken.set()
            done.wait(20)
            assert first.held

    holder = threading.Thread(target=hold)

    def wait_for_it() -> None:
        with other, first, first.released():
            holder.start()
            assert taken.wait(20)

    with pytest.raises(RunLocked):
        wait_for_it()
    done.set()
    holder.join()
    with first:
        assert first.held
