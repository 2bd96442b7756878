"""Towns drawn in Tiled.

The convention. Tile layers: every tile of a tileset has a class or property ``kind`` (grass,
path, wall, ...) and a property ``blocked``; the topmost kind is what is seen, and a tile is
blocked when any layer's tile there is. Object layers: named rectangles of class ``sector``,
``arena``, ``object`` or ``spawn``; an arena lies in the sector that contains its center, an
object in its arena. Objects may have ``emoji`` and ``blocked``. Rectangles of class ``note``
are ignored. The map's property ``world`` names the world. A class in the project's
``.tiled-project`` gives the defaults of properties.
"""

from __future__ import annotations

import logging
from pathlib import Path

from ..core import Address, Json, MapError, check_arguments, did_you_mean
from .smallville_map import smallville_map_of_drawing
from .tiled_format import (
    TiledMap,
    TiledObject,
    bool_property,
    find_property,
    read_tiled,
    text_property,
)
from .town import TileGeometry
from .town_map import SpawnPoint, TownMap

log = logging.getLogger(__name__)

_CLASSES = ("sector", "arena", "object", "spawn")


@check_arguments
def load_tiled(path: Path | str) -> TownMap:
    """Read a town from Tiled JSON: of our convention, or Smallville's ``the_ville_jan7.json``
    (recognized by its layer "Collisions"; see ``smallville_map_of_drawing``).

    Raises MapError naming the file and the remedy.
    """
    source = Path(path)
    tiled = read_tiled(source)
    if tiled.layer("Collisions") is not None:
        return smallville_map_of_drawing(source, tiled)
    return _TiledTownReader(source, tiled).read()


