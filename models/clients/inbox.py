"""What clients are made of: an instant one, and the box that other threads deliver to."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Generic, TypeVar

from ...core import (
    Answer,
    Completion,
    Delta,
    Done,
    Generate,
    ModelAsk,
    ModelError,
    Ticket,
)

T = TypeVar("T")


class EventInbox(Generic[T]):
    """What comes from other threads for the open tickets of one client.

    ``open`` holds something of the client's for each; what comes for another ticket, one
    that was cancelled, is thrown away."""

    def __init__(self) -> None:
        self.open: dict[Ticket, T] = {}
        self._queue: SimpleQueue[tuple[Ticket, Delta | Done | BaseException]] = SimpleQueue()

    def deliver(self, ticket: Ticket, event: Delta | Done | BaseException) -> None:
        """Put in an event; from any thread. An exception is raised in the client's wait."""
        self._queue.put((ticket, event))

    def wait(self, timeout: float | None) -> Sequence[Delta | Done]:
        """See ``Client.wait``."""
        end = None if timeout is None else monotonic() + timeout
        out: list[Delta | Done] = []
        while self.open and not out:
            left = None if end is None else max(0.0, end - monotonic())
            try:
                self._take(*self._queue.get(timeout=left), out)
            except Empty:
                break
        while self.open and not self._queue.empty():
            self._take(*self._queue.get(), out)
        return out

    def _take(
        self, ticket: Ticket, event: Delta | Done | BaseException, out: list[Delta | Done]
    ) -> None:
        if ticket not in self.open:
            return
        if not isinstance(event, Delta):
            del self.open[ticket]
        if isinstance(event, BaseException):
            raise event
        out.append(event)


def require_same_process(pid: int, what: str) -> None:
    """Raises ModelError in a process forked from ``pid``, where ``what`` was made: threads and
    their locks do not come along, and its answers would never come."""
    if os.getpid() != pid:
        raise ModelError(
            f"{what}: was loaded by process {pid} and cannot be used in its fork {os.getpid()}; "
            "load it there after the fork, or start processes by 'spawn'"
        )


class InstantClient:
    """Answers everything queued at the next ``wait``, lowest priority number first."""

    def __init__(self, answer: Callable[[ModelAsk], Answer]) -> None:
        self._answer = answer
        self._queue: dict[Ticket, tuple[int, ModelAsk]] = {}
        self._next = 0

    def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> Ticket:
        """Queue an ask."""
        self._next += 1
        self._queue[self._next] = (priority, ask)
        return self._next

    def cancel(self, ticket: Ticket) -> None:
        """Forget an ask."""
        self._queue.pop(ticket, None)

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        """Every queued ask, answered."""
        out: list[Delta | Done] = []
        for ticket in sorted(self._queue, key=lambda ticket: (self._queue[ticket][0], ticket)):
            _, ask = self._queue.pop(ticket)
            answer = self._answer(ask)
            if isinstance(ask, Generate) and ask.stream and isinstance(answer, Completion):
                out.append(Delta(ticket, answer.text))
            out.append(Done(ticket, answer))
        return out
