"""Parts of model clients: the inbox for events of other threads, and clients of functions."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Generic, TypeVar

from ...core import Answer, Completion, Delta, Done, Generate, ModelAsk, ModelError, Ticket

T = TypeVar("T")


class EventInbox(Generic[T]):
    """Events from other threads for the open tickets of one client.

    ``open`` maps each open ticket to an object of the client's. Events for other tickets, which
    were cancelled, are dropped.
    """

    def __init__(self) -> None:
        self.open: dict[Ticket, T] = {}
        self._queue: SimpleQueue[tuple[Ticket, Delta | Done | BaseException]] = SimpleQueue()

    def deliver(self, ticket: Ticket, event: Delta | Done | BaseException) -> None:
        """Add an event, from any thread. An exception is raised by the client's ``wait``."""
        self._queue.put((ticket, event))

    def wait(self, timeout: float | None) -> Sequence[Delta | Done]:
        """The events that have arrived; blocks for one while a ticket is open, up to ``timeout``
        seconds."""
        end = None if timeout is None else monotonic() + timeout
        events: list[Delta | Done] = []
        while self.open and not events:
            left = None if end is None else max(0.0, end - monotonic())
            try:
                self._take(*self._queue.get(timeout=left), events)
            except Empty:
                break
        while self.open and not self._queue.empty():
            self._take(*self._queue.get(), events)
        return events

    def _take(
        self, ticket: Ticket, event: Delta | Done | BaseException, events: list[Delta | Done]
    ) -> None:
        if ticket not in self.open:
            return
        if not isinstance(event, Delta):
            del self.open[ticket]
        if isinstance(event, BaseException):
            raise event
        events.append(event)


def require_same_process(pid: int, name: str) -> None:
    """Raises ModelError in a process forked from ``pid``, which created the object ``name``:
    a fork has none of its threads and locks, so its answers would never arrive."""
    if os.getpid() != pid:
        raise ModelError(
            f"{name}: was loaded by process {pid} and cannot be used in its fork {os.getpid()}; "
            "load it there after the fork, or start processes by 'spawn'"
        )


class BatchClient:
    """Answers all queued asks at the next ``wait`` by one call of a function.

    The function receives (owner, ask) pairs in order of priority.
    """

    def __init__(
        self, answer_batch: Callable[[list[tuple[str, ModelAsk]]], Sequence[Answer]]
    ) -> None:
        self._answer_batch = answer_batch
        self._queue: dict[Ticket, tuple[int, str, ModelAsk]] = {}
        self._next = 0

    def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> Ticket:
        self._next += 1
        self._queue[self._next] = (priority, owner, ask)
        return self._next

    def cancel(self, ticket: Ticket) -> None:
        self._queue.pop(ticket, None)

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        queue, self._queue = self._queue, {}
        tickets = sorted(queue, key=lambda ticket: (queue[ticket][0], ticket))
        if not tickets:
            return []
        events: list[Delta | Done] = []
        answers = self._answer_batch([queue[ticket][1:] for ticket in tickets])
        for ticket, answer in zip(tickets, answers):
            ask = queue[ticket][2]
            if isinstance(ask, Generate) and ask.stream and isinstance(answer, Completion):
                events.append(Delta(ticket, answer.text, answer.logprobs))
            events.append(Done(ticket, answer))
        return events


class InstantClient(BatchClient):
    """Answers each queued ask by a function of the ask, at the next ``wait``."""

    def __init__(self, answer: Callable[[ModelAsk], Answer]) -> None:
        super().__init__(lambda batch: [answer(ask) for _, ask in batch])
