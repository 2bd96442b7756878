"""Worlds that bodies live in: a town of tiles (Town) and a graph of named places (Places).

Both are an EmbodiedWorld over a Geometry. Also here: the town map, path finding, perception,
conversations, and readers of Tiled maps and of maps drawn as text.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
