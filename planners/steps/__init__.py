"""What planners share to build one step of an agent.

The StepBuilder, prompt templates, best-of-n generation, records of observations, and the
affordances of a world as tools.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
