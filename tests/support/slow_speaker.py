"""A model that says a fixed text piece by piece, as slowly as a test wants."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from denizens.core import (
    AgentId,
    Answer,
    Completion,
    Delta,
    Done,
    Generate,
    Json,
    ModelAsk,
    Ticket,
)
from denizens.testing import ScriptedModel


class SlowSpeaker:
    """Streams what ``speak(ask)`` returns, word by word with ``seconds`` between the words;
    ``others`` answers all asks that are not streamed."""

    def __init__(
        self,
        speak: Callable[[Generate], str],
        others: Callable[[ModelAsk], Answer | str | float | int],
        *,
        seconds: float = 0.0,
    ) -> None:
        self._speak = speak
        self._others = ScriptedModel(others)
        self.seconds = seconds

    def client(self) -> SlowClient:
        """A new client."""
        return SlowClient(self._speak, self._others, self.seconds)

    def describe(self) -> dict[str, Json]:
        return {"name": "slow speaker"}


class SlowClient:
    """A client of a SlowSpeaker."""

    def __init__(
        self, speak: Callable[[Generate], str], others: ScriptedModel, seconds: float
    ) -> None:
        self._speak = speak
        self._others = others.client()
        self._seconds = seconds
        self._next = 1_000_000
        self._events: deque[Delta | Done] = deque()
        self.cancelled = 0

    def submit(self, ask: ModelAsk, owner: AgentId = "", priority: int = 0) -> Ticket:
        if not (isinstance(ask, Generate) and ask.stream):
            return self._others.submit(ask, owner, priority)
        self._next += 1
        text = self._speak(ask)
        words = text.split(" ")
        pieces = [word if not place else f" {word}" for place, word in enumerate(words)]
        self._events.extend(Delta(self._next, piece) for piece in pieces)
        completion = Completion(text=text, tokens_in=1, tokens_out=len(words))
        self._events.append(Done(self._next, completion))
        return self._next

    def cancel(self, ticket: Ticket) -> None:
        self.cancelled += 1
        self._events = deque(event for event in self._events if event.ticket != ticket)

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        if not self._events:
            return self._others.wait(timeout)
        time.sleep(self._seconds)
        return [self._events.popleft()]
