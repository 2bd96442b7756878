"""Smallville's folders: the check values of the reference, and broken copies."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from denizens.core import Action, Json, MapError, Seed, SettingError, from_json, to_json
from denizens.interop.smallville_folder import read_smallville_folder
from denizens.world import Town, TownMap, load_smallville_map, load_tiled

pytestmark = pytest.mark.data
JULY = "July1_the_ville_isabella_maria_klaus-step-3-20"
SMALL = "base_the_ville_isabella_maria_klaus"


@pytest.fixture
def ville(data: Path) -> Path:
    """Smallville's data."""
    return data / "smallville"


def test_the_map_has_the_check_values(ville: Path) -> None:
    """Size, blocked tiles, sectors, arenas, objects and spawn points are the published ones."""
    town = load_smallville_map(ville / "the_ville")
    assert (town.name, town.world, town.width, town.height) == ("the_ville", "the Ville", 140, 100)
    assert town.tile == 32
    assert sum(town.blocked) == 2064
    assert len(town.tree[town.world]) == 19
    assert len(town.arena_addresses) == 63
    assert len(town.object_addresses) == 222
    assert len(town.spawns) == 40


def test_the_drawn_map_is_the_same(ville: Path) -> None:
    """The Tiled file and the matrices tell of the same town."""
    town = load_smallville_map(ville / "the_ville")
    drawn = load_tiled(ville / "the_ville" / "the_ville_jan7.json")
    for part in ("name", "world", "blocked", "sectors", "arenas", "objects", "kinds", "spawns"):
        assert getattr(town, part) == getattr(drawn, part), part


def test_a_map_travels_as_json(ville: Path) -> None:
    """A map that went through JSON is the same map, so a run can carry its own."""
    town = load_smallville_map(ville / "the_ville")
    again = from_json(TownMap, json.loads(json.dumps(to_json(town))))
    assert again.__dict__ == {key: town.__dict__[key] for key in again.__dict__}


def test_25_people_step_fast(ville: Path) -> None:
    """Observing and stepping 25 people who walk about costs far below a millisecond each.

    The bound is the issue's for a whole day with a planner; alone the world does 10,000 to
    20,000 agent-steps a second on the machine it was written on."""
    base = read_smallville_folder(ville / "base_the_ville_n25")
    town = Town(base.map, start=base.start, step_seconds=10)
    for body in base.bodies():
        town.enter(body)
    names, rng = tuple(base.starts), Seed.of(1).rng()
    began, steps = time.perf_counter(), 200
    for _ in range(steps):
        actions = {}
        for who in names:
            seen, can = town.observe(who), town.affordances(who)
            walk = Action("act", rng.choice(can[2:]).target, {"doing": "looking around"})
            fresh = seen.arrived and can[-1].verb == "act"
            actions[who] = walk if fresh else Action("continue")
        town.step(actions, base.start, names)
    assert steps * len(names) / (time.perf_counter() - began) > 2000


def test_kinds_make_a_picture(ville: Path) -> None:
    """Floors lie in houses, walls are never walked on outside of doors, roads are many."""
    town = load_smallville_map(ville / "the_ville")
    count = Counter(town.kinds)
    assert set(count) == {"grass", "tree", "flowers", "floor", "wall", "path", "hedge", "field"}
    assert min(count.values()) > 100
    assert town.kinds[14 * 140 + 73] == "floor"
    indoors = [kind for kind, arena in zip(town.kinds, town.arenas) if arena.endswith("room")]
    assert Counter(indoors).most_common(1)[0][0] == "floor"


def test_every_object_can_be_reached_from_every_start(ville: Path) -> None:
    """Somebody who knows all places may go to all 222 objects and 63 arenas."""
    base = read_smallville_folder(ville / SMALL)
    town = Town(base.map, start=base.start, step_seconds=10)
    for body in base.bodies():
        town.enter(type(body)(body.who, start=body.start))
        acts = [one for one in town.affordances(body.who) if one.verb == "act"]
        assert len(acts) == 222 + 63


def test_a_base_of_25(ville: Path) -> None:
    """Who lives there, where they start, what they know, and their first memories."""
    base = read_smallville_folder(ville / "base_the_ville_n25")
    assert (base.start, base.step_seconds, base.steps) == (datetime(2023, 2, 13), 10, 0)
    assert not base.is_finished_run
    assert len(base.personas) == 25
    assert base.starts["Latoya Williams"] == (16, 18)
    latoya = base.personas[0]
    assert latoya.home == "the Ville:artist's co-living space:Latoya Williams's room"
    assert latoya.facts[0] == "Rajiv Patel is your housemate whom you've known for about a year"
    assert all(len(one.facts) > 1 for one in base.personas)
    assert (latoya.vision, latoya.attention, latoya.retention) == (8, 8, 8)
    for one in base.personas:
        assert one.home in base.map.arena_addresses
        assert all(base.map.find_address(place) == place for place in one.knows)
    assert list(base.movements()) == []


def test_whispers_with_commas_are_whole(ville: Path) -> None:
    """A row of the history whose commas are not quoted is read to its end."""
    base = read_smallville_folder(ville / SMALL)
    maria = next(one for one in base.personas if one.name == "Maria Lopez")
    assert maria.facts[-1] == "For planning, you frequent Hobbs Cafe for studying"


