"""Serving an agent to other programs: chats, memory and tools over MCP."""

from .counter import AgentService
from .desk import AgentThread
from .hosting import HostedAgent, open_hosted_agent

__all__ = ["AgentService", "AgentThread", "HostedAgent", "open_hosted_agent"]
