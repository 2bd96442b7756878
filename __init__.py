"""Denizens: agents that live, on a model in your own process.

    from denizens import Agent, Daily, Memory, Simulation, Town, load_model

The names of daily use are here; all others are in their folders (``denizens.core``,
``denizens.models``, ...). A name is loaded when it is first used: importing this package loads
no model library.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