def test_july_has_the_check_values(ville: Path) -> None:
    """Deltas, moves, and conversations of the finished day are the published ones."""
    base = read_smallville_folder(ville / JULY)
    assert base.is_finished_run
    assert (base.start, base.steps) == (datetime(2023, 2, 13), 8655)
    moves = list(base.movements())
    assert len(moves) == 4532
    lengths: Counter[int] = Counter()
    before: dict[str, tuple[int, int]] = {}
    for one in moves:
        assert not base.map.blocked[base.map.index(*one.at)]
        if one.who in before:
            x, y = before[one.who]
            lengths[abs(one.at[0] - x) + abs(one.at[1] - y)] += 1
        before[one.who] = one.at
    assert lengths == {1: 4519, 0: 10}
    talks = base.conversations()
    assert len(talks) == 8
    assert talks[0][0].step == 3574
    assert {one.who for one in talks[0]} == {"Klaus Mueller", "Maria Lopez"}
    assert moves[0].doing == "sleeping"


def broken(ville: Path, folder: Path, name: str = "") -> Path:
    """A copy of the map, and of one simulation folder where named, to be spoilt."""
    shutil.copytree(ville / "the_ville", folder / "the_ville")
    if name:
        shutil.copytree(ville / name, folder / name)
    return folder


MAZE, BLOCKS = "the_ville/matrix/maze", "the_ville/matrix/special_blocks"


@pytest.mark.parametrize(
    ("file", "spoil", "reason"),
    [
        (
            f"{MAZE}/arena_maze.csv",
            lambda text: text[:-30],
            "cells where 140 x 100|cells; it needs",
        ),
        (f"{MAZE}/sector_maze.csv", lambda text: text.replace("0", "x", 1), "no block's id"),
        (f"{MAZE}/sector_maze.csv", lambda text: "9" + text[1:], "block 9, which no file"),
        (f"{MAZE}/collision_maze.csv", lambda text: "0,0\n0\n" + text, "it needs one row"),
        (f"{MAZE}/game_object_maze.csv", lambda text: None, "cannot be read"),
        (f"{BLOCKS}/arena_blocks.csv", lambda text: "what, the, ever\n" + text, "row 1 is not"),
        (f"{BLOCKS}/world_blocks.csv", lambda text: "", "names no world"),
        ("the_ville/matrix/maze_meta_info.json", lambda text: "{", "not well-formed JSON"),
        (
            "the_ville/matrix/maze_meta_info.json",
            lambda text: text.replace("140", '"wide"'),
            "'maze_width' is 'wide'",
        ),
    ],
)
def test_a_broken_map_is_named(
    ville: Path, tmp_path: Path, file: str, spoil: Callable[[str], str | None], reason: str
) -> None:
    """Ragged, truncated, unknown and missing parts are MapErrors that name the file."""
    home = broken(ville, tmp_path)
    spoilt = spoil((home / file).read_text(encoding="utf-8"))
    if spoilt is None:
        (home / file).unlink()
    else:
        (home / file).write_text(spoilt, encoding="utf-8")
    with pytest.raises(MapError, match=reason) as caught:
        load_smallville_map(home / "the_ville")
    assert Path(file).name in str(caught.value)


def test_a_folder_that_is_no_map(tmp_path: Path) -> None:
    """The error names the folder that is missing."""
    with pytest.raises(MapError, match="matrix: there is no such folder"):
        load_smallville_map(tmp_path)


HOBS: Json = {"the Ville": {"Hobs Cafe": {"cafe": []}}}
MARIA = f"{SMALL}/personas/Maria Lopez/bootstrap_memory"


@pytest.mark.parametrize(
    ("file", "value", "reason"),
    [
        (f"{SMALL}/reverie/meta.json", {}, "not a Smallville meta file"),
        (f"{SMALL}/environment/0.json", {}, "no start tile"),
        (f"{SMALL}/environment/0.json", None, "cannot be read"),
        (f"{MARIA}/spatial_memory.json", HOBS, "did you mean"),
        (f"{MARIA}/spatial_memory.json", {"the Ville": 3}, "is no tree"),
        (f"{MARIA}/scratch.json", {"innate": 1, "living_area": 2}, "not a usable Smallville"),
        (f"{MARIA}/scratch.json", None, "scratch.json"),
    ],
)
def test_a_broken_base_is_named(
    ville: Path, tmp_path: Path, file: str, value: object, reason: str
) -> None:
    """Missing and wrong parts of a base are our errors that name the file."""
    home = broken(ville, tmp_path, SMALL)
    if value is None:
        (home / file).unlink()
    else:
        (home / file).write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises((SettingError, MapError), match=reason):
        read_smallville_folder(home / SMALL)


def test_a_base_without_its_map(ville: Path, tmp_path: Path) -> None:
    """The error says where the map was looked for."""
    shutil.copytree(ville / SMALL, tmp_path / SMALL)
    with pytest.raises(MapError, match="put the map's folder beside"):
        read_smallville_folder(tmp_path / SMALL)


def test_a_broken_finished_run(ville: Path, tmp_path: Path) -> None:
    """A step of a finished run that is not well formed is named."""
    home = broken(ville, tmp_path, JULY)
    file = home / JULY / "master_movement.json"
    steps = json.loads(file.read_text(encoding="utf-8"))
    steps["7"] = {"Klaus Mueller": {"movement": [1]}}
    file.write_text(json.dumps(steps), encoding="utf-8")
    with pytest.raises(SettingError, match="step 7 is not well formed"):
        list(read_smallville_folder(home / JULY).movements())
