"""Where bodies live: towns of tiles, graphs of places, perception and conversation."""

from .bases import SmallvilleFolder, SmallvilleMovement, read_smallville_folder
from .check import check_world
from .places import Places, load_places
from .sketch import ascii_map
from .smallville import load_smallville_map
from .tiled import load_tiled
from .town import Town
from .townmap import SpawnPoint, Tile, TownMap

__all__ = [
    "SmallvilleMovement",
    "Places",
    "SmallvilleFolder",
    "SpawnPoint",
    "Tile",
    "Town",
    "TownMap",
    "check_world",
    "load_places",
    "load_smallville_map",
    "load_tiled",
    "read_smallville_folder",
    "ascii_map",
]