class _TiledTownReader:
    """Turns a Tiled map of our convention into a TownMap."""

    def __init__(self, source: Path, tiled: TiledMap) -> None:
        self.source = source
        self.tiled = tiled
        size = tiled.width * tiled.height
        self.blocked = [False] * size
        self.kinds = [""] * size
        self.sectors = [""] * size
        self.arenas = [""] * size
        self.objects = [""] * size
        self.emoji: dict[Address, str] = {}
        self._tile_cache: dict[int, tuple[str, bool]] = {}

    def error(self, what: str, remedy: str) -> MapError:
        """An error that names the file."""
        return MapError(f"{self.source}: {what}; {remedy}")

    def read(self) -> TownMap:
        """The finished map. Raises MapError."""
        world = find_property(self.tiled.properties, "world")
        if not isinstance(world, str) or not world.strip() or ":" in world:
            raise self.error(
                "the map has no property 'world'", "add it in Tiled (Map > Map Properties), a name"
            )
        self._read_ground()
        boxes = self._boxes()
        self._read_places(boxes, world)
        self._check_uncovered(boxes)
        town = TownMap(
            name=self.source.name.removesuffix(".json").removesuffix(".map"),
            world=world,
            width=self.tiled.width,
            height=self.tiled.height,
            tile=self.tiled.tile_width,
            blocked=tuple(self.blocked),
            sectors=tuple(self.sectors),
            arenas=tuple(self.arenas),
            objects=tuple(self.objects),
            kinds=tuple(kind or "grass" for kind in self.kinds),
            spawns=self._spawns(world, boxes["spawn"]),
            emoji=self.emoji,
        )
        self._check_reachable(town)
        if not any(town.blocked):
            log.warning(
                "%s: no tile is blocked, so people walk through walls; give tiles of walls the "
                "property blocked (bool, true), or their class it in the .tiled-project file",
                self.source,
            )
        return town

    def _read_ground(self) -> None:
        if not self.tiled.layers:
            raise self.error("there is no tile layer", "draw the ground on one")
        for name, numbers in self.tiled.layers:
            for i, number in enumerate(numbers):
                if not number:
                    continue
                properties = self.tiled.tiles.get(number)
                if properties is not None:
                    kind, is_blocked = self._tile_properties(number, properties)
                    self.kinds[i] = kind or self.kinds[i]
                    self.blocked[i] |= is_blocked
                elif not any(low <= number <= high for low, high in self.tiled.tileset_ranges):
                    at = f"({i % self.tiled.width}, {i // self.tiled.width})"
                    raise self.error(
                        f"layer '{name}' has tile {number} at {at}, which is in no tileset",
                        "add the tileset to the map or erase that tile",
                    )

    def _tile_properties(self, number: int, properties: dict[str, Json]) -> tuple[str, bool]:
        if number not in self._tile_cache:
            where = f"{self.source}: tile {number}"
            self._tile_cache[number] = (
                text_property(properties, "kind", where),
                bool_property(properties, "blocked", where),
            )
        return self._tile_cache[number]

    def _boxes(self) -> dict[str, list[TiledObject]]:
        """The rectangles of the object layers by class, all of them valid."""
        boxes: dict[str, list[TiledObject]] = {kind: [] for kind in _CLASSES}
        for box in self.tiled.objects:
            if box.kind != "note":
                self._check_box(box)
                boxes[box.kind].append(box)
                self._tiles_of(box)
        return boxes

    def _check_box(self, box: TiledObject) -> None:
        label = f"object {box.id} ('{box.name}')"
        if box.kind not in _CLASSES:
            hint = did_you_mean(box.kind, _CLASSES)
            raise self.error(
                f"{label} has class '{box.kind}'{hint}",
                f"set its class to {', '.join(_CLASSES)}, or to note to have it ignored",
            )
        if not box.name or ":" in box.name:
            raise self.error(f"{label} needs a name without colons", "name it in Tiled")
        if not box.is_rectangle:
            raise self.error(
                f"{label} is no upright rectangle (another shape, a tile, or turned)",
                "draw it as a rectangle",
            )

    def _read_places(self, boxes: dict[str, list[TiledObject]], world: str) -> None:
        for sector in boxes["sector"]:
            self._assign(self.sectors, sector)
        sector_of = {arena.id: self._enclosing(arena, boxes["sector"]) for arena in boxes["arena"]}
        for arena in boxes["arena"]:
            self._assign(self.arenas, arena)
            self._check_inside(arena, self.sectors, sector_of[arena.id])
        for box in boxes["object"]:
            arena = self._enclosing(box, boxes["arena"])
            self._assign(self.objects, box)
            self._check_inside(box, self.arenas, arena)
            self._read_object(box, f"{world}:{sector_of[arena.id].name}:{arena.name}:{box.name}")

    def _tiles_of(self, box: TiledObject) -> list[int]:
        """The tiles whose center lies in a box; for a point the tile that contains it."""
        width, height = self.tiled.width, self.tiled.height
        tile_width, tile_height = self.tiled.tile_width, self.tiled.tile_height
        is_outside = (
            box.x < 0
            or box.y < 0
            or box.x + box.width > width * tile_width
            or box.y + box.height > height * tile_height
        )
        if box.width == 0 and box.height == 0 and not is_outside:
            x, y = int(box.x // tile_width), int(box.y // tile_height)
            is_outside = x >= width or y >= height
            tiles = [y * width + x]
        else:
            columns = _tile_centers(box.x, box.width, tile_width)
            rows = _tile_centers(box.y, box.height, tile_height)
            tiles = [y * width + x for y in rows for x in columns]
        if is_outside:
            raise self.error(f"{box.kind} '{box.name}' lies outside of the map", "move it inside")
        if not tiles:
            raise self.error(
                f"{box.kind} '{box.name}' covers no tile's center", "make it at least a tile large"
            )
        return tiles

    def _assign(self, layer: list[str], box: TiledObject) -> None:
        for i in self._tiles_of(box):
            layer[i] = box.name

    def _enclosing(self, box: TiledObject, outer: list[TiledObject]) -> TiledObject:
        """The smallest of the ``outer`` boxes that contains the center of ``box``."""
        x, y = box.x + box.width / 2, box.y + box.height / 2
        around = [
            other
            for other in outer
            if other.x <= x <= other.x + other.width and other.y <= y <= other.y + other.height
        ]
        if not around:
            kind = "sector" if box.kind == "arena" else "arena"
            raise self.error(
                f"{box.kind} '{box.name}' lies in no {kind}",
                f"move it, or draw the {kind} around it",
            )
        return min(around, key=lambda other: (other.width * other.height, other.id))

    def _check_inside(self, box: TiledObject, layer: list[str], outer: TiledObject) -> None:
        if any(layer[i] != outer.name for i in self._tiles_of(box)):
            raise self.error(
                f"{box.kind} '{box.name}' sticks out of {outer.kind} '{outer.name}'",
                "shrink or move it",
            )

    def _read_object(self, box: TiledObject, address: Address) -> None:
        where = f"{self.source}: object {box.id} ('{box.name}')"
        if emoji := text_property(box.properties, "emoji", where):
            self.emoji[address] = emoji
        if bool_property(box.properties, "blocked", where):
            for i in self._tiles_of(box):
                self.blocked[i] = True

    def _check_uncovered(self, boxes: dict[str, list[TiledObject]]) -> None:
        """Refuse a box that others of its class cover completely."""
        layers = {"sector": self.sectors, "arena": self.arenas, "object": self.objects}
        for kind, layer in layers.items():
            for box in boxes[kind]:
                if all(layer[i] != box.name for i in self._tiles_of(box)):
                    raise self.error(
                        f"{kind} '{box.name}' is covered by others", "move it or shrink them"
                    )

    def _spawns(self, world: str, boxes: list[TiledObject]) -> tuple[SpawnPoint, ...]:
        spawns = []
        for box in boxes:
            i = self._tiles_of(box)[0]
            if self.blocked[i]:
                raise self.error(f"spawn '{box.name}' is on a blocked tile", "move it")
            place = ":".join(part for part in (world, self.sectors[i], self.arenas[i]) if part)
            at = (i % self.tiled.width, i // self.tiled.width)
            spawns.append(SpawnPoint(box.name, at, place))
        return tuple(spawns)

    def _check_reachable(self, town: TownMap) -> None:
        geometry = TileGeometry(town)
        for address in town.addresses:
            if not geometry.standing_spots(address):
                raise self.error(
                    f"nobody can stand at '{address}': all around it is blocked",
                    "unblock a tile of it or beside it",
                )


def _tile_centers(start: float, length: float, side: int) -> range:
    """The tiles along an axis whose center lies in ``length`` pixels from ``start``, where
    ``side`` is the length of a tile.

    >>> list(_tile_centers(32, 64, 32)), list(_tile_centers(20, 30, 32))
    ([1, 2], [1])
    """
    first = -int(-(start / side - 0.5) // 1)
    last = -int(-((start + length) / side - 0.5) // 1)
    return range(max(0, first), max(0, last))
