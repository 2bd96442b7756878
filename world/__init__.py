"""Where bodies live: towns of tiles, graphs of places, perception and conversation."""

from .bases import Movement, SmallvilleBase, read_smallville
from .check import check_world
from .places import Places, load_places
from .sketch import sketch
from .smallville import load_smallville_map
from .tiled import load_tiled
from .town import Town
from .townmap import Spawn, Tile, TownMap

__all__ = [
    "Movement",
    "Places",
    "SmallvilleBase",
    "Spawn",
    "Tile",
    "Town",
    "TownMap",
    "check_world",
    "load_places",
    "load_smallville_map",
    "load_tiled",
    "read_smallville",
    "sketch",
]
