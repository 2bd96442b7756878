"""The protocol of a model: clients that accept asks and return streamed and final answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ..types import AgentId, Json
from .asks import Answer, GeneratedToken, ModelAsk

Ticket: TypeAlias = int


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the text of a streamed Generate, and the log-probabilities of its tokens, if the
    ask wants them."""

    ticket: Ticket
    text: str
    logprobs: tuple[GeneratedToken, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """The final answer to the ask of a ticket."""

    ticket: Ticket
    answer: Answer


class Client(Protocol):
    """A connection to a model, which may have many. Not for use from several threads."""

    def submit(self, ask: ModelAsk, owner: AgentId = "", priority: int = 0) -> Ticket:
        """Queue an ask; never blocks. Asks with a lower ``priority`` run first."""

    def cancel(self, ticket: Ticket) -> None:
        """Cancel an ask: no answer to it is returned. Unknown tickets are ignored."""

    def wait(self, timeout: float | None = None) -> Sequence[Delta | Done]:
        """Block until there are events, at most ``timeout`` seconds; empty if no ask is queued or
        after the timeout."""


class Model(Protocol):
    """A model that answers asks through its clients."""

    def client(self) -> Client:
        """A new client."""

    def describe(self) -> dict[str, Json]:
        """What a run records about the model: name, digest, dtype, device, versions."""
