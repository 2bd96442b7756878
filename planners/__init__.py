"""Planners: stateless minds that decide by yielding asks.

The rooms: `daily` (generative agents that live a day), `goals` (ReAct, plan-and-execute,
Reflexion, tree of thoughts), `dialogue` (one turn of a chat), `arguments` (which tool to
call, and with which arguments), `text` (sentences and speech).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
