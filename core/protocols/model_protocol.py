"""The contract of what answers asks with a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ..types import AgentId, Json
from .asks import Answer, ModelAsk

Ticket: TypeAlias = int


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of text of a streamed Generate, in order."""

    ticket: Ticket
    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The final answer of a ticket."""

    ticket: Ticket
    answer: Answer


class Client(Protocol):
    """A mailbox at an engine; one engine may serve many. Not shared between threads."""

    def submit(self, ask: ModelAsk, owner: AgentId = "", priority: int = 0) -> Ticket:
        """Queue an ask; never blocks. Lower ``priority`` goes first."""
        ...

    def cancel(self, ticket: Ticket) -> None:
        """Forget an ask; its answer never comes. Unknown tickets are ignored."""
        ...

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        """Block until something is there, at most ``timeout`` seconds; empty when nothing
        is queued or the time is over."""
        ...


class Model(Protocol):
    """Answers model asks through its clients."""

    def client(self) -> Client:
        """A new mailbox."""
        ...

    def describe(self) -> dict[str, Json]:
        """What a run records about it: name, digest, dtype, device, versions."""
        ...
