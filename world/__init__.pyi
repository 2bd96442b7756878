from .embodied_world import EmbodiedWorld as EmbodiedWorld
from .geometry import Geometry as Geometry
from .places import Places as Places
from .places import load_places as load_places
from .smallville_map import load_smallville_map as load_smallville_map
from .smallville_map import read_csv_rows as read_csv_rows
from .tiled_map import load_tiled as load_tiled
from .town import Town as Town
from .town_map import SpawnPoint as SpawnPoint
from .town_map import Tile as Tile
from .town_map import TownMap as TownMap
from .town_map import ascii_map as ascii_map

__all__: list[str]
