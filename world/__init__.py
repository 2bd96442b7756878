"""Where bodies live: towns of tiles, graphs of places, perception and conversation."""

from .smallville import load_smallville_map
from .tiled import load_tiled
from .town import Town
from .townmap import Spawn, Tile, TownMap

__all__ = [
    "Spawn",
    "Tile",
    "Town",
    "TownMap",
    "load_smallville_map",
    "load_tiled",
]
