"""The planner of generative agents (Park et al. 2023): the plan of a day, encounters with
others, and reflection.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
