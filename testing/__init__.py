"""Checks for a user's own tests: planner, tool and world contracts, information-flow checks,
replay of recorded thoughts, sample situations, adversarial and scripted models.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
