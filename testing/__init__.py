"""What a user's own tests import: scripted, replaying and adversarial models, tiny models, checks
of planners, tools and worlds against their contracts, sample situations, replay of thoughts.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
