"""What a user's own tests import: checks of planners, tools and worlds against their contracts,
replay of recorded thoughts, sample situations, and models that answer adversarially.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
