"""A run as one HTML page: the page's data format, its collection from a run, maps, and the page
itself.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
