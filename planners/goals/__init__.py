"""Planners that work on goals with tools: ReAct, plan-and-execute, Reflexion and tree of
thoughts.

`Task`, `TaskOutcome` and `TaskWorker` are what they share, so that one can work for another;
goals wait in the agent's state.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
