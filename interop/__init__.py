"""Foreign file formats, read and written: Smallville (generative agents) folders as scenarios and
viewer pages, finished runs as Smallville folders, and CSV tables of a run. ``cards``: character
cards.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
