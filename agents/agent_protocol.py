"""What the services of an agent need of it; ``Agent`` is one, and no service imports it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..core import AgentId, AgentState, Model, Reply, Seed, Step, Thought, Time, Utterance
from ..memory import Memory
from ..tools import Toolbox


class AgentResources(Protocol):
    """What answers the asks of an agent."""

    model: Model
    memory: Memory
    tools: Toolbox


class ChatAgent(AgentResources, Protocol):
    """An agent that a chat turn can drive."""

    state: AgentState
    in_chat: bool

    @property
    def id(self) -> AgentId:
        """The agent's name."""

    def reply(
        self, message: Utterance, session: Sequence[Utterance] = (), *, seed: Seed | None = None
    ) -> Thought[Reply]:
        """The thought that answers a message."""

    def commit(self, step: Step, *, number: int = 0, at: Time) -> None:
        """Write a step."""

    def charge_usage(self, calls: int, tokens: int, *, persist: bool = True) -> None:
        """Add calls and tokens to the lifetime usage."""
