"""The simplest client: a queue that is answered ask by ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..core import Answer, Completion, Delta, Done, Generate, ModelAsk, Ticket


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
