"""A run as one HTML page: the data format of the page, its collection from a run, maps of worlds
with and without tiles, and the page itself."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
