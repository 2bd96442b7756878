"""Serving over HTTP: the application that includes all APIs, and its start."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
