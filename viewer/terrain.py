"""Draws a tile map: assigns each tile a kind of ground.

A map says where one can walk and how places are called, not how they look. The kind of a tile
follows from the names of its places and from the map's own layers (``hints``). Kinds: grass,
meadow, forest, tree, bush, hedge, fence, path, road, plaza, water, sand, garden, bridge, field;
indoors: wood, tile, stone, carpet, wall."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TypeAlias

from ..world import TownMap
from .page_data import MapArea, MapData, MapObject

Tile: TypeAlias = tuple[int, int]

# Names of ground in maps that the page calls otherwise.
_KINDS = {"flowers": "meadow", "rug": "carpet", "dock": "bridge", "door": "wood", "floor": ""}
# Names of floors outdoors.
_OUTDOOR_KINDS = {"stone": "plaza", "carpet": "plaza"}
FLOORS = frozenset({"wood", "tile", "stone", "carpet"})
_OUTDOOR_WORDS = frozenset(
    (
        *("garden", "park", "square", "green", "yard", "beach", "field", "meadow", "street"),
        *("plaza", "orchard", "harbour", "harbor", "pier", "dock", "lane", "pond", "lake"),
        *("gardens", "courtyard", "churchyard", "landing", "riverside", "lawn", "playground"),
    )
)
_TILE_WORDS = ("bath", "kitchen", "laundry", "pharmacy", "clinic", "surgery", "toilet", "bakery")
_STONE_WORDS = (
    "greenhouse",
    "hallway",
    "hall",
    "church",
    "chapel",
    "cellar",
    "workshop",
    "forge",
    "smithy",
    "store",
)
_CARPET_WORDS = ("bedroom", "library", "theatre", "study", "parlour", "music")


@dataclass(frozen=True, slots=True, kw_only=True)
class MapLayers:
    """The input of drawing: sizes in tiles, and the tiles of each place. Keys of ``arenas`` and
    ``objects`` are addresses, the largest place first, joined by colons."""

    width: int
    height: int
    blocked: frozenset[Tile]
    sectors: Mapping[str, frozenset[Tile]]
    arenas: Mapping[str, frozenset[Tile]]
    objects: Mapping[str, frozenset[Tile]]
    hints: Mapping[Tile, str] = field(default_factory=dict)


def map_layers(town: TownMap) -> MapLayers:
    """The layers of a town's map."""
    places: dict[str, dict[str, set[Tile]]] = {"sector": {}, "arena": {}, "object": {}}
    hints: dict[Tile, str] = {}
    for at, kind in enumerate(town.kinds):
        tile = (at % town.width, at // town.width)
        # Walkable woods are drawn sparser than trees that block.
        woods = kind == "tree" and not town.blocked[at]
        hints[tile] = "forest" if woods else _KINDS.get(kind, kind)
        address = town.world
        named = (town.sectors[at], town.arenas[at], town.objects[at])
        for level, name in zip(places.values(), named):
            if not name:
                break
            address = f"{address}:{name}"
            level.setdefault(address, set()).add(tile)
    sectors, arenas, objects = (
        {address: frozenset(tiles) for address, tiles in level.items()} for level in places.values()
    )
    blocked = frozenset(
        (at % town.width, at // town.width) for at, shut in enumerate(town.blocked) if shut
    )
    return MapLayers(
        width=town.width,
        height=town.height,
        blocked=blocked,
        sectors=sectors,
        arenas=arenas,
        objects=objects,
        hints=hints,
    )


def draw_map(land: MapLayers) -> MapData:
    """The map as the page draws it."""
    ground = _ground(land)
    rows = [(x, y) for y in range(land.height) for x in range(land.width)]
    return MapData(
        width=land.width,
        height=land.height,
        ground=[ground[tile] for tile in rows],
        blocked=[tile in land.blocked for tile in rows],
        sectors=tuple(_area(name, tiles) for name, tiles in land.sectors.items()),
        arenas=tuple(_area(name, tiles, _parent(name)) for name, tiles in land.arenas.items()),
        objects=tuple(
            MapObject(_last(address), address, tuple(rectangles(tiles)))
            for address, tiles in land.objects.items()
        ),
        sector_of=_owners(land.sectors, rows),
        arena_of=_owners(land.arenas, rows),
    )


def rectangles(tiles: frozenset[Tile]) -> list[tuple[int, int, int, int]]:
    """Rectangles (x, y, w, h) that cover exactly ``tiles``, top left first: one for a connected
    group that is a rectangle, else one for each row.

    >>> rectangles(frozenset({(0, 0), (1, 0), (0, 1), (5, 5)}))
    [(0, 0, 2, 1), (0, 1, 1, 1), (5, 5, 1, 1)]
    """
    found: list[tuple[int, int, int, int]] = []
    for group in _connected_groups(tiles):
        around = _bounding_box(group)
        found += [around] if len(group) == around[2] * around[3] else _row_rectangles(group)
    return sorted(found, key=lambda rect: (rect[1], rect[0]))


def _row_rectangles(tiles: Collection[Tile]) -> list[tuple[int, int, int, int]]:
    found: list[tuple[int, int, int, int]] = []
    for x, y in sorted(tiles, key=lambda tile: (tile[1], tile[0])):
        if found and found[-1][1] == y and found[-1][0] + found[-1][2] == x:
            found[-1] = (found[-1][0], y, found[-1][2] + 1, 1)
        else:
            found.append((x, y, 1, 1))
    return found


def _connected_groups(tiles: Collection[Tile]) -> list[set[Tile]]:
    left = set(tiles)
    found: list[set[Tile]] = []
    while left:
        group, edge = set[Tile](), [min(left, key=lambda tile: (tile[1], tile[0]))]
        left.discard(edge[0])
        while edge:
            x, y = edge.pop()
            group.add((x, y))
            for beside in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
                if beside in left:
                    left.discard(beside)
                    edge.append(beside)
        found.append(group)
    return found


def floor_kind(address: str) -> str:
    """The ground of an arena by its name; outdoors ``grass`` or ``garden``.

    >>> floor_kind("the Ville:Hobbs Cafe:cafe"), floor_kind("t:Moreno house:kitchen")
    ('wood', 'tile')
    >>> floor_kind("t:community garden:garden beds"), floor_kind("t:nursery:greenhouse")
    ('garden', 'stone')
    """
    name = _last(address).lower()
    if not _OUTDOOR_WORDS.isdisjoint(name.split()):
        return "garden" if "garden" in name or "orchard" in name else "grass"
    for words, kind in ((_TILE_WORDS, "tile"), (_CARPET_WORDS, "carpet"), (_STONE_WORDS, "stone")):
        if any(word in name for word in words):
            return kind
    pick = blake2b(address.encode(), digest_size=1).digest()[0] % 3
    return "carpet" if "room" in name and "common" not in name and pick == 0 else "wood"


def _ground(land: MapLayers) -> dict[Tile, str]:
    ground: dict[Tile, str] = {}
    inside: set[Tile] = set()
    for address, tiles in land.arenas.items():
        kind = floor_kind(address)
        roofed = kind in FLOORS
        for tile in tiles:
            hint = land.hints.get(tile, "")
            fits = hint in FLOORS if roofed else hint and hint not in FLOORS
            ground[tile] = hint if fits else _OUTDOOR_KINDS.get(hint, kind)
        if roofed:
            inside |= tiles
    furniture = {tile for tiles in land.objects.values() for tile in tiles}
    for y in range(land.height):
        for x in range(land.width):
            tile = (x, y)
            if tile in ground and not (tile in land.blocked and land.hints.get(tile) == "wall"):
                continue
            hint = land.hints.get(tile, "")
            if tile in land.blocked and tile not in furniture and not hint:
                hint = "wall" if _near(tile, inside) else "bush"
            ground[tile] = _OUTDOOR_KINDS.get(hint, hint) or "grass"
    return ground


def _near(tile: Tile, inside: set[Tile]) -> bool:
    x, y = tile
    return any((x + dx, y + dy) in inside for dx in (-1, 0, 1) for dy in (-1, 0, 1, 2))


def _area(address: str, tiles: frozenset[Tile], sector: str = "") -> MapArea:
    """A place, at the position of its largest connected group of tiles."""
    largest = max(_connected_groups(tiles), key=len, default={(0, 0)})
    return MapArea(_last(address), *_bounding_box(largest), sector)


def _owners(places: Mapping[str, frozenset[Tile]], rows: list[Tile]) -> list[int]:
    owner = {tile: at for at, tiles in enumerate(places.values(), 1) for tile in tiles}
    return [owner.get(tile, 0) for tile in rows]


def _bounding_box(tiles: Collection[Tile]) -> tuple[int, int, int, int]:
    xs, ys = [x for x, _ in tiles], [y for _, y in tiles]
    return min(xs), min(ys), max(xs) - min(xs) + 1, max(ys) - min(ys) + 1


def _last(address: str) -> str:
    return address.rsplit(":", 1)[-1].strip()


def _parent(address: str) -> str:
    parts = address.split(":")
    return parts[-2].strip() if len(parts) > 1 else ""
