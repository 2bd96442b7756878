"""What agents remember: durable records, recalled by recency, importance and relevance."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
