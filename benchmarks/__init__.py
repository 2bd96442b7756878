"""``denizens bench ...``: every figure that the docs state is returned by a function here. Shared
by the folders: workloads, statistics, the BFCL data set.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
