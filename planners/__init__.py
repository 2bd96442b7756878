"""Planners: stateless deciders that yield asks.

`daily` (generative agents and routines), `goals` (ReAct, plan-and-execute, Reflexion, tree of
thoughts), `dialogue` (one turn of a chat), `arguments` (tool calls and their arguments), `steps`
(what all planners share) and `text` (sentences and generated lines).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
