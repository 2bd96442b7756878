"""The desk: one thread owns the agent, one call after the other."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

import pytest
from denizens.core import SettingError
from denizens.server import AgentThread
from denizens.server.agent_thread import MAX_WAITING, AgentBusy, CallAborted, TextCallback


def test_one_thread_in_order() -> None:
    """All work is done in one thread, in the order in which it came."""
    done: list[tuple[int, int]] = []

    def work(number: int, agent: str, say: TextCallback) -> None:
        time.sleep(0.01)
        done.append((number, threading.get_ident()))

    async def many() -> None:
        await asyncio.gather(*(desk.run(partial(work, number)) for number in range(8)))

    with AgentThread(lambda: nullcontext("agent")) as desk:
        asyncio.run(many())
    assert [number for number, _ in done] == list(range(8))
    assert len({thread for _, thread in done}) == 1
    assert threading.get_ident() not in {thread for _, thread in done}


def test_errors_are_raised_where_they_are_waited_for() -> None:
    """What goes wrong in the thread is raised in the loop; the next call is done all the same."""

    def wrong(agent: str, say: TextCallback) -> None:
        raise KeyError("wrong")

    async def two() -> str:
        with pytest.raises(KeyError, match="wrong"):
            await desk.run(wrong)
        return await desk.run(lambda agent, say: agent)

    with AgentThread(lambda: nullcontext("agent")) as desk:
        assert asyncio.run(two()) == "agent"


def test_opening_may_fail() -> None:
    """What cannot be opened is told at once, not at the first call."""

    @contextmanager
    def make() -> Iterator[str]:
        raise SettingError("no such agent")
        yield ""

    with pytest.raises(SettingError, match="no such agent"), AgentThread(make):
        pass


def test_cancelled_before_its_turn_is_not_done() -> None:
    """Who leaves the queue is not served; who is being served ends at what it says next."""
    done: list[str] = []

    def speak(agent: str, say: TextCallback) -> None:
        try:
            for _ in range(500):
                time.sleep(0.01)
                say("word")
        except CallAborted:
            done.append("broken off")
            raise
        done.append("to the end")

    async def leave() -> None:
        heard: list[str] = []
        speaking = asyncio.create_task(desk.run(speak, heard.append))
        waiting = asyncio.create_task(desk.run(lambda agent, say: done.append("late")))
        while not heard:
            await asyncio.sleep(0.01)
        waiting.cancel()
        speaking.cancel()
        for task in (waiting, speaking):
            with pytest.raises(asyncio.CancelledError):
                await task
        await desk.run(lambda agent, say: done.append("next"))

    with AgentThread(lambda: nullcontext("agent")) as desk:
        asyncio.run(leave())
    assert done == ["broken off", "next"]


def test_a_full_queue_turns_away() -> None:
    """Too many who wait are told so, and so is who comes after the end."""
    gate = threading.Event()

    async def crowd() -> None:
        first = asyncio.create_task(desk.run(lambda agent, say: gate.wait(5)))
        await asyncio.sleep(0.05)
        rest = [asyncio.create_task(desk.run(lambda agent, say: None)) for _ in range(MAX_WAITING)]
        await asyncio.sleep(0.05)
        with pytest.raises(AgentBusy, match="try again later"):
            await desk.run(lambda agent, say: None)
        gate.set()
        await asyncio.gather(first, *rest)

    with AgentThread(lambda: nullcontext("agent")) as desk:
        asyncio.run(crowd())
    with pytest.raises(AgentBusy, match="no longer served"):
        asyncio.run(desk.run(lambda agent, say: None))


def test_closing_ends_what_is_being_done() -> None:
    """A desk that closes breaks off a long reply, and closes what it opened."""
    closed: list[str] = []

    @contextmanager
    def make() -> Iterator[str]:
        yield "agent"
        closed.append("closed")

    def speak(agent: str, say: TextCallback) -> None:
        while True:
            time.sleep(0.01)
            say("word")

    async def begin() -> None:
        task = asyncio.create_task(desk.run(speak))
        await asyncio.sleep(0.05)
        task.cancel()

    with AgentThread(make) as desk:
        asyncio.run(begin())
    assert closed == ["closed"]
