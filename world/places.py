"""A world without tiles: a graph of named places, with the rules of a town."""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING

from ..core import (
    Address,
    Body,
    Json,
    MapError,
    SettingError,
    Time,
    WorldError,
    check_arguments,
    did_you_mean,
    read_settings,
)
from .embodied_world import EmbodiedWorld
from .geometry import Destinations, Spot, knows_place
from .town_map import fold_address

if TYPE_CHECKING:
    import networkx

_UNREACHABLE = 1_000_000


class GraphGeometry:
    """The geometry of a graph of places. Spots are nodes, sorted by name; distances are hops;
    all places form one zone."""

    def __init__(self, graph: networkx.Graph, world: str, sight: int) -> None:
        import networkx as nx

        if not isinstance(graph, nx.Graph):
            raise MapError(f"places: a networkx graph is needed, not {type(graph).__name__}")
        if not graph:
            raise MapError("the graph has no place; add a node")
        for word in (world, *graph.nodes):
            _check_name(word, "places")
        # Rebuilt in sorted order, so that the order of insertion changes no path.
        self._graph: networkx.Graph = nx.DiGraph() if graph.is_directed() else nx.Graph()
        self._nodes = sorted(graph.nodes)
        self._graph.add_nodes_from(self._nodes)
        ends = tuple if graph.is_directed() else lambda edge: tuple(sorted(edge))
        self._graph.add_edges_from(sorted(ends(edge) for edge in graph.edges()))
        self._world = world
        self._sight = sight
        self._places = tuple(f"{world}:{node}" for node in self._nodes)
        object_spots: list[tuple[Address, Spot]] = []
        for spot, node in enumerate(self._nodes):
            names = graph.nodes[node].get("objects", ())
            if isinstance(names, str):
                raise MapError(f"place '{node}': objects is a text; give a list of names")
            object_spots += [
                (f"{self._places[spot]}:{_check_name(name, node)}", spot) for name in sorted(names)
            ]
        self.objects = tuple(address for address, _ in object_spots)
        self._spots = {place: spot for spot, place in enumerate(self._places)} | dict(object_spots)
        self._object_indices = {address: index for index, address in enumerate(self.objects)}
        self._hops: dict[Spot, list[int]] = {}
        self._destinations: dict[tuple[Spot, tuple[Address, ...]], Destinations] = {}

    @property
    def name(self) -> str:
        return f"{self._world} of {len(self._nodes)} places"

    def object_index(self, address: Address) -> int:
        return self._object_indices.get(address, -1)

    def entry_spot(self, body: Body, taken: Set[Spot]) -> Spot:
        """The home, or the first place; a place holds any number of bodies."""
        if body.start is not None:
            raise WorldError(f"{body.who}: there are no tiles here; give a home, not a start tile")
        return self._spot_of(body.home, body.who) if body.home else 0

    def _spot_of(self, place: Address, where: str) -> Spot:
        spot = self._spots.get(place)
        if spot is None:
            folded = {fold_address(address): spot for address, spot in self._spots.items()}
            spot = folded.get(fold_address(place))
        if spot is None:
            hint = did_you_mean(place, self._spots)
            raise WorldError(f"{where}: no place '{place}'{hint}; correct the name")
        return spot

    def place(self, spot: Spot) -> Address:
        return self._places[spot]

    def position(self, spot: Spot) -> None:
        return None

    def zone(self, spot: Spot) -> int:
        return 0

    def zones_of_object(self, index: int) -> tuple[int, ...]:
        return (0,)

    def _hops_from(self, spot: Spot) -> list[int]:
        hops = self._hops.get(spot)
        if hops is None:
            import networkx as nx

            lengths = nx.single_source_shortest_path_length(self._graph, self._nodes[spot])
            hops = self._hops[spot] = [lengths.get(node, _UNREACHABLE) for node in self._nodes]
        return hops

    def distance(self, here: Spot, there: Spot) -> tuple[int, int]:
        """Hops; beyond the world's sight the distance is larger than any vision."""
        hops = self._hops_from(here)[there]
        return hops, hops if hops <= self._sight else _UNREACHABLE

    def visible_objects(self, spot: Spot, vision: int) -> tuple[tuple[int, int], ...]:
        """Objects at places within sight, by hops."""
        reach = min(vision, self._sight)
        hops = self._hops_from(spot)
        ranked = [(hops[self._spots[a]], index) for index, a in enumerate(self.objects)]
        return tuple(sorted((rank, index) for rank, index in ranked if rank <= reach))

    def route(self, spot: Spot, target: Address, taken: Set[Spot]) -> tuple[Spot, ...] | None:
        import networkx as nx

        goal = self._spots[target]
        if self._hops_from(spot)[goal] >= _UNREACHABLE:
            return None
        path = nx.shortest_path(self._graph, self._nodes[spot], self._nodes[goal])
        return tuple(self._spots[f"{self._world}:{node}"] for node in path[1:])

    def spot_at(self, x: Json, y: Json) -> None:
        return None

    def route_to_spot(self, spot: Spot, goal: Spot, taken: Set[Spot]) -> None:
        return None

    def destinations(self, spot: Spot, knows: tuple[Address, ...]) -> Destinations:
        """Places and objects that are known and can be reached."""
        destinations = self._destinations.get((spot, knows))
        if destinations is None:
            known = tuple(map(fold_address, knows))
            hops = self._hops_from(spot)
            destinations = Destinations.from_addresses(
                tuple(
                    address
                    for address in sorted(self._spots)
                    if hops[self._spots[address]] < _UNREACHABLE
                    and knows_place(known, fold_address(address))
                )
            )
            self._destinations[spot, knows] = destinations
        return destinations

    def is_in_view(self, place: Address, spot: Spot, vision: int) -> bool:
        if place == self._world:
            return True
        return self.distance(spot, self._spot_of(place, "event"))[1] <= vision


