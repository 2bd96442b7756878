"""Towns drawn in Tiled.

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

from ..core import Address, Json, MapError, check_arguments, nearest
from .ground_kinds import kinds_of
from .smallville import names_of_blocks
from .tiled_file import Box, Tiled, read_tiled
from .tiled_parts import flag, property_of, words_of
from .tiles import Tiles
from .townmap import Spawn, TownMap

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
        return _smallville(source, tiled)
    return _Drawing(source, tiled).town()


class _Drawing:
    """A map of our convention, being read."""

    def __init__(self, source: Path, tiled: Tiled) -> None:
        self.source = source
        self.tiled = tiled
        size = tiled.width * tiled.height
        self.blocked = [False] * size
        self.kinds = [""] * size
        self.sectors = [""] * size
        self.arenas = [""] * size
        self.objects = [""] * size
        self.emoji: dict[Address, str] = {}
        self._tiles_told: dict[int, tuple[str, bool]] = {}

    def wrong(self, what: str, remedy: str) -> MapError:
        """An error that names the file."""
        return MapError(f"{self.source}: {what}; {remedy}")

    def town(self) -> TownMap:
        """The finished map."""
        world = property_of(self.tiled.properties, "world")
        if not isinstance(world, str) or not world.strip() or ":" in world:
            raise self.wrong(
                "the map has no property 'world'", "add it in Tiled (Map > Map Properties), a name"
            )
        self._ground()
        boxes: dict[str, list[Box]] = {kind: [] for kind in _CLASSES}
        for box in self.tiled.boxes:
            if box.kind != "note":
                boxes[self._class(box)].append(box)
                self._tiles(box)
        for sector in boxes["sector"]:
            self._fill(self.sectors, sector)
        homes = {arena.id: self._within(arena, boxes["sector"]) for arena in boxes["arena"]}
        for arena in boxes["arena"]:
            self._fill(self.arenas, arena)
            self._inside(arena, self.sectors, homes[arena.id])
        for thing in boxes["object"]:
            arena = self._within(thing, boxes["arena"])
            self._fill(self.objects, thing)
            self._inside(thing, self.arenas, arena)
            self._object(thing, f"{world}:{homes[arena.id].name}:{arena.name}:{thing.name}")
        self._uncovered(boxes)
        town = TownMap(
            name=self.source.name.removesuffix(".json").removesuffix(".map"),
            world=world,
            width=self.tiled.width,
            height=self.tiled.height,
            tile=self.tiled.tile,
            blocked=tuple(self.blocked),
            sectors=tuple(self.sectors),
            arenas=tuple(self.arenas),
            objects=tuple(self.objects),
            kinds=tuple(kind or "grass" for kind in self.kinds),
            spawns=self._spawns(world, boxes["spawn"]),
            emoji=self.emoji,
        )
        self._reachable(town)
        if not any(town.blocked):
            log.warning(
                "%s: no tile is blocked, so people walk through walls; give tiles of walls the "
                "property blocked (bool, true), or their class it in the .tiled-project file",
                self.source,
            )
        return town

    def _ground(self) -> None:
        if not self.tiled.layers:
            raise self.wrong("there is no tile layer", "draw the ground on one")
        for name, numbers in self.tiled.layers:
            for i, number in enumerate(numbers):
                if not number:
                    continue
                said = self.tiled.tiles.get(number)
                if said is None:
                    if not any(low <= number <= high for low, high in self.tiled.ranges):
                        raise self.wrong(
                            f"layer '{name}' has tile {number} at {self._at(i)}, which is in no "
                            "tileset",
                            "add the tileset to the map or erase that tile",
                        )
                    continue
                kind, shut = self._told(number, said)
                self.kinds[i] = kind or self.kinds[i]
                self.blocked[i] |= shut

    def _told(self, number: int, said: dict[str, Json]) -> tuple[str, bool]:
        """A tile's kind, and whether it is blocked."""
        if number not in self._tiles_told:
            where = f"{self.source}: tile {number}"
            self._tiles_told[number] = words_of(said, "kind", where), flag(said, "blocked", where)
        return self._tiles_told[number]

    def _at(self, i: int) -> str:
        return f"({i % self.tiled.width}, {i // self.tiled.width})"

    def _class(self, box: Box) -> str:
        label = f"object {box.id} ('{box.name}')"
        if box.kind not in _CLASSES:
            hint = nearest(box.kind, _CLASSES)
            raise self.wrong(
                f"{label} has class '{box.kind}'{hint}",
                f"set its class to {', '.join(_CLASSES)}, or to note to have it passed over",
            )
        if not box.name or ":" in box.name:
            raise self.wrong(f"{label} needs a name without colons", "name it in Tiled")
        if not box.plain:
            raise self.wrong(
                f"{label} is no upright rectangle (another shape, a tile, or turned)",
                "draw it as a rectangle",
            )
        return box.kind

    def _tiles(self, box: Box) -> list[int]:
        """Tiles whose middle lies in a box; a point's own tile."""
        width, height = self.tiled.width, self.tiled.height
        across, down = self.tiled.tile, self.tiled.tile_height
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
            columns = _middles(box.x, box.width, across)
            rows = _middles(box.y, box.height, down)
            found = [y * width + x for y in rows for x in columns]
        if outside:
            raise self.wrong(f"{box.kind} '{box.name}' lies outside of the map", "move it inside")
        if not found:
            raise self.wrong(
                f"{box.kind} '{box.name}' covers no tile's middle", "make it at least a tile large"
            )
        return found

    def _fill(self, layer: list[str], box: Box) -> None:
        for i in self._tiles(box):
            layer[i] = box.name

    def _within(self, box: Box, outer: list[Box]) -> Box:
        """The smallest of some boxes that holds the middle of ``box``."""
        x, y = box.x + box.width / 2, box.y + box.height / 2
        around = [
            other
            for other in outer
            if other.x <= x <= other.x + other.width and other.y <= y <= other.y + other.height
        ]
        if not around:
            need = "sector" if box.kind == "arena" else "arena"
            raise self.wrong(
                f"{box.kind} '{box.name}' lies in no {need}",
                f"move it, or draw the {need} around it",
            )
        return min(around, key=lambda other: (other.width * other.height, other.id))

    def _inside(self, box: Box, layer: list[str], outer: Box) -> None:
        if any(layer[i] != outer.name for i in self._tiles(box)):
            raise self.wrong(
                f"{box.kind} '{box.name}' sticks out of {outer.kind} '{outer.name}'",
                "shrink or move it",
            )

    def _object(self, thing: Box, address: Address) -> None:
        where = f"{self.source}: object {thing.id} ('{thing.name}')"
        if emoji := words_of(thing.properties, "emoji", where):
            self.emoji[address] = emoji
        if flag(thing.properties, "blocked", where):
            for i in self._tiles(thing):
                self.blocked[i] = True

    def _uncovered(self, boxes: dict[str, list[Box]]) -> None:
        """Refuse what another box of its class hides altogether."""
        layers = {"sector": self.sectors, "arena": self.arenas, "object": self.objects}
        for kind, layer in layers.items():
            for box in boxes[kind]:
                if all(layer[i] != box.name for i in self._tiles(box)):
                    raise self.wrong(
                        f"{kind} '{box.name}' is covered by others", "move it or shrink them"
                    )

    def _spawns(self, world: str, boxes: list[Box]) -> tuple[Spawn, ...]:
        spawns = []
        for box in boxes:
            i = self._tiles(box)[0]
            if self.blocked[i]:
                raise self.wrong(f"spawn '{box.name}' is on a blocked tile", "move it")
            place = ":".join(part for part in (world, self.sectors[i], self.arenas[i]) if part)
            at = (i % self.tiled.width, i // self.tiled.width)
            spawns.append(Spawn(box.name, at, place))
        return tuple(spawns)

    def _reachable(self, town: TownMap) -> None:
        tiles = Tiles(town)
        for address in town.addresses:
            if not tiles.stands(address):
                raise self.wrong(
                    f"nobody can stand at '{address}': all around it is blocked",
                    "unblock a tile of it or beside it",
                )


def _middles(start: float, length: float, side: int) -> range:
    """Which tiles along an axis have their middle in a stretch of pixels.

    >>> list(_middles(32, 64, 32)), list(_middles(20, 30, 32))
    ([1, 2], [1])
    """
    first = -int(-(start / side - 0.5) // 1)
    last = -int(-((start + length) / side - 0.5) // 1)
    return range(max(0, first), max(0, last))


def _smallville(source: Path, tiled: Tiled) -> TownMap:
    """Smallville's own Tiled map: every meaning is a layer of block numbers."""
    folder = source.parent / "matrix" / "special_blocks"

    def named(layer: str, blocks: str) -> tuple[str, ...]:
        numbers = tiled.layer(layer)
        if numbers is None:
            raise MapError(
                f"{source}: there is no layer '{layer}'; a Smallville map has it, draw it or "
                "remove the layer 'Collisions' to have the map read by our convention"
            )
        return _names(numbers, names_of_blocks(folder / f"{blocks}.csv"))

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
        Spawn(
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
        tile=tiled.tile,
        blocked=blocked,
        sectors=sectors,
        arenas=arenas,
        objects=objects,
        kinds=kinds_of(tiled, blocked, sectors, arenas),
        spawns=spawns,
    )


def _names(numbers: tuple[int, ...], names: dict[int, str] | None) -> tuple[str, ...]:
    """Names of a layer's blocks; without a list of names, their numbers. A block that the
    list leaves out means nothing: Smallville's own matrices leave it out as well."""
    if names is None:
        return tuple(f"block {number}" if number else "" for number in numbers)
    return tuple(names.get(number, "") for number in numbers)
