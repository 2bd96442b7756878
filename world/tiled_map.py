"""Towns drawn in TiledMap.

The convention. Tile layers: every tile of a tileset has a class or property ``kind`` (grass,
path, wall, ...) and a property ``blocked``; the topmost kind is what is seen, and a tile is
blocked when any layer's tile there is. Object layers: named rectangles of class ``sector``,
``arena``, ``object`` or ``spawn``; an arena lies in the sector that holds its middle, an
object in its arena. Objects may have ``emoji`` and ``blocked``. Rectangles of class ``note``
are passed over. The map's property ``world`` names the world. What a tile or an object does
not say, the class in the project's ``.tiled-project`` says.
"""

from __future__ import annotations

import logging
from pathlib import Path

from ..core import Address, Json, MapError, check_arguments, did_you_mean
from .ground_kinds import ground_kinds_of
from .smallville_map import read_block_names
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
    (told by its layer "Collisions"; block names come from ``matrix/special_blocks`` beside it).

    Raises MapError naming the file and the remedy.
    """
    source = Path(path)
    tiled = read_tiled(source)
    if tiled.layer("Collisions") is not None:
        return _read_smallville(source, tiled)
    return _TiledTownReader(source, tiled).read()


class _TiledTownReader:
    """A map of our convention, being read."""

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
        """The finished map."""
        world = find_property(self.tiled.properties, "world")
        if not isinstance(world, str) or not world.strip() or ":" in world:
            raise self.error(
                "the map has no property 'world'", "add it in Tiled (Map > Map Properties), a name"
            )
        self._read_ground()
        boxes: dict[str, list[TiledObject]] = {kind: [] for kind in _CLASSES}
        for box in self.tiled.objects:
            if box.kind != "note":
                boxes[self._class(box)].append(box)
                self._tiles_of(box)
        for sector in boxes["sector"]:
            self._assign(self.sectors, sector)
        homes = {arena.id: self._enclosing(arena, boxes["sector"]) for arena in boxes["arena"]}
        for arena in boxes["arena"]:
            self._assign(self.arenas, arena)
            self._check_inside(arena, self.sectors, homes[arena.id])
        for thing in boxes["object"]:
            arena = self._enclosing(thing, boxes["arena"])
            self._assign(self.objects, thing)
            self._check_inside(thing, self.arenas, arena)
            self._read_object(thing, f"{world}:{homes[arena.id].name}:{arena.name}:{thing.name}")
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
                said = self.tiled.tiles.get(number)
                if said is None:
                    if not any(low <= number <= high for low, high in self.tiled.tileset_ranges):
                        raise self.error(
                            f"layer '{name}' has tile {number} at {self._tile_text(i)}, which is "
                            f"in no "
                            "tileset",
                            "add the tileset to the map or erase that tile",
                        )
                    continue
                kind, shut = self._tile_properties(number, said)
                self.kinds[i] = kind or self.kinds[i]
                self.blocked[i] |= shut

    def _tile_properties(self, number: int, said: dict[str, Json]) -> tuple[str, bool]:
        """A tile's kind, and whether it is blocked."""
        if number not in self._tile_cache:
            where = f"{self.source}: tile {number}"
            self._tile_cache[number] = (
                text_property(said, "kind", where),
                bool_property(said, "blocked", where),
            )
        return self._tile_cache[number]

    def _tile_text(self, i: int) -> str:
        return f"({i % self.tiled.width}, {i // self.tiled.width})"

    def _class(self, box: TiledObject) -> str:
        label = f"object {box.id} ('{box.name}')"
        if box.kind not in _CLASSES:
            hint = did_you_mean(box.kind, _CLASSES)
            raise self.error(
                f"{label} has class '{box.kind}'{hint}",
                f"set its class to {', '.join(_CLASSES)}, or to note to have it passed over",
            )
        if not box.name or ":" in box.name:
            raise self.error(f"{label} needs a name without colons", "name it in Tiled")
        if not box.is_rectangle:
            raise self.error(
                f"{label} is no upright rectangle (another shape, a tile, or turned)",
                "draw it as a rectangle",
            )
        return box.kind

    def _tiles_of(self, box: TiledObject) -> list[int]:
        """Tiles whose middle lies in a box; a point's own tile."""
        width, height = self.tiled.width, self.tiled.height
        across, down = self.tiled.tile_width, self.tiled.tile_height
        outside = (
            box.x < 0
            or box.y < 0
            or box.x + box.width > width * across
            or box.y + box.height > height * down
        )
        if box.width == 0 and box.height == 0 and not outside:
            x, y = int(box.x // across), int(box.y // down)
            outside = x >= width or y >= height
            found = [y * width + x]
        else:
            columns = _tile_centers(box.x, box.width, across)
            rows = _tile_centers(box.y, box.height, down)
            found = [y * width + x for y in rows for x in columns]
        if outside:
            raise self.error(f"{box.kind} '{box.name}' lies outside of the map", "move it inside")
        if not found:
            raise self.error(
                f"{box.kind} '{box.name}' covers no tile's middle", "make it at least a tile large"
            )
        return found

    def _assign(self, layer: list[str], box: TiledObject) -> None:
        for i in self._tiles_of(box):
            layer[i] = box.name

    def _enclosing(self, box: TiledObject, outer: list[TiledObject]) -> TiledObject:
        """The smallest of some boxes that holds the middle of ``box``."""
        x, y = box.x + box.width / 2, box.y + box.height / 2
        around = [
            other
            for other in outer
            if other.x <= x <= other.x + other.width and other.y <= y <= other.y + other.height
        ]
        if not around:
            need = "sector" if box.kind == "arena" else "arena"
            raise self.error(
                f"{box.kind} '{box.name}' lies in no {need}",
                f"move it, or draw the {need} around it",
            )
        return min(around, key=lambda other: (other.width * other.height, other.id))

    def _check_inside(self, box: TiledObject, layer: list[str], outer: TiledObject) -> None:
        if any(layer[i] != outer.name for i in self._tiles_of(box)):
            raise self.error(
                f"{box.kind} '{box.name}' sticks out of {outer.kind} '{outer.name}'",
                "shrink or move it",
            )

    def _read_object(self, thing: TiledObject, address: Address) -> None:
        where = f"{self.source}: object {thing.id} ('{thing.name}')"
        if emoji := text_property(thing.properties, "emoji", where):
            self.emoji[address] = emoji
        if bool_property(thing.properties, "blocked", where):
            for i in self._tiles_of(thing):
                self.blocked[i] = True

    def _check_uncovered(self, boxes: dict[str, list[TiledObject]]) -> None:
        """Refuse what another box of its class hides altogether."""
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
        tiles = TileGeometry(town)
        for address in town.addresses:
            if not tiles.standing_spots(address):
                raise self.error(
                    f"nobody can stand at '{address}': all around it is blocked",
                    "unblock a tile of it or beside it",
                )


def _tile_centers(start: float, length: float, side: int) -> range:
    """Which tiles along an axis have their middle in a stretch of pixels.

    >>> list(_tile_centers(32, 64, 32)), list(_tile_centers(20, 30, 32))
    ([1, 2], [1])
    """
    first = -int(-(start / side - 0.5) // 1)
    last = -int(-((start + length) / side - 0.5) // 1)
    return range(max(0, first), max(0, last))


def _read_smallville(source: Path, tiled: TiledMap) -> TownMap:
    """Smallville's own TiledMap map: every meaning is a layer of block numbers."""
    folder = source.parent / "matrix" / "special_blocks"

    def named(layer: str, blocks: str) -> tuple[str, ...]:
        numbers = tiled.layer(layer)
        if numbers is None:
            raise MapError(
                f"{source}: there is no layer '{layer}'; a Smallville map has it, draw it or "
                "remove the layer 'Collisions' to have the map read by our convention"
            )
        return _block_names(numbers, read_block_names(folder / f"{blocks}.csv"))

    worlds = {name for name in named("World Blocks", "world_blocks") if name}
    if len(worlds) != 1:
        raise MapError(f"{source}: layer 'World Blocks' names {len(worlds)} worlds; use one block")
    world = worlds.pop()
    sectors = named("Sector Blocks", "sector_blocks")
    arenas = named("Arena Blocks", "arena_blocks")
    objects = named("Object Interaction Blocks", "game_object_blocks")
    collisions = tiled.layer("Collisions") or ()
    blocked = tuple(number != 0 for number in collisions)
    spawns = tuple(
        SpawnPoint(
            name,
            (i % tiled.width, i // tiled.width),
            ":".join(part for part in (world, sectors[i], arenas[i]) if part),
        )
        for i, name in enumerate(named("Spawning Blocks", "spawning_location_blocks"))
        if name
    )
    return TownMap(
        name=source.parent.name if folder.is_dir() else source.stem,
        world=world,
        width=tiled.width,
        height=tiled.height,
        tile=tiled.tile_width,
        blocked=blocked,
        sectors=sectors,
        arenas=arenas,
        objects=objects,
        kinds=ground_kinds_of(tiled, blocked, sectors, arenas),
        spawns=spawns,
    )


def _block_names(numbers: tuple[int, ...], names: dict[int, str] | None) -> tuple[str, ...]:
    """Names of a layer's blocks; without a list of names, their numbers. A block that the
    list leaves out means nothing: Smallville's own matrices leave it out as well."""
    if names is None:
        return tuple(f"block {number}" if number else "" for number in numbers)
    return tuple(names.get(number, "") for number in numbers)
