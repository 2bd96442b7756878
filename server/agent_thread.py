"""One thread that owns an agent, so that it has one writer and does one thing at a time.

A store is used from the thread that made it and a chat blocks while a model thinks, while a
server must go on listening: so its loop hands each call to this thread and waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeAlias, TypeVar

from ..core import DenizensError

H = TypeVar("H")
T = TypeVar("T")

log = logging.getLogger(__name__)

MAX_WAITING = 64
"""Calls that may wait at once; more are turned away."""


class AgentBusy(DenizensError):
    """Too many calls wait for the agent already."""


class CallAborted(BaseException):
    """Nobody waits any more for what is being done. No Exception: no tool may swallow it."""


TextCallback: TypeAlias = Callable[[str], None]
"""Takes text as it is made. Raises CallAborted where nobody waits for it any more."""


@dataclass(slots=True)
class _Call:
    work: Callable[[Any, TextCallback], Any]
    on_text: TextCallback
    future: Future[Any] = field(default_factory=Future)
    aborted: threading.Event = field(default_factory=threading.Event)

    def emit(self, text: str) -> None:
        if self.aborted.is_set():
            raise CallAborted
        self.on_text(text)


class AgentThread(Generic[H]):
    """What ``make`` opens, used by one thread, one call after the other.

    >>> from contextlib import nullcontext
    >>> async def two() -> list[int]:
    ...     return [await desk.run(lambda number, emit: number + add) for add in (1, 2)]
    >>> with AgentThread(lambda: nullcontext(40)) as desk:
    ...     asyncio.run(two())
    [41, 42]
    """

    def __init__(self, make: Callable[[], AbstractContextManager[H]]) -> None:
        self._make = make
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._main, name="desk", daemon=True)
        self._running: _Call | None = None
        self._closed = False

    def __enter__(self) -> AgentThread[H]:
        """Open what is served. Raises what goes wrong at that."""
        self._thread.start()
        self._opened.result()
        return self

    def __exit__(self, *failure: object) -> None:
        """Break off what is being done and close; all that waits is turned away."""
        if self._running is not None:
            self._running.aborted.set()
        self._closed = True
        self._calls.put(None)
        self._thread.join(10)

    @property
    def waiting(self) -> int:
        """How many calls wait, without the one that is being done."""
        return self._calls.qsize()

    async def run(
        self, work: Callable[[H, TextCallback], T], heard: TextCallback = lambda _: None
    ) -> T:
        """Have something done in the thread, and wait for it.

        ``work`` gets what was opened, and what to say on the way: that ``on_text`` gets, in this
        loop. Cancelled before its turn it is not done at all; while it is being done it ends
        at what it says next. Raises AgentBusy where too many wait.
        """
        if self._closed:
            raise AgentBusy("the agent is not served any more")
        if self.waiting >= MAX_WAITING:
            raise AgentBusy(f"{MAX_WAITING} calls wait for the agent already; try again later")
        loop = asyncio.get_running_loop()
        job = _Call(work, lambda text: _call_in_loop(loop, heard, text))
        self._calls.put(job)
        try:
            result: T = await asyncio.wrap_future(job.future)
            return result
        except asyncio.CancelledError:
            job.aborted.set()
            raise

    def _main(self) -> None:
        try:
            opened = self._make()
            with opened as host:
                self._opened.set_result(None)
                self._run_calls(host)
        except BaseException as error:
            if not self._opened.done():
                self._opened.set_exception(error)
            else:
                log.exception("what was served does not close")
        self._reject_waiting()

    def _reject_waiting(self) -> None:
        """Let go all who still wait; nobody new comes in."""
        self._closed = True
        while True:
            try:
                job = self._calls.get_nowait()
            except Empty:
                return
            if job is not None:
                job.future.cancel()

    def _run_calls(self, host: H) -> None:
        while (job := self._calls.get()) is not None:
            if not job.future.set_running_or_notify_cancel():
                continue
            self._running = job
            try:
                job.future.set_result(job.work(host, job.emit))
            except BaseException as error:  # noqa: BLE001  raised where it is waited for
                job.future.set_exception(error)
            self._running = None


def _call_in_loop(loop: asyncio.AbstractEventLoop, heard: TextCallback, text: str) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(heard, text)
