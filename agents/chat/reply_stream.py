"""A reply that is being made: its events in a thread, in a loop, or in an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, TypeAlias

from ...core import Approver, Reply
from ...tools import ProgressListener, ToolProgress
from .cancellation import CancelToken
from .chat_turn import TurnCallbacks
from .reply_why import ReplyWhy, explain_reply


@dataclass(frozen=True, slots=True)
class TextPiece:
    """A piece of the text of a reply."""

    text: str


@dataclass(frozen=True, slots=True)
class ReplyEnd:
    """The finished reply: the last event of a stream."""

    reply: Reply

    @property
    def why(self) -> ReplyWhy:
        """What the reply rests on."""
        return explain_reply(self.reply)


ReplyEvent: TypeAlias = TextPiece | ToolProgress | ReplyEnd


class ReplyWork:
    """What the work on a reply is given: where its events go, and ``cancel``, which ends it."""

    def __init__(self, emit: Callable[[ReplyEvent], None], cancel: CancelToken) -> None:
        self._emit = emit
        self.cancel = cancel

    def on_text(self, text: str) -> None:
        """Pass on a piece of text. Raises ReplyCancelled."""
        self.cancel.check()
        if text:
            self._emit(TextPiece(text))

    @property
    def listener(self) -> ProgressListener:
        """Passes on the progress of tools."""
        return self._emit

    def check(self) -> None:
        """Raises ReplyCancelled once the reply is cancelled."""
        self.cancel.check()

    def callbacks(
        self, approve: Approver | None = None, check: Callable[[], None] | None = None
    ) -> TurnCallbacks:
        """The callbacks of a turn whose events go into the stream."""
        return TurnCallbacks(
            on_text=self.on_text,
            approve=approve,
            listener=self._emit,
            check=check,
            cancel=self.cancel,
        )


class ReplyStream:
    """The events of a reply that a thread of its own works on: ``TextPiece`` and ``ToolProgress``,
    at the end ``ReplyEnd``.

    It can be iterated (``for``), iterated in an event loop (``async for``), or asked at any time
    what is new (``poll``), as in the loop of a game; use one of the three. ``await`` gives the
    reply. An error of the work is raised by all of them, and by ``result``.

    ``cancel``, from any thread, ends the reply with what was shown so far: then it has ``resolve``
    "cancelled", and is remembered like any other. Leaving the iteration cancels too.
    """

    def __init__(self, work: Callable[[ReplyWork], Reply], name: str = "reply") -> None:
        self._work = work
        self._cancel = CancelToken()
        self._condition = threading.Condition()
        self._events: list[ReplyEvent] = []
        self._reply: Reply | None = None
        self._error: BaseException | None = None
        self._on_event: Callable[[], None] | None = None
        context = copy_context()
        # A daemon, so that a reply nobody waits for cannot keep the process alive.
        self._thread = threading.Thread(
            target=context.run, args=(self._run,), name=name, daemon=True
        )
        self._thread.start()

    def _run(self) -> None:
        try:
            reply = self._work(ReplyWork(self._emit, self._cancel))
        except BaseException as error:  # noqa: BLE001  raised where the stream is read
            self._finish(None, error)
        else:
            self._finish(reply, None)

    def _finish(self, reply: Reply | None, error: BaseException | None) -> None:
        with self._condition:
            self._reply, self._error = reply, error
            if reply is not None:
                self._events.append(ReplyEnd(reply))
            self._notify()

    def _emit(self, event: ReplyEvent) -> None:
        with self._condition:
            self._events.append(event)
            self._notify()

    def _notify(self) -> None:
        self._condition.notify_all()
        if self._on_event:
            self._on_event()

    @property
    def done(self) -> bool:
        """Whether the work has ended."""
        return self._reply is not None or self._error is not None

    @property
    def reply(self) -> Reply | None:
        """The reply, once it is done."""
        return self._reply

    def poll(self) -> list[ReplyEvent]:
        """The events since the last call; never blocks. Raises the error of the work once all
        events before it were returned."""
        with self._condition:
            return self._take()

    def _take(self) -> list[ReplyEvent]:
        events, self._events = self._events, []
        if not events and self._error is not None:
            raise self._error
        return events

    def __iter__(self) -> Iterator[ReplyEvent]:
        try:
            while True:
                with self._condition:
                    while not self._events and not self.done:
                        self._condition.wait()
                    events = self._take()
                for event in events:
                    yield event
                    if isinstance(event, ReplyEnd):
                        return
        finally:
            if not self.done:
                self.cancel()

    async def __aiter__(self) -> AsyncIterator[ReplyEvent]:
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(news.set)

        with self._condition:
            self._on_event = wake
        try:
            while True:
                news.clear()
                events = self.poll()
                for event in events:
                    yield event
                    if isinstance(event, ReplyEnd):
                        return
                if not events:
                    await news.wait()
        finally:
            with self._condition:
                self._on_event = None
            if not self.done:
                self.cancel()

    def __await__(self) -> Generator[Any, None, Reply]:
        return self._ended().__await__()

    async def _ended(self) -> Reply:
        async for event in self:
            if isinstance(event, ReplyEnd):
                return event.reply
        raise RuntimeError("the events of this reply were read elsewhere")

    def cancel(self) -> None:
        """End the reply, from any thread; without effect on one that is done."""
        self._cancel.cancel()

    def result(self, timeout: float | None = None) -> Reply:
        """The reply; blocks until it is done. Raises the error of the work, TimeoutError after
        ``timeout`` seconds."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError(f"the reply is not done after {timeout:g} s")
        if self._error is not None:
            raise self._error
        assert self._reply is not None
        return self._reply
