"""A town's map: tiles, what stands on them, and the tree of its places.

Towns drawn as text, for examples and tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from ..core import Address, MapError, did_you_mean, normalize
from .paths import TileGrid

Tile: TypeAlias = tuple[int, int]
"""Column and row, both from 0, counted from the top left corner."""


@dataclass(frozen=True, slots=True)
class SpawnPoint:
    """A point where a body may appear: its tile, its name, and the place it lies in."""

    name: str
    at: Tile
    place: Address


@dataclass(frozen=True, eq=False, kw_only=True)
class TownMap:
    """A map of ``width`` x ``height`` tiles; every per-tile tuple is row by row.

    ``world`` is the root of all addresses (world:sector:arena:object); ``tile`` is the side
    of a tile in pixels. ``blocked`` tiles cannot be walked on. ``sectors``, ``arenas`` and
    ``objects`` name what a tile belongs to ("" for none); ``kinds`` names the ground, for
    drawing. ``emoji`` holds the pictures that a map gives to its objects.
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
        """Refuse tables of the wrong size, and things outside the place they belong to."""
        if self.width < 1 or self.height < 1:
            raise MapError(f"{self.name}: a map of {self.width} x {self.height} tiles; draw some")
        size = self.width * self.height
        for layer in ("blocked", "sectors", "arenas", "objects", "kinds"):
            found = len(getattr(self, layer))
            if found != size:
                raise MapError(
                    f"{self.name}: layer '{layer}' has {found} tiles where the map of "
                    f"{self.width} x {self.height} has {size}; export the layer again"
                )
        for i in range(size):
            if (self.arenas[i] and not self.sectors[i]) or (self.objects[i] and not self.arenas[i]):
                thing = self.objects[i] or self.arenas[i]
                raise MapError(
                    f"{self.name}: '{thing}' at tile ({i % self.width}, {i // self.width}) lies "
                    "outside of what it should lie in (object in arena, arena in sector); "
                    "move it or enlarge the surrounding one"
                )

    @cached_property
    def grid(self) -> TileGrid:
        """The free tiles, for shortest paths."""
        return TileGrid(self.blocked, self.width)

    @cached_property
    def regions(self) -> tuple[int, ...]:
        """For every tile the number of its walkable region, -1 when blocked."""
        return self.grid.regions()

    @cached_property
    def _index(self) -> dict[Address, tuple[int, ...]]:
        found: dict[Address, list[int]] = {self.world: []}
        for i in range(self.width * self.height):
            address = self.world
            found[address].append(i)
            for part in (self.sectors[i], self.arenas[i], self.objects[i]):
                if not part:
                    break
                address = f"{address}:{part}"
                found.setdefault(address, []).append(i)
        return {address: tuple(tiles) for address, tiles in found.items()}

    @cached_property
    def arena_addresses(self) -> tuple[Address, ...]:
        """Every world:sector:arena, in alphabetical order."""
        return tuple(sorted(a for a in self._index if a.count(":") == 2))

    @cached_property
    def object_addresses(self) -> tuple[Address, ...]:
        """Every world:sector:arena:object, in alphabetical order."""
        return tuple(sorted(a for a in self._index if a.count(":") == 3))

    @cached_property
    def sector_addresses(self) -> tuple[Address, ...]:
        """Every world:sector, in alphabetical order."""
        return tuple(sorted(a for a in self._index if a.count(":") == 1))

    @cached_property
    def addresses(self) -> tuple[Address, ...]:
        """Where a body can go: all arenas and objects, in alphabetical order."""
        return tuple(sorted(self.arena_addresses + self.object_addresses))

    @cached_property
    def tree(self) -> dict[str, dict[str, dict[str, tuple[str, ...]]]]:
        """World -> sector -> arena -> names of its objects."""
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
        """The map's own spelling of an address, whatever its case and spaces.

        Raises MapError with a suggestion when there is no such place.
        """
        known = self._folded.get(fold_address(address))
        if known is None:
            hint = did_you_mean(address, self._index)
            raise MapError(f"{self.name}: no place '{address}' on the map{hint}; mend the name")
        return known

    def tiles_of(self, address: Address) -> tuple[Tile, ...]:
        """All tiles of a place, row by row. Raises MapError for an unknown address."""
        width = self.width
        return tuple((i % width, i // width) for i in self.indices_of(address))

    def indices_of(self, address: Address) -> tuple[int, ...]:
        """All tiles of a place as indices into the per-tile tuples."""
        tiles = self._index.get(address)
        return self._index[self.find_address(address)] if tiles is None else tiles

    def address_at(self, x: int, y: int) -> Address:
        """The narrowest place at a tile, down to the object. Raises MapError outside."""
        i = self.index(x, y)
        parts = [self.world, self.sectors[i], self.arenas[i], self.objects[i]]
        return ":".join(part for part in parts if part)

    def index(self, x: int, y: int) -> int:
        """The place of a tile in the per-tile tuples. Raises MapError outside of the map."""
        if not (0 <= x < self.width and 0 <= y < self.height):
            raise MapError(
                f"{self.name}: tile ({x}, {y}) lies outside of the map of "
                f"{self.width} x {self.height}; choose one inside"
            )
        return y * self.width + x

    def path(self, start: Tile, goal: Tile) -> tuple[Tile, ...] | None:
        """A shortest walk from ``start`` to ``goal``, both included; None when there is none."""
        route = self.grid.route(self.index(*start), (self.index(*goal),))
        if route is None:
            return None
        return (start, *((i % self.width, i // self.width) for i in route))


def fold_address(address: str) -> str:
    """An address without the differences that files disagree on: case, spaces, Unicode form.

    >>> fold_address("The Ville: Ryan Park's apartment :main room")
    "the ville:ryan park's apartment:main room"
    """
    return ":".join(normalize(part) for part in address.split(":"))


def ascii_map(
    text: str, legend: Mapping[str, str] | None = None, *, world: str = "town", blocked: str = "#"
) -> TownMap:
    """A map of one character a tile.

    ``legend`` says to which sector:arena or sector:arena:object a character belongs; the
    characters in ``blocked`` cannot be walked on. Raises MapError for lines of unequal
    length and for characters that neither names.

    >>> town = ascii_map("#####\\n#bhh.\\n#####", {"h": "home:hall", "b": "home:hall:bed"})
    >>> town.addresses, town.path((1, 1), (4, 1))
    (('town:home:hall', 'town:home:hall:bed'), ((1, 1), (2, 1), (3, 1), (4, 1)))
    """
    legend = legend or {}
    rows = text.split()
    if len({len(row) for row in rows}) != 1:
        raise MapError("sketch: its lines are of unequal length; fill them up")
    cells = "".join(rows)
    unknown = next((cell for cell in cells if cell not in legend and cell not in "." + blocked), "")
    if unknown:
        raise MapError(f"sketch: '{unknown}' is neither '.', blocked nor in the legend; add it")
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
