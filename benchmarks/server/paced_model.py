"""A scripted model that streams a fixed number of pieces at a fixed pace."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from ...core import Completion, Delta, Done, Embed, Generate, Json, ModelAsk, Ticket, Vectors

PIECE = "word "
_LONG_PIECE = "word " * 800


@dataclass(slots=True)
class _OpenAsk:
    """An ask that is being answered: when its next piece is due, how many are sent."""

    ask: ModelAsk
    sent: int = 0


class PacedModel:
    """Answers every Generate with ``pieces`` pieces, the first after ``seconds``, each other
    ``seconds`` later; with ``long`` a piece has 4 kB. ``open`` counts the asks in progress, as
    the rows of a batch."""

    def __init__(self, pieces: int = 20, seconds: float = 0.025, *, long: bool = False) -> None:
        self.pieces = pieces
        self.seconds = seconds
        self.piece = _LONG_PIECE if long else PIECE
        self._lock = threading.Lock()
        self._open = 0

    @property
    def open(self) -> int:
        """The number of asks in progress."""
        return self._open

    def count(self, change: int) -> None:
        """An ask begins (1) or ends (-1)."""
        with self._lock:
            self._open += change

    def client(self) -> PacedClient:
        """A new client, for one thread."""
        return PacedClient(self)

    def describe(self) -> dict[str, Json]:
        return {"name": "paced"}


@dataclass(slots=True)
class PacedClient:
    """A client of a PacedModel."""

    model: PacedModel
    _asks: dict[Ticket, _OpenAsk] = field(default_factory=dict)
    _due: list[tuple[float, Ticket]] = field(default_factory=list)
    _tickets: count[int] = field(default_factory=lambda: count(1))

    def submit(self, ask: ModelAsk, owner: str = "", priority: int = 0) -> Ticket:
        """Begin to answer an ask."""
        ticket = next(self._tickets)
        self._asks[ticket] = _OpenAsk(ask)
        self.model.count(1)
        wait = self.model.seconds if isinstance(ask, Generate) else 0.0
        heapq.heappush(self._due, (time.monotonic() + wait, ticket))
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """End an ask."""
        if self._asks.pop(ticket, None) is not None:
            self.model.count(-1)

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        """The events that are due; sleeps until the next is, up to ``timeout`` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while self._asks:
            events = self._take_due()
            if events:
                return events
            now = time.monotonic()
            if end is not None and now >= end:
                return []
            due = self._due[0][0] if self._due else now
            time.sleep(max(0.0, min(due, due if end is None else end) - now))
        return []

    def _take_due(self) -> list[Delta | Done]:
        now, events = time.monotonic(), list[Delta | Done]()
        while self._due and self._due[0][0] <= now:
            due, ticket = heapq.heappop(self._due)
            opened = self._asks.get(ticket)
            if opened is None:
                continue
            if isinstance(opened.ask, Generate) and opened.sent < self.model.pieces:
                opened.sent += 1
                events.append(Delta(ticket, self.model.piece))
                heapq.heappush(self._due, (due + self.model.seconds, ticket))
                continue
            self.cancel(ticket)
            events.append(Done(ticket, self._answer(opened.ask)))
        return events

    def _answer(self, ask: ModelAsk) -> Completion | Vectors:
        if isinstance(ask, Embed):
            import numpy as np

            return Vectors.of(np.full((len(ask.texts), 4), 0.5, dtype=np.float32))
        text = self.model.piece * self.model.pieces
        return Completion(text=text, tokens_in=8, tokens_out=self.model.pieces)
