"""Readers of training data: CSV of personas, runs, memory files, JSON Lines of chat messages."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
