"""Shared vocabulary of the framework: ids, seed, clock, records, persona, errors, canonical
JSON, settings reader, information-flow labels. Imports nothing of the package and nothing
heavy.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
