"""A town: bodies on a map of tiles, with sight inside one arena."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Set

from ..core import Address, Body, Json, MapError, Time, WorldError, check_arguments
from .embodied_world import EmbodiedWorld
from .geometry import Destinations, Spot, knows_place
from .paths import tile_neighbors
from .town_map import TownMap, fold_address


class TileGeometry:
    """The geometry of a TownMap. Spots are indices of tiles. Zones are arenas; the tiles of a
    sector outside of its arenas form one zone."""

    def __init__(self, town: TownMap) -> None:
        self.map = town
        self.objects = town.object_addresses
        self._object_indices = {address: index for index, address in enumerate(self.objects)}
        zones: dict[tuple[str, str], int] = {}
        self._zones = [
            zones.setdefault(pair, len(zones)) for pair in zip(town.sectors, town.arenas)
        ]
        self._places = [
            ":".join(part for part in (town.world, *pair) if part)
            for pair in zip(town.sectors, town.arenas)
        ]
        self._object_zones = [
            tuple(sorted({self._zones[i] for i in town.indices_of(a)})) for a in self.objects
        ]
        # By zone: (index of the object, column, row) for each tile of an object.
        self._object_tiles: dict[int, list[tuple[int, int, int]]] = {}
        for index, address in enumerate(self.objects):
            for i in town.indices_of(address):
                entry = (index, i % town.width, i // town.width)
                self._object_tiles.setdefault(self._zones[i], []).append(entry)
        self._visible_cache: dict[tuple[Spot, int], tuple[tuple[int, int], ...]] = {}
        self._destinations: dict[tuple[int, tuple[Address, ...]], Destinations] = {}
        self._standing_cache: dict[Address, tuple[tuple[Spot, ...], ...]] = {}

    @property
    def name(self) -> str:
        return f"{self.map.name} {self.map.width}x{self.map.height}"

    def object_index(self, address: Address) -> int:
        return self._object_indices.get(address, -1)

    def place(self, spot: Spot) -> Address:
        """world:sector:arena of a tile; shorter outside of arenas and sectors."""
        return self._places[spot]

    def position(self, spot: Spot) -> tuple[int, int]:
        return spot % self.map.width, spot // self.map.width

    def zone(self, spot: Spot) -> int:
        return self._zones[spot]

    def zones_of_object(self, index: int) -> tuple[int, ...]:
        return self._object_zones[index]

    def distance(self, here: Spot, there: Spot) -> tuple[int, int]:
        """The squared Euclidean distance, and the Chebyshev distance."""
        width = self.map.width
        x = abs(here % width - there % width)
        y = abs(here // width - there // width)
        return x * x + y * y, max(x, y)

    def visible_objects(self, spot: Spot, vision: int) -> tuple[tuple[int, int], ...]:
        """Objects of the same arena within the square, by the distance of their nearest tile."""
        visible = self._visible_cache.get((spot, vision))
        if visible is None:
            x, y = self.position(spot)
            ranks: dict[int, int] = {}
            for index, u, v in self._object_tiles.get(self._zones[spot], ()):
                if abs(u - x) <= vision and abs(v - y) <= vision:
                    rank = (u - x) ** 2 + (v - y) ** 2
                    ranks[index] = min(rank, ranks.get(index, rank))
            visible = tuple(sorted((rank, index) for index, rank in ranks.items()))
            self._visible_cache[spot, vision] = visible
        return visible

    def standing_spots(self, target: Address) -> tuple[tuple[Spot, ...], ...]:
        """Groups of spots from which a body acts on a target, in order of preference.

        An object: its own free tiles, then free tiles beside it in its arena, then other free
        tiles beside it. An arena: free tiles without objects, then any free tile. Empty groups
        are left out.
        """
        groups = self._standing_cache.get(target)
        if groups is None:
            tiles = self.map.indices_of(target)
            free = self._free(tiles)
            if target in self._object_indices:
                beside = self._free(self._adjacent(tiles))
                zones = {self._zones[i] for i in tiles}
                inside = tuple(i for i in beside if self._zones[i] in zones)
                outside = tuple(i for i in beside if self._zones[i] not in zones)
                candidates = (free, inside, outside)
            else:
                candidates = (tuple(i for i in free if not self.map.objects[i]), free, ())
            groups = tuple(group for group in candidates if group)
            self._standing_cache[target] = groups
        return groups

    def _free(self, spots: Iterable[Spot]) -> tuple[Spot, ...]:
        return tuple(i for i in spots if not self.map.blocked[i])

    def _adjacent(self, spots: tuple[Spot, ...]) -> tuple[Spot, ...]:
        width, size = self.map.width, self.map.width * self.map.height
        adjacent = {j for i in spots for j in tile_neighbors(i, width, size)}
        return tuple(sorted(adjacent.difference(spots)))

    def route(self, spot: Spot, target: Address, taken: Set[Spot]) -> tuple[Spot, ...] | None:
        """A body inside a target arena stays; else an arena is entered up to its middle."""
        is_arena = target not in self._object_indices
        if is_arena and self._places[spot] == target:
            return ()
        region = self.map.regions[spot]
        groups = [
            [i for i in group if self.map.regions[i] == region]
            for group in self.standing_spots(target)
        ]
        for group in groups:
            if free := [i for i in group if i not in taken]:
                return self.map.grid.route(spot, [self._central_spot(free)] if is_arena else free)
        shared = next((group for group in groups if group), None)
        return None if shared is None else self.map.grid.route(spot, shared)

    def spot_at(self, x: Json, y: Json) -> Spot | None:
        """The index of a free tile of the map."""
        if type(x) is not int or type(y) is not int:
            return None
        if not (0 <= x < self.map.width and 0 <= y < self.map.height):
            return None
        spot = self.map.index(x, y)
        return None if self.map.blocked[spot] else spot

    def route_to_spot(self, spot: Spot, goal: Spot, taken: Set[Spot]) -> tuple[Spot, ...] | None:
        if spot == goal:
            return ()
        beside = [i for i in self._free(self._adjacent((goal,))) if i not in taken]
        goals = [goal] if goal not in taken else (beside or [goal])
        return self.map.grid.route(spot, goals)

    def _central_spot(self, spots: list[Spot]) -> Spot:
        """The spot nearest to the mean position of ``spots``."""
        positions = [self.position(i) for i in spots]
        x = sum(u for u, _ in positions) / len(positions)
        y = sum(v for _, v in positions) / len(positions)
        squares = [(u - x) ** 2 + (v - y) ** 2 for u, v in positions]
        return min(zip(squares, spots))[1]

    def destinations(self, spot: Spot, knows: tuple[Address, ...]) -> Destinations:
        """Arenas and objects that are known and can be reached from ``spot``."""
        region = self.map.regions[spot]
        destinations = self._destinations.get((region, knows))
        if destinations is None:
            known = tuple(map(fold_address, knows))
            destinations = Destinations.from_addresses(
                tuple(
                    address
                    for address in self.map.addresses
                    if knows_place(known, fold_address(address))
                    and self._is_reachable(address, region)
                )
            )
            self._destinations[region, knows] = destinations
        return destinations

    def _is_reachable(self, address: Address, region: int) -> bool:
        groups = self.standing_spots(address)
        return any(self.map.regions[i] == region for group in groups for i in group)

    def is_in_view(self, place: Address, spot: Spot, vision: int) -> bool:
        """Inside of the place, or in the same arena within vision of one of its tiles."""
        try:
            tiles = self.map.indices_of(place)
        except MapError as error:
            raise WorldError(str(error)) from error
        if spot in tiles:
            return True
        zone = self._zones[spot]
        return any(self._zones[i] == zone and self.distance(spot, i)[1] <= vision for i in tiles)

    def entry_spot(self, body: Body, taken: Set[Spot]) -> Spot:
        """The start tile; else at home a spawn point, else its middle; without a home any
        spawn point, else the first tile of the largest walkable region."""
        if body.start is not None:
            return self._start_spot(body, body.start)
        spawns = [self.map.index(*spawn.at) for spawn in self.map.spawns]
        open_spawns = [i for i in spawns if i not in taken and not self.map.blocked[i]]
        if not body.home:
            return open_spawns[0] if open_spawns else self._largest_region_spot(body, taken)
        tiles = self._home_tiles(body)
        if at_home := [i for i in open_spawns if i in tiles]:
            return at_home[0]
        free = self._free(sorted(tiles))
        if not free:
            raise WorldError(f"{body.who}: home '{body.home}' has no free tile; choose another")
        return self._central_spot([i for i in free if i not in taken] or list(free))

    def _start_spot(self, body: Body, start: tuple[int, int]) -> Spot:
        x, y = start
        is_inside = 0 <= x < self.map.width and 0 <= y < self.map.height
        if not is_inside or self.map.blocked[self.map.index(x, y)]:
            why = "is blocked" if is_inside else "lies outside of the map"
            raise WorldError(f"{body.who}: start tile ({x}, {y}) {why}; choose a free tile")
        return self.map.index(x, y)

    def _home_tiles(self, body: Body) -> tuple[Spot, ...]:
        try:
            return self.map.indices_of(body.home)
        except MapError as error:
            raise WorldError(f"{body.who}: home is unknown: {error}") from error

    def _largest_region_spot(self, body: Body, taken: Set[Spot]) -> Spot:
        sizes = Counter(region for region in self.map.regions if region >= 0)
        if not sizes:
            raise WorldError(f"{body.who}: the map has no free tile; unblock some")
        largest = max(sizes, key=lambda region: (sizes[region], -region))
        spots = [i for i, region in enumerate(self.map.regions) if region == largest]
        return next((i for i in spots if i not in taken), spots[0])


class Town(EmbodiedWorld):
    """A World on a TownMap. Bodies walk ``speed`` tiles a step along shortest paths.

    Perception follows the code of Park et al. 2023: objects and bodies in the same arena within the
    square of a body's vision, the nearest ``attention`` of them. Raises WorldError for settings
    below 1.
    """

    @check_arguments
    def __init__(
        self,
        map: TownMap,
        *,
        start: Time,
        step_seconds: int,
        speed: int = 1,
        most_lines: int = 16,
        patience: int = 3,
    ) -> None:
        super().__init__(
            TileGeometry(map),
            start=start,
            step_seconds=step_seconds,
            speed=speed,
            most_lines=most_lines,
            patience=patience,
        )
        self.map = map