class Places(EmbodiedWorld):
    """A World on a graph whose nodes are named places and may have ``objects`` (names).

    A body walks ``speed`` edges a step. It sees as far as its vision, at most ``sight``
    hops; 0 is the same place. Directed graphs are walked along their edges. Raises MapError
    for a graph without nodes, or with names that contain colons.
    """

    @check_arguments
    def __init__(
        self,
        graph: networkx.Graph,
        *,
        start: Time,
        step_seconds: int,
        name: str = "",
        sight: int = 0,
        speed: int = 1,
        most_lines: int = 16,
        patience: int = 3,
    ) -> None:
        world = name or str(getattr(graph, "graph", {}).get("name") or "places")
        super().__init__(
            GraphGeometry(graph, world, sight),
            start=start,
            step_seconds=step_seconds,
            speed=speed,
            most_lines=most_lines,
            patience=patience,
        )


def load_places(settings: Path | str | Mapping[str, Json]) -> networkx.Graph:
    """The graph for ``Places`` that a table, or a ``.toml`` or ``.json`` file describes.

    ``name`` names the world; ``places`` is a list of tables with ``name``, and optionally
    ``objects`` and ``ways`` (lists of names); ``paths`` is a list of pairs of names. Ways and
    paths can be walked in both directions. Raises MapError naming the file, the place and the
    remedy.

    >>> graph = load_places({"name": "hill", "places": [
    ...     {"name": "mill", "objects": ["stone"], "ways": ["inn"]}, {"name": "inn"}]})
    >>> sorted(graph.edges), graph.nodes["mill"]["objects"]
    ([('mill', 'inn')], ['stone'])
    """
    import networkx as nx

    source = "places"
    if not isinstance(settings, Mapping):
        source = str(settings)
        try:
            settings = read_settings(settings)
        except SettingError as error:
            raise MapError(str(error)) from error
    _check_keys(settings, ("name", "places", "paths"), source)
    rows = settings.get("places")
    if not isinstance(rows, list) or not rows:
        raise MapError(f"{source}: 'places' must be a list of tables; add [[places]] with a name")
    graph = nx.Graph(name=_check_name(settings.get("name", "places"), source))
    for row in rows:
        if not isinstance(row, Mapping):
            example = "{ name = 'kitchen', objects = ['stove'] }"
            raise MapError(f"{source}: {row!r} is no table; write it as {example}")
        _check_keys(row, ("name", "objects", "ways"), source)
        name = _check_name(row.get("name"), source)
        if name in graph:
            raise MapError(f"{source}: place '{name}' is there twice; rename one")
        objects = _check_names(row.get("objects", []), f"{source}: place '{name}': objects")
        graph.add_node(name, objects=objects)
    paths = [*settings.get("paths", ())]
    for row in rows:
        ways = _check_names(row.get("ways", []), f"{source}: place '{row['name']}': ways")
        paths += [(row["name"], way) for way in ways]
    for path in paths:
        if not isinstance(path, list | tuple) or len(path) != 2:
            raise MapError(f"{source}: path {path!r} must be a pair of places")
        for end in path:
            if end not in graph:
                hint = did_you_mean(str(end), graph.nodes)
                raise MapError(f"{source}: path {path!r}: no place '{end}'{hint}; correct it")
        graph.add_edge(*path)
    return graph


def _check_keys(table: Mapping[str, Json], keys: tuple[str, ...], source: str) -> None:
    for key in table:
        if key not in keys:
            hint = did_you_mean(str(key), keys)
            raise MapError(f"{source}: unknown key '{key}'{hint}; known: {', '.join(keys)}")


def _check_name(name: Json, source: str) -> str:
    if not isinstance(name, str) or not name.strip() or ":" in name:
        raise MapError(f"{source}: {name!r} is no name; give a text without colons")
    return name


def _check_names(names: Json, where: str) -> list[str]:
    if not isinstance(names, list):
        raise MapError(f"{where} must be a list of names, not {names!r}")
    return [_check_name(name, where) for name in names]
