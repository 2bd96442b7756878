"""Planners of days: Routine, and the generative agents of Park et al. (2023) with their plan of
a day, encounters with others, and reflection.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
