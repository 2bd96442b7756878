"""A thread that owns an agent, so that it has one writer and does one thing at a time.

A store may be used only by the thread that opened it, and a chat blocks while a model generates.
A server's event loop must not block: it passes each call to this thread and awaits the result.
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
"""Calls that may wait at the same time; further ones are rejected."""


class AgentBusy(DenizensError):
    """Too many calls already wait for the agent."""


class CallAborted(BaseException):
    """The caller of the running call has gone. Not an Exception, so that no tool swallows it."""


TextCallback: TypeAlias = Callable[[str], None]
"""Receives text as it is generated. Raises CallAborted once the caller has gone."""


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
    """Opens a resource in a thread of its own and runs calls on it there, one after the other.

    ``open_host`` returns the context manager of the resource.

    >>> from contextlib import nullcontext
    >>> async def two() -> list[int]:
    ...     return [await thread.run(lambda number, emit: number + add) for add in (1, 2)]
    >>> with AgentThread(lambda: nullcontext(40)) as thread:
    ...     asyncio.run(two())
    [41, 42]
    """

    def __init__(self, open_host: Callable[[], AbstractContextManager[H]]) -> None:
        self._open_host = open_host
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._opened: Future[None] = Future()
        # A daemon, so that a call that never returns cannot keep the process alive.
        self._thread = threading.Thread(target=self._main, name="agent", daemon=True)
        self._running: _Call | None = None
        self._closed = False

    def __enter__(self) -> AgentThread[H]:
        """Start the thread and open the resource. Raises what opening it raises."""
        self._thread.start()
        self._opened.result()
        return self

    def __exit__(self, *failure: object) -> None:
        """Abort the running call, reject all that wait, and close the resource."""
        if self._running is not None:
            self._running.aborted.set()
        self._closed = True
        self._calls.put(None)
        self._thread.join(10)

    @property
    def waiting(self) -> int:
        """The number of calls that wait, without the running one."""
        return self._calls.qsize()

    async def run(
        self, work: Callable[[H, TextCallback], T], on_text: TextCallback = lambda _: None
    ) -> T:
        """Run ``work`` in the thread and await its result.

        ``work`` gets the resource and a callback for partial text, which calls ``on_text`` in
        this event loop. A call that is cancelled while it waits is never run; one that is running
        ends at its next text. Raises AgentBusy where too many wait.
        """
        if self._closed:
            raise AgentBusy("the agent is no longer served")
        if self.waiting >= MAX_WAITING:
            raise AgentBusy(f"{MAX_WAITING} calls wait for the agent already; try again later")
        loop = asyncio.get_running_loop()
        call = _Call(work, lambda text: _call_in_loop(loop, on_text, text))
        self._calls.put(call)
        try:
            result: T = await asyncio.wrap_future(call.future)
            return result
        except asyncio.CancelledError:
            call.aborted.set()
            raise

    def _main(self) -> None:
        try:
            with self._open_host() as host:
                self._opened.set_result(None)
                self._run_calls(host)
        except BaseException as error:
            if not self._opened.done():
                self._opened.set_exception(error)
            else:
                log.exception("the served agent could not be closed")
        self._reject_waiting()

    def _reject_waiting(self) -> None:
        self._closed = True
        while True:
            try:
                call = self._calls.get_nowait()
            except Empty:
                return
            if call is not None:
                call.future.cancel()

    def _run_calls(self, host: H) -> None:
        while (call := self._calls.get()) is not None:
            if not call.future.set_running_or_notify_cancel():
                continue
            self._running = call
            try:
                call.future.set_result(call.work(host, call.emit))
            except BaseException as error:  # noqa: BLE001  raised where the result is awaited
                call.future.set_exception(error)
            self._running = None


def _call_in_loop(loop: asyncio.AbstractEventLoop, on_text: TextCallback, text: str) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(on_text, text)
