"""Benchmarks of agents: tool calls of BFCL, tool search, argument filling, tasks with tools,
labels of a simulated day.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
