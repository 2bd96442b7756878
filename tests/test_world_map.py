"""The town map: its tree, its errors, and shortest paths."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import networkx as nx
import pytest
from denizens.core import MapError
from denizens.world import ascii_map
from denizens.world.paths import TileGrid
from hypothesis import given, settings
from hypothesis import strategies as st

LEGEND = {"h": "house:hall", "b": "house:hall:bed", "k": "house:kitchen", "s": "shop:floor"}
TOWN = """
########.
#hbb#kk#.
#hhhhkk..
####hk##.
sss......
"""


@st.composite
def grids(draw: st.DrawFn) -> tuple[int, int, list[bool]]:
    """Width, height and blocked tiles of a small map."""
    width, height = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    tiles = st.lists(st.booleans(), min_size=width * height, max_size=width * height)
    return width, height, draw(tiles)


def graph_of(width: int, height: int, blocked: list[bool]) -> nx.Graph:
    """The free tiles as a networkx grid."""
    graph = nx.grid_2d_graph(width, height)
    graph.remove_nodes_from([(i % width, i // width) for i, shut in enumerate(blocked) if shut])
    return graph


@settings(max_examples=150, deadline=None)
@given(grids(), st.data())
def test_routes_are_as_short_as_astar(
    grid: tuple[int, int, list[bool]], data: st.DataObject
) -> None:
    """A route exists exactly when networkx finds one, is as short, and walks free neighbours."""
    width, height, blocked = grid
    free = [i for i, shut in enumerate(blocked) if not shut]
    if not free:
        return
    start = data.draw(st.sampled_from(free))
    goals = data.draw(st.lists(st.sampled_from(free), min_size=1, max_size=4))
    graph = graph_of(width, height, blocked)
    lengths = [
        nx.astar_path_length(graph, (start % width, start // width), (goal % width, goal // width))
        for goal in goals
        if nx.has_path(graph, (start % width, start // width), (goal % width, goal // width))
    ]
    route = TileGrid(blocked, width).route(start, goals)
    if not lengths:
        assert route is None
        return
    assert route is not None
    assert len(route) == min(lengths)
    walk = [(i % width, i // width) for i in (start, *route)]
    assert all(graph.has_edge(a, b) for a, b in pairwise(walk))
    assert (start, *route)[-1] in goals


@settings(max_examples=100, deadline=None)
@given(grids())
def test_regions_are_the_connected_components(grid: tuple[int, int, list[bool]]) -> None:
    """Two free tiles share a region exactly when networkx connects them."""
    width, height, blocked = grid
    regions = TileGrid(blocked, width).regions()
    found: dict[int, set[tuple[int, int]]] = {}
    for i, region in enumerate(regions[: width * height]):
        assert (region < 0) == blocked[i]
        if region >= 0:
            found.setdefault(region, set()).add((i % width, i // width))
    components = [set(part) for part in nx.connected_components(graph_of(width, height, blocked))]
    assert sorted(map(sorted, found.values())) == sorted(map(sorted, components))


def test_tree_and_addresses() -> None:
    """The tree of places and the list of addresses come from the tiles."""
    town = ascii_map(TOWN, LEGEND)
    assert town.tree == {
        "town": {"house": {"hall": ("bed",), "kitchen": ()}, "shop": {"floor": ()}}
    }
    assert town.addresses == (
        "town:house:hall",
        "town:house:hall:bed",
        "town:house:kitchen",
        "town:shop:floor",
    )
    assert town.tiles_of("town:house:hall:bed") == ((2, 1), (3, 1))
    assert town.address_at(2, 1) == "town:house:hall:bed"
    assert town.address_at(8, 0) == "town"


def test_paths_go_through_doors() -> None:
    """A path leads around walls; between parts that no way joins there is none."""
    town = ascii_map(TOWN, LEGEND)
    path = town.path((1, 1), (6, 1))
    assert path is not None
    assert (path[0], path[-1], len(path)) == ((1, 1), (6, 1), 8)
    assert ascii_map("..#..").path((0, 0), (4, 0)) is None


def test_names_are_found_whatever_their_spelling() -> None:
    """Case and outer spaces do not matter; an unknown name gets a suggestion."""
    town = ascii_map(TOWN, LEGEND)
    assert town.find_address("Town: House :hall") == "town:house:hall"
    with pytest.raises(MapError, match="did you mean 'town:house:kitchen'"):
        town.find_address("town:house:kitchn")


def test_a_map_that_does_not_fit_is_refused() -> None:
    """Layers of the wrong size, things outside their place, and tiles off the map."""
    town = ascii_map(TOWN, LEGEND)
    with pytest.raises(MapError, match="layer 'kinds' has 1 tiles"):
        replace(town, kinds=("grass",))
    with pytest.raises(MapError, match="'hall' at tile"):
        replace(town, sectors=("",) * 45)
    with pytest.raises(MapError, match="outside of the map"):
        town.path((0, 0), (99, 0))
    with pytest.raises(MapError, match="unequal length"):
        ascii_map("##\n#")
    with pytest.raises(MapError, match="'x' is neither"):
        ascii_map("#x")
