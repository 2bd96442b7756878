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

MOST_WAITING = 64
"""Calls that may wait at once; more are turned away."""


class Busy(DenizensError):
    """Too many calls wait for the agent already."""


class BrokenOff(BaseException):
    """Nobody waits any more for what is being done. No Exception: no tool may swallow it."""


Say: TypeAlias = Callable[[str], None]
"""Takes text as it is made. Raises BrokenOff where nobody waits for it any more."""


@dataclass(slots=True)
class _Job:
    work: Callable[[Any, Say], Any]
    heard: Say
    done: Future[Any] = field(default_factory=Future)
    broken_off: threading.Event = field(default_factory=threading.Event)

    def say(self, text: str) -> None:
        if self.broken_off.is_set():
            raise BrokenOff
        self.heard(text)


class Desk(Generic[H]):
    """What ``make`` opens, used by one thread, one call after the other.

    >>> from contextlib import nullcontext
    >>> async def two() -> list[int]:
    ...     return [await desk.do(lambda number, say: number + add) for add in (1, 2)]
    >>> with Desk(lambda: nullcontext(40)) as desk:
    ...     asyncio.run(two())
    [41, 42]
    """

    def __init__(self, make: Callable[[], AbstractContextManager[H]]) -> None:
        self._make = make
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._serve, name="desk", daemon=True)
        self._current: _Job | None = None
        self._closed = False

    def __enter__(self) -> Desk[H]:
        """Open what is served. Raises what goes wrong at that."""
        self._thread.start()
        self._opened.result()
        return self

    def __exit__(self, *failure: object) -> None:
        """Break off what is being done and close; all that waits is turned away."""
        if self._current is not None:
            self._current.broken_off.set()
        self._closed = True
        self._jobs.put(None)
        self._thread.join(10)

    @property
    def waiting(self) -> int:
        """How many calls wait, without the one that is being done."""
        return self._jobs.qsize()

    async def do(self, work: Callable[[H, Say], T], heard: Say = lambda _: None) -> T:
        """Have something done in the thread, and wait for it.

        ``work`` gets what was opened, and what to say on the way: that ``heard`` gets, in this
        loop. Cancelled before its turn it is not done at all; while it is being done it ends
        at what it says next. Raises Busy where too many wait.
        """
        if self._closed:
            raise Busy("the agent is not served any more")
        if self.waiting >= MOST_WAITING:
            raise Busy(f"{MOST_WAITING} calls wait for the agent already; try again later")
        loop = asyncio.get_running_loop()
        job = _Job(work, lambda text: _in_loop(loop, heard, text))
        self._jobs.put(job)
        try:
            result: T = await asyncio.wrap_future(job.done)
            return result
        except asyncio.CancelledError:
            job.broken_off.set()
            raise

    def _serve(self) -> None:
        try:
            opened = self._make()
            with opened as host:
                self._opened.set_result(None)
                self._work(host)
        except BaseException as error:
            if not self._opened.done():
                self._opened.set_exception(error)
            else:
                log.exception("what was served does not close")
        self._turn_away()

    def _turn_away(self) -> None:
        """Let go all who still wait; nobody new comes in."""
        self._closed = True
        while True:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return
            if job is not None:
                job.done.cancel()

    def _work(self, host: H) -> None:
        while (job := self._jobs.get()) is not None:
            if not job.done.set_running_or_notify_cancel():
                continue
            self._current = job
            try:
                job.done.set_result(job.work(host, job.say))
            except BaseException as error:  # noqa: BLE001  raised where it is waited for
                job.done.set_exception(error)
            self._current = None


def _in_loop(loop: asyncio.AbstractEventLoop, heard: Say, text: str) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(heard, text)
