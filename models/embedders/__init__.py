"""Embedders: unit vectors of texts and of images, so that their inner product is the cosine."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
