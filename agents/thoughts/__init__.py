"""Driving the thoughts of agents: who answers their asks, under which guard.

``ask_router`` sends asks to models and memories, ``tool_executor`` makes tool calls,
``skill_runner`` runs skills inside of thoughts, ``thought_guard`` bounds a thought and follows
what it rests on, ``thought_labels`` and ``state_labels`` say who may know the results.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
