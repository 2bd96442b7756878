"""Serving an agent to other programs: chats, memory and tools over MCP."""

from .counter import Counter
from .desk import Desk
from .hosting import Host, hosted

__all__ = ["Counter", "Desk", "Host", "hosted"]
