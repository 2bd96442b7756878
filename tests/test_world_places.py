"""A world without tiles: the same verbs on a graph of named places."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import networkx as nx
import pytest
from denizens.core import Action, Body, Json, MapError, WorldError
from denizens.world import Places, load_places

START = datetime(2023, 2, 13, 7)
HILL = {
    "name": "hill",
    "places": [
        {"name": "mill", "objects": ["stone", "bench"], "ways": ["inn"]},
        {"name": "inn", "objects": ["bar"], "ways": ["square"]},
        {"name": "square"},
        {"name": "island"},
    ],
}


def hill(sight: int = 0, **bodies: str) -> Places:
    """The hill with people at places."""
    world = Places(load_places(HILL), start=START, step_seconds=60, sight=sight)
    for who, place in bodies.items():
        world.enter(Body(who, home=f"hill:{place}"))
    return world


def act(target: str, doing: str) -> Action:
    """Go somewhere and do something."""
    return Action("act", target, {"doing": doing})


def test_an_edge_takes_a_step() -> None:
    """Two edges from the mill to the square are two steps, then the object is used."""
    world = hill(Ana="square")
    world.step({"Ana": act("hill:mill:stone", "grinding corn")}, START, ("Ana",))
    assert (world.observe("Ana").place, world.observe("Ana").arrived) == ("hill:inn", False)
    world.step({"Ana": Action("continue")}, START, ("Ana",))
    seen = world.observe("Ana")
    assert (seen.place, seen.arrived, seen.position) == ("hill:mill", True, None)
    assert "stone is being used" in [event.text for event in seen.events]


@pytest.mark.parametrize(("sight", "names"), [(0, []), (1, ["Bo"]), (2, ["Bo", "Cy"])])
def test_sight_is_in_hops(sight: int, names: list[str]) -> None:
    """Sight 0 is the same place; each hop more shows the places one edge further."""
    world = hill(sight, Ana="mill", Bo="inn", Cy="square")
    people = world.observe("Ana").people
    assert [one.who for one in people] == names
    assert [one.distance for one in people] == [1, 2][: len(names)]
    assert ("bar is idle" in [event.text for event in world.observe("Ana").events]) == bool(names)


def test_people_at_a_place_talk() -> None:
    """Two at the same place converse as in a town."""
    world = hill(Ana="inn", Bo="inn")
    order = ("Ana", "Bo")
    world.step({"Ana": Action("talk", "Bo")}, START, order)
    world.step({"Ana": Action("say", "", {"text": "Cheers"})}, START, order)
    talk = world.observe("Bo").talk
    assert talk is not None
    assert [line.text for line in talk.lines] == ["Cheers"]


def test_only_places_with_a_way_are_afforded() -> None:
    """Nobody can go to the island, nor from it."""
    world = hill(Ana="mill", Bo="island")
    targets = [one.target for one in world.affordances("Ana") if one.verb == "act"]
    assert targets == [
        "hill:inn",
        "hill:inn:bar",
        "hill:mill",
        "hill:mill:bench",
        "hill:mill:stone",
        "hill:square",
    ]
    assert [one.target for one in world.affordances("Bo") if one.verb == "act"] == ["hill:island"]


def test_directed_ways_go_one_way() -> None:
    """On a directed graph nobody walks against an edge."""
    graph = nx.DiGraph([("cliff", "beach")])
    world = Places(graph, start=START, step_seconds=60, name="coast")
    world.enter(Body("Ana", home="coast:beach"))
    assert [one.target for one in world.affordances("Ana") if one.verb == "act"] == ["coast:beach"]


def test_how_the_graph_was_built_does_not_matter() -> None:
    """Edges and nodes in another order give the same world."""
    edges = [("a", "b"), ("b", "d"), ("a", "c"), ("c", "d")]
    saved = []
    for graph in (nx.Graph(edges), nx.Graph(list(reversed(edges)))):
        world = Places(graph, start=START, step_seconds=60)
        world.enter(Body("Ana", home="places:a"))
        world.step({"Ana": act("places:d", "looking")}, START, ("Ana",))
        saved.append(world.save())
    assert saved[0] == saved[1]


def test_a_state_fits_its_own_world_only() -> None:
    """Loading the state of another world, or nonsense, is an error that says so."""
    other = Places(nx.path_graph(["a", "b"]), start=START, step_seconds=60)
    with pytest.raises(WorldError, match="the state is of 'hill of 4 places'"):
        other.load(hill(Ana="mill").save())
    with pytest.raises(WorldError, match="was not saved by such a world"):
        other.load({"bodies": []})


@pytest.mark.parametrize("part", ["bodies", "states", "users", "talks"])
@pytest.mark.parametrize("value", [None, 3, [{}], {"hill:mill": 3}])
def test_a_broken_state_changes_nothing(part: str, value: object) -> None:
    """A state with a broken part is refused, and the world stays as it was."""
    world = hill(Ana="mill")
    before = world.save()
    with pytest.raises(WorldError, match="broken"):
        world.load({**before, part: value})
    assert world.save() == before


def test_homes_and_tiles_that_are_not_there() -> None:
    """A wrong home gets a suggestion; a start tile makes no sense here."""
    world = hill()
    with pytest.raises(WorldError, match="did you mean 'hill:mill'"):
        world.enter(Body("Ana", home="hill:mil"))
    with pytest.raises(WorldError, match="no tiles"):
        world.enter(Body("Ana", start=(1, 1)))


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"places": []}, "must be a list of tables"),
        ({"place": []}, "unknown key 'place' \\(did you mean 'places'"),
        ({"places": ["mill"]}, "is no table"),
        ({"places": [{"name": "mill", "way": []}]}, "unknown key 'way'"),
        ({"places": [{"name": "a:b"}]}, "without colons"),
        ({"places": [{"objects": []}]}, "None is no name"),
        ({"places": [{"name": "mill"}, {"name": "mill"}]}, "there twice"),
        ({"places": [{"name": "mill", "ways": ["mil"]}]}, "did you mean 'mill'"),
        ({"places": [{"name": "mill", "objects": "stone"}]}, "must be a list of names"),
    ],
)
def test_bad_tables_are_refused(table: Json, reason: str) -> None:
    """Each mistake in a table of places is named with its remedy."""
    with pytest.raises(MapError, match=reason):
        load_places(table)


def test_places_from_a_file(tmp_path: Path) -> None:
    """A TOML file gives the same graph as its table; errors name the file."""
    file = tmp_path / "hill.toml"
    file.write_text(
        'name = "hill"\n[[places]]\nname = "mill"\nways = ["inn"]\n[[places]]\nname = "inn"'
    )
    graph = load_places(file)
    assert (graph.graph["name"], list(graph.edges)) == ("hill", [("mill", "inn")])
    with pytest.raises(MapError, match=r"nothing\.toml"):
        load_places(tmp_path / "nothing.toml")
    with pytest.raises(MapError, match="no place"):
        Places(nx.Graph(), start=START, step_seconds=60)
