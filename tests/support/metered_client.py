"""A client that reports every answered ask, for models of known prices."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from denizens.core import Answer, Client, Delta, Done, ModelAsk


class MeteredClient:
    """Passes asks on to ``inner`` and calls ``enter(owner, ask, answer)`` for each answer."""

    def __init__(self, inner: Client, enter: Callable[[str, ModelAsk, Answer], None]) -> None:
        self.inner = inner
        self.enter = enter
        self.asked: dict[int, tuple[str, ModelAsk]] = {}

    def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> int:
        """Queue an ask."""
        ticket = self.inner.submit(ask, owner, priority)
        self.asked[ticket] = (owner, ask)
        return ticket

    def cancel(self, ticket: int) -> None:
        """Forget an ask."""
        self.inner.cancel(ticket)

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        """The answers, entered."""
        events = self.inner.wait(timeout)
        for event in events:
            if isinstance(event, Done):
                self.enter(*self.asked.pop(event.ticket), event.answer)
        return events
