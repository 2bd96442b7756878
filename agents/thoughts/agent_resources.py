"""What answers the asks of an agent."""

from __future__ import annotations

from typing import Protocol

from ...core import Model
from ...memory import Memory
from ...tools import Toolbox


class AgentResources(Protocol):
    """What answers the asks of an agent."""

    model: Model
    memory: Memory
    tools: Toolbox
