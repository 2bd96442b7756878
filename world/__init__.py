"""Where bodies live: towns of tiles, graphs of places, perception and conversation."""

from .bases import Movement, SmallvilleBase, read_smallville
from .smallville import load_smallville_map
from .tiled import load_tiled
from .town import Town
from .townmap import Spawn, Tile, TownMap

__all__ = [
    "Movement",
    "SmallvilleBase",
    "Spawn",
    "Tile",
    "Town",
    "TownMap",
    "load_smallville_map",
    "load_tiled",
    "read_smallville",
]
