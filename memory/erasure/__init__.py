"""Correcting and forgetting records, erasing a person, and the byte search that proves it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
