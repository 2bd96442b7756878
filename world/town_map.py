"""The map of a town: its tiles, and the tree of its places. Also maps drawn as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from ..core import Address, MapError, did_you_mean, normalize
from .paths import TileGrid

Tile: TypeAlias = tuple[int, int]  # (column, row), both from 0, counted from the top left corner


@dataclass(frozen=True, slots=True)
class SpawnPoint:
    """A tile where bodies may enter the world, its name, and the address it lies in."""

    name: str
    at: Tile
    place: Address


@dataclass(frozen=True, eq=False, kw_only=True)
class TownMap:
    """A map of ``width`` x ``height`` tiles; every per-tile tuple is row by row.

    ``world`` is the root of all addresses (world:sector:arena:object); ``tile`` is the side
    of a tile in pixels. ``blocked`` tiles cannot be walked on. ``sectors``, ``arenas`` and
    ``objects`` name what a tile belongs to ("" for none); ``kinds`` names the ground, for
    drawing. ``emoji`` maps addresses of objects. Raises MapError for layers of another size,
    and for an object outside of an arena or an arena outside of a sector.
    """

    name: str
    world: str
    width: int
    height: int
    tile: int
    blocked: tuple[bool, ...]
    sectors: tuple[str, ...]
    arenas: tuple[str, ...]
    objects: tuple[str, ...]
    kinds: tuple[str, ...]
    spawns: tuple[SpawnPoint, ...] = ()
    emoji: Mapping[Address, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise MapError(f"{self.name}: a map of {self.width} x {self.height} tiles; draw some")
        size = self.width * self.height
        for layer in ("blocked", "sectors", "arenas", "objects", "kinds"):
            tiles = len(getattr(self, layer))
            if tiles != size:
                raise MapError(
                    f"{self.name}: layer '{layer}' has {tiles} tiles where the map of "
                    f"{self.width} x {self.height} has {size}; export the layer again"
                )
        for i in range(size):
            if (self.arenas[i] and not self.sectors[i]) or (self.objects[i] and not self.arenas[i]):
                name = self.objects[i] or self.arenas[i]
                raise MapError(
                    f"{self.name}: '{name}' at tile ({i % self.width}, {i // self.width}) lies "
                    "outside of its enclosing place (object in arena, arena in sector); "
                    "move it or enlarge that place"
                )

    @cached_property
    def grid(self) -> TileGrid:
        """The tiles that are not blocked, for shortest paths."""
        return TileGrid(self.blocked, self.width)

    @cached_property
    def regions(self) -> tuple[int, ...]:
        """The number of each tile's connected region, -1 for blocked tiles."""
        return self.grid.regions()

    @cached_property
    def _index(self) -> dict[Address, tuple[int, ...]]:
        tiles: dict[Address, list[int]] = {self.world: []}
        for i in range(self.width * self.height):
            address = self.world
            tiles[address].append(i)
            for part in (self.sectors[i], self.arenas[i], self.objects[i]):
                if not part:
                    break
                address = f"{address}:{part}"
                tiles.setdefault(address, []).append(i)
        return {address: tuple(indices) for address, indices in tiles.items()}

    def _addresses_of_depth(self, depth: int) -> tuple[Address, ...]:
        return tuple(sorted(a for a in self._index if a.count(":") == depth))

    @cached_property
    def arena_addresses(self) -> tuple[Address, ...]:
        """Every world:sector:arena, in alphabetical order."""
        return self._addresses_of_depth(2)

    @cached_property
    def object_addresses(self) -> tuple[Address, ...]:
        """Every world:sector:arena:object, in alphabetical order."""
        return self._addresses_of_depth(3)

    @cached_property
    def addresses(self) -> tuple[Address, ...]:
        """Where a body can go: all arenas and objects, in alphabetical order."""
        return tuple(sorted(self.arena_addresses + self.object_addresses))

    @cached_property
    def tree(self) -> dict[str, dict[str, dict[str, tuple[str, ...]]]]:
        """The names of objects by world, sector and arena."""
        sectors: dict[str, dict[str, tuple[str, ...]]] = {}
        for address in sorted(self._index):
            parts = address.split(":")
            if len(parts) == 2:
                sectors[parts[1]] = {}
            elif len(parts) == 3:
                sectors[parts[1]][parts[2]] = ()
            elif len(parts) == 4:
                sectors[parts[1]][parts[2]] += (parts[3],)
        return {self.world: sectors}

    @cached_property
    def _folded(self) -> dict[str, Address]:
        return {fold_address(address): address for address in self._index}

    def find_address(self, address: str) -> Address:
        """The address as the map spells it, whatever the case and spaces of ``address``.

        Raises MapError with a suggestion when there is no such place.
        """
        spelled = self._folded.get(fold_address(address))
        if spelled is None:
            hint = did_you_mean(address, self._index)
            raise MapError(f"{self.name}: no place '{address}' on the map{hint}; correct the name")
        return spelled

    def tiles_of(self, address: Address) -> tuple[Tile, ...]:
        """All tiles of a place, row by row. Raises MapError for an unknown address."""
        width = self.width
        return tuple((i % width, i // width) for i in self.indices_of(address))

    def indices_of(self, address: Address) -> tuple[int, ...]:
        """All tiles of a place as indices into the per-tile tuples. Raises MapError."""
        tiles = self._index.get(address)
        return self._index[self.find_address(address)] if tiles is None else tiles

    def address_at(self, x: int, y: int) -> Address:
        """The address of the smallest place at a tile, down to the object. Raises MapError for a
        tile outside of the map."""
        i = self.index(x, y)
        parts = [self.world, self.sectors[i], self.arenas[i], self.objects[i]]
        return ":".join(part for part in parts if part)

    def index(self, x: int, y: int) -> int:
        """The index of a tile in the per-tile tuples. Raises MapError for a tile outside."""
        if not (0 <= x < self.width and 0 <= y < self.height):
            raise MapError(
                f"{self.name}: tile ({x}, {y}) lies outside of the map of "
                f"{self.width} x {self.height}; choose one inside"
            )
        return y * self.width + x

    def path(self, start: Tile, goal: Tile) -> tuple[Tile, ...] | None:
        """A shortest path from ``start`` to ``goal``, both included; None when there is none."""
        route = self.grid.route(self.index(*start), (self.index(*goal),))
        if route is None:
            return None
        return (start, *((i % self.width, i // self.width) for i in route))


def fold_address(address: str) -> str:
    """An address with case, spaces and Unicode form normalized, in which files differ.

    >>> fold_address("The Ville: Ryan Park's apartment :main room")
    "the ville:ryan park's apartment:main room"
    """
    return ":".join(normalize(part) for part in address.split(":"))


def ascii_map(
    text: str, legend: Mapping[str, str] | None = None, *, world: str = "town", blocked: str = "#"
) -> TownMap:
    """The map that a text draws with one character for each tile.

    ``legend`` maps a character to the sector:arena or sector:arena:object that it belongs to;
    the characters in ``blocked`` cannot be walked on; "." is free ground. Raises MapError for
    lines of unequal length and for any other character.

    >>> town = ascii_map("#####\\n#bhh.\\n#####", {"h": "home:hall", "b": "home:hall:bed"})
    >>> town.addresses, town.path((1, 1), (4, 1))
    (('town:home:hall', 'town:home:hall:bed'), ((1, 1), (2, 1), (3, 1), (4, 1)))
    """
    legend = legend or {}
    rows = text.split()
    if len({len(row) for row in rows}) != 1:
        raise MapError("ascii_map: the lines are of unequal length; pad them")
    cells = "".join(rows)
    unknown = next((cell for cell in cells if cell not in legend and cell not in "." + blocked), "")
    if unknown:
        raise MapError(f"ascii_map: '{unknown}' is neither '.', blocked nor in the legend; add it")
    parts = [[*legend.get(cell, "").split(":"), "", ""][:3] for cell in cells]
    return TownMap(
        name="sketch",
        world=world,
        width=len(rows[0]),
        height=len(rows),
        tile=32,
        blocked=tuple(cell in blocked for cell in cells),
        sectors=tuple(part[0] for part in parts),
        arenas=tuple(part[1] for part in parts),
        objects=tuple(part[2] for part in parts),
        kinds=tuple(
            "floor" if cell in legend else "wall" if cell in blocked else "grass" for cell in cells
        ),
    )
