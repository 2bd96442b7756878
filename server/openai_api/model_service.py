"""Asks of an event loop to a model: one thread holds the client of all of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TypeVar

from ...core import (
    Answer,
    Ask,
    Choose,
    Client,
    Delta,
    Done,
    Embed,
    Failed,
    Generate,
    Model,
    ModelAsk,
    Rate,
    Thought,
    Ticket,
)

T = TypeVar("T")

POLL_SECONDS = 0.005  # after which the thread looks for new and cancelled asks
IDLE_SECONDS = 2.0  # after which the thread ends
PRIORITY = -1  # as that of chats: a person waits


@dataclass(eq=False, slots=True)
class OpenAsk:
    """An ask, the context in which it was asked (whose prompts may be cached for it), and the
    queue of the event loop that takes its events."""

    ask: ModelAsk
    owner: str
    loop: asyncio.AbstractEventLoop
    context: Context = field(default_factory=copy_context)
    events: asyncio.Queue[Delta | Done | Exception] = field(default_factory=asyncio.Queue)
    ticket: Ticket = -1
    cancelled: bool = False

    def deliver(self, event: Delta | Done | Exception) -> None:
        """Pass an event on, from the thread; a loop that was closed wants none."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.events.put_nowait, event)


class ModelService:
    """Answers asks of any number of requests in one batch of the model.

    The thread begins with the first ask and ends when there was none for a while. An ask whose
    waiter is cancelled is cancelled in the model too, which frees its rows.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._commands: SimpleQueue[OpenAsk] = SimpleQueue()

    async def answer(self, ask: ModelAsk, owner: str = "") -> Answer:
        """The answer to an ask. Raises what the model raises."""
        async with aclosing(self.events(ask, owner)) as events:
            async for event in events:
                if isinstance(event, Done):
                    return event.answer
        raise AssertionError("a stream of events ends with Done")

    async def events(self, ask: ModelAsk, owner: str = "") -> AsyncGenerator[Delta | Done, None]:
        """The pieces of a streamed ask, and at last its answer. Raises what the model raises."""
        opened = OpenAsk(ask, owner, asyncio.get_running_loop())
        self._send(opened)
        ended = False
        try:
            while True:
                event = await opened.events.get()
                ended = not isinstance(event, Delta)
                if isinstance(event, Exception):
                    raise event
                yield event
                if ended:
                    return
        finally:
            if not ended:
                opened.cancelled = True
                self._send(opened)

    async def think(
        self,
        thought: Thought[T],
        owner: str = "",
        count: Callable[[Answer], None] = lambda answer: None,
    ) -> T:
        """The result of a thought that asks nothing but models. ``count`` is given each answer."""
        answers: list[Answer] | None = None
        results: list[T] = []

        def advance() -> tuple[Ask, ...]:
            try:
                return next(thought) if answers is None else thought.send(tuple(answers))
            except StopIteration as end:
                results.append(end.value)
                return ()

        try:
            while True:
                # In a thread: long texts take a while, and the event loop serves others.
                asks = await asyncio.to_thread(advance)
                if results:
                    return results[0]
                answers = await self._answers(asks, owner)
                for answer in answers:
                    count(answer)
        finally:
            with suppress(ValueError):  # it still runs in the thread, if this was cancelled
                thought.close()

    async def _answers(self, asks: Sequence[object], owner: str) -> list[Answer]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._answer_any(ask, owner)) for ask in asks]
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _answer_any(self, ask: object, owner: str) -> Answer:
        if isinstance(ask, Generate | Choose | Rate | Embed):
            return await self.answer(ask, owner)
        return Failed(reason="refused", detail="only a model is asked here")

    # -- the thread -----------------------------------------------------------------

    def _send(self, opened: OpenAsk) -> None:
        with self._lock:
            self._commands.put(opened)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="denizens-openai-api", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        client: Client | None = None
        asks: dict[Ticket, OpenAsk] = {}
        while True:
            try:
                if client is None:
                    client = self._model.client()
                self._apply_commands(client, asks)
                if not asks:
                    if self._ended():
                        return
                    continue
                for event in client.wait(POLL_SECONDS):
                    self._deliver(event, asks)
            except Exception as error:  # noqa: BLE001  raised where the answers are awaited
                is_down = client is None
                unasked = self._drain() if is_down else []
                for opened in (*asks.values(), *unasked):
                    opened.deliver(error)
                asks.clear()
                client = None
                if is_down and self._ended():
                    return

    def _apply_commands(self, client: Client, asks: dict[Ticket, OpenAsk]) -> None:
        """Submit new asks and cancel those that nobody waits for; blocks if none is open."""
        wait = not asks
        while True:
            try:
                opened = self._commands.get(timeout=IDLE_SECONDS) if wait else self._next()
            except Empty:
                return
            wait = False
            if not opened.cancelled:
                try:
                    opened.ticket = opened.context.run(
                        client.submit, opened.ask, opened.owner, PRIORITY
                    )
                except Exception as error:  # noqa: BLE001  raised where the answer is awaited
                    opened.deliver(error)
                else:
                    asks[opened.ticket] = opened
            elif asks.get(opened.ticket) is opened:
                del asks[opened.ticket]
                client.cancel(opened.ticket)

    def _drain(self) -> list[OpenAsk]:
        """All asks that wait to be submitted."""
        with self._lock:
            count = self._commands.qsize()
            return [one for one in (self._next() for _ in range(count)) if not one.cancelled]

    def _next(self) -> OpenAsk:
        return self._commands.get_nowait()

    def _ended(self) -> bool:
        """Whether there is nothing left to do; the next ask then begins a thread of its own."""
        with self._lock:
            if self._commands.empty():
                self._thread = None
                return True
            return False

    @staticmethod
    def _deliver(event: Delta | Done, asks: dict[Ticket, OpenAsk]) -> None:
        opened = asks.get(event.ticket)
        if opened is None:
            return
        if isinstance(event, Done):
            del asks[event.ticket]
        opened.deliver(event)
