"""Serving an agent to other programs: chats, memory and tools over MCP.

``hosted_agent`` opens the agent, ``agent_thread`` is the one thread that uses it,
``agent_service`` is what a visitor may ask of it, ``mcp_server`` speaks the protocol.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
