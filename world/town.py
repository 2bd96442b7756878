"""The ground of a town: tiles, with sight inside one arena and a square radius.

A town: people on a map of tiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from ..core import (
    Action,
    Address,
    Affordance,
    AgentId,
    Body,
    Event,
    Json,
    MapError,
    Observation,
    StepResult,
    Time,
    WorldError,
    check_arguments,
)
from .embodied_world import EmbodiedWorld
from .geometry import Destinations, Spot, knows_place
from .town_map import TownMap, fold_address


class TileGeometry:
    """The geometry of a TownMap. Spots are indices of tiles, zones are arenas (all tiles
    without one form a zone per sector)."""

    def __init__(self, town: TownMap) -> None:
        self.map = town
        self.objects = town.object_addresses
        self._numbers = {address: n for n, address in enumerate(self.objects)}
        zones: dict[tuple[str, str], int] = {}
        self._zone = [zones.setdefault(pair, len(zones)) for pair in zip(town.sectors, town.arenas)]
        self._places = [
            ":".join(part for part in (town.world, *pair) if part)
            for pair in zip(town.sectors, town.arenas)
        ]
        self._homes = [
            tuple(sorted({self._zone[i] for i in town.indices_of(a)})) for a in self.objects
        ]
        # Thing tiles by zone: (number, column, row).
        self._object_tiles: dict[int, list[tuple[int, int, int]]] = {}
        for number, address in enumerate(self.objects):
            for i in town.indices_of(address):
                spot = (number, i % town.width, i // town.width)
                self._object_tiles.setdefault(self._zone[i], []).append(spot)
        self._visible_cache: dict[tuple[Spot, int], tuple[tuple[int, int], ...]] = {}
        self._goals: dict[tuple[int, tuple[Address, ...]], Destinations] = {}
        self._standing_cache: dict[Address, tuple[tuple[Spot, ...], ...]] = {}

    @property
    def name(self) -> str:
        """The map's name and size."""
        return f"{self.map.name} {self.map.width}x{self.map.height}"

    def object_index(self, address: Address) -> int:
        """The object's place in ``objects``, or -1."""
        return self._numbers.get(address, -1)

    def place(self, spot: Spot) -> Address:
        """world:sector:arena of a tile, shorter outdoors."""
        return self._places[spot]

    def position(self, spot: Spot) -> tuple[int, int]:
        """Column and row."""
        return spot % self.map.width, spot // self.map.width

    def zone(self, spot: Spot) -> int:
        """The arena's number."""
        return self._zone[spot]

    def zones_of_object(self, number: int) -> tuple[int, ...]:
        """The object's arena."""
        return self._homes[number]

    def distance(self, here: Spot, there: Spot) -> tuple[int, int]:
        """The squared distance, and the side of the square around one that meets the other."""
        width = self.map.width
        x = abs(here % width - there % width)
        y = abs(here // width - there // width)
        return x * x + y * y, max(x, y)

    def visible_objects(self, spot: Spot, vision: int) -> tuple[tuple[int, int], ...]:
        """Objects of the same arena within the square, by the distance of their nearest tile."""
        found = self._visible_cache.get((spot, vision))
        if found is None:
            x, y = self.position(spot)
            nearest: dict[int, int] = {}
            for number, u, v in self._object_tiles.get(self._zone[spot], ()):
                if abs(u - x) <= vision and abs(v - y) <= vision:
                    rank = (u - x) ** 2 + (v - y) ** 2
                    nearest[number] = min(rank, nearest.get(number, rank))
            found = tuple(sorted((rank, number) for number, rank in nearest.items()))
            self._visible_cache[spot, vision] = found
        return found

    def standing_spots(self, target: Address) -> tuple[tuple[Spot, ...], ...]:
        """Where to stand for a target, in circles of preference.

        An object: its own free tiles, then free tiles beside it in its arena, then beside it
        anywhere. An arena: free tiles without objects, then any. Empty circles are left out.
        """
        found = self._standing_cache.get(target)
        if found is None:
            own = self.map.indices_of(target)
            circles: tuple[tuple[Spot, ...], ...]
            free = self._free(own)
            if target in self._numbers:
                around = self._free(self._adjacent(own))
                zones = {self._zone[i] for i in own}
                inside = tuple(i for i in around if self._zone[i] in zones)
                circles = (free, inside, tuple(i for i in around if self._zone[i] not in zones))
            else:
                circles = (tuple(i for i in free if not self.map.objects[i]), free)
            found = tuple(circle for circle in circles if circle)
            self._standing_cache[target] = found
        return found

    def _free(self, spots: Iterable[Spot]) -> tuple[Spot, ...]:
        return tuple(i for i in spots if not self.map.blocked[i])

    def _adjacent(self, spots: tuple[Spot, ...]) -> tuple[Spot, ...]:
        width, size = self.map.width, self.map.width * self.map.height
        own = set(spots)
        found: set[Spot] = set()
        for i in spots:
            near = [i - width, i + width]
            near += [i - 1] if i % width else []
            near += [i + 1] if (i + 1) % width else []
            found.update(j for j in near if 0 <= j < size and j not in own)
        return tuple(sorted(found))

    def route(self, spot: Spot, target: Address, taken: Set[Spot]) -> tuple[Spot, ...] | None:
        """Who is inside an arena already stays; else an arena is entered to its middle."""
        inside = target not in self._numbers
        if inside and self._places[spot] == target:
            return ()
        region = self.map.regions[spot]
        circles = [
            [i for i in circle if self.map.regions[i] == region]
            for circle in self.standing_spots(target)
        ]
        for circle in circles:
            if free := [i for i in circle if i not in taken]:
                return self.map.grid.route(spot, [self._central_spot(free)] if inside else free)
        shared = next((circle for circle in circles if circle), None)
        return None if shared is None else self.map.grid.route(spot, shared)

    def _central_spot(self, spots: list[Spot]) -> Spot:
        places = [self.position(i) for i in spots]
        x = sum(u for u, _ in places) / len(places)
        y = sum(v for _, v in places) / len(places)
        best = min(range(len(spots)), key=lambda k: (_squared_distance(places[k], x, y), spots[k]))
        return spots[best]

    def destinations(self, spot: Spot, knows: tuple[Address, ...]) -> Destinations:
        """Arenas and objects that are known and can be walked to from here."""
        region = self.map.regions[spot]
        found = self._goals.get((region, knows))
        if found is None:
            folded = tuple(fold_address(known) for known in knows)
            found = Destinations.from_addresses(
                tuple(
                    address
                    for address in self.map.addresses
                    if knows_place(folded, fold_address(address))
                    and self._reachable(address, region)
                )
            )
            self._goals[region, knows] = found
        return found

    def _reachable(self, address: Address, region: int) -> bool:
        return any(self.map.regions[i] == region for c in self.standing_spots(address) for i in c)

    def is_in_view(self, place: Address, spot: Spot, vision: int) -> bool:
        """Inside of the place, or in the same arena within vision of one of its tiles."""
        tiles = self._tiles(place)
        if spot in tiles:
            return True
        zone = self._zone[spot]
        return any(self._zone[i] == zone and self.distance(spot, i)[1] <= vision for i in tiles)

    def _tiles(self, place: Address) -> tuple[Spot, ...]:
        try:
            return self.map.indices_of(place)
        except MapError as error:
            raise WorldError(str(error)) from error

    def entry_spot(self, body: Body, taken: Set[Spot]) -> Spot:
        """The start tile; else at home a spawn point, else its middle; without a home any
        spawn point, else the first tile of the largest walkable region."""
        if body.start is not None:
            return self._start(body, body.start)
        spawns = [self.map.index(*spawn.at) for spawn in self.map.spawns]
        if body.home:
            own = set(self._home(body))
            points = [i for i in spawns if i in own and not self.map.blocked[i]]
            free = [i for i in points if i not in taken]
            if free:
                return free[0]
            rest = self._free(sorted(own))
            if not rest:
                raise WorldError(
                    f"{body.who}: home '{body.home}' has no tile to stand on; choose another"
                )
            return self._central_spot([i for i in rest if i not in taken] or list(rest))
        for i in spawns:
            if i not in taken and not self.map.blocked[i]:
                return i
        return self._anywhere(body, taken)

    def _start(self, body: Body, start: tuple[int, int]) -> Spot:
        x, y = start
        inside = 0 <= x < self.map.width and 0 <= y < self.map.height
        if not inside or self.map.blocked[self.map.index(x, y)]:
            why = "is blocked" if inside else "lies outside of the map"
            raise WorldError(f"{body.who}: start tile ({x}, {y}) {why}; choose a free tile")
        return self.map.index(x, y)

    def _home(self, body: Body) -> tuple[Spot, ...]:
        try:
            return self.map.indices_of(body.home)
        except MapError as error:
            raise WorldError(f"{body.who}: home is unknown: {error}") from error

    def _anywhere(self, body: Body, taken: Set[Spot]) -> Spot:
        sizes: dict[int, int] = {}
        for label in self.map.regions:
            if label >= 0:
                sizes[label] = sizes.get(label, 0) + 1
        if not sizes:
            raise WorldError(f"{body.who}: the map has no free tile; unblock some")
        largest = max(sizes, key=lambda label: (sizes[label], -label))
        spots = [i for i, label in enumerate(self.map.regions) if label == largest]
        return next((i for i in spots if i not in taken), spots[0])


def _squared_distance(at: tuple[int, int], x: float, y: float) -> float:
    return (at[0] - x) ** 2 + (at[1] - y) ** 2


class Town:
    """A World on a TownMap. Bodies walk ``speed`` tiles a step along shortest paths.

    Perception, as in Park et al. 2023's code: objects and bodies in the square of a body's
    vision and in the same arena, the nearest ``attention`` of them. A conversation ends
    after ``most_lines`` lines; who stays silent for ``patience`` steps loses the floor.
    Raises WorldError for settings below 1.
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
        self.map = map
        self._world = EmbodiedWorld(
            TileGeometry(map),
            start=start,
            step_seconds=step_seconds,
            speed=speed,
            most_lines=most_lines,
            patience=patience,
        )

    def enter(self, body: Body) -> None:
        """Let somebody in: at its start tile, else at home, else at a spawn point."""
        self._world.enter(body)

    def leave(self, who: AgentId) -> None:
        """Take somebody out."""
        self._world.leave(who)

    def observe(self, who: AgentId) -> Observation:
        """What ``who`` sees now."""
        return self._world.observe(who)

    def affordances(self, who: AgentId) -> tuple[Affordance, ...]:
        """What ``who`` may do now: wait, continue, act at places it knows, talk or join; in a
        conversation say or listen, interrupt, and leave."""
        return self._world.affordances(who)

    def step(
        self, actions: Mapping[AgentId, Action], at: Time, order: tuple[AgentId, ...]
    ) -> StepResult:
        """Let these bodies act at once; conflicts are settled in ``order``."""
        return self._world.step(actions, at, order)

    def tell(self, event: Event, to: tuple[AgentId, ...] = ()) -> None:
        """Let something happen from outside."""
        self._world.tell(event, to)

    def save(self) -> Json:
        """The whole changing state as JSON (the map is not part of it)."""
        return self._world.save()

    def load(self, state: Json) -> None:
        """Take over a saved state of a town on the same map."""
        self._world.load(state)
