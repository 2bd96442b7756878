"""The built-in town Larkspur: its map, its people, and that they can live together."""

from __future__ import annotations

import json
import re
import tomllib
from collections import deque
from dataclasses import MISSING, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from denizens.core import Action, Body, Persona
from denizens.planners import Daily
from denizens.tests.support.example_programs import load_example
from denizens.world import Town as TownWorld
from denizens.world import load_tiled

ROOT = Path(__file__).parents[1]
SCENARIOS = ROOT / "simulation" / "scenarios"
MAP = SCENARIOS / "larkspur.map.json"
KINDS = {
    *("grass", "path", "water", "wall", "floor", "door", "tree", "hedge"),
    *("sand", "bridge", "rug", "flowers", "stone", "field", "dock"),
}
TILES_A_MINUTE = 10
LONGEST_WALK = 6  # minutes

Tile = tuple[int, int]
Box = tuple[int, int, int, int]


class Town:
    """The map as plainly as a test needs it: boxes by role and the free tiles."""

    def __init__(self, path: Path) -> None:
        raw = json.loads(path.read_text(encoding="utf-8"))
        self.raw = raw
        self.width, self.height, side = raw["width"], raw["height"], raw["tilewidth"]
        self.boxes: dict[str, list[tuple[str, Box]]] = {}
        for layer in raw["layers"]:
            for one in layer.get("objects", ()):
                x, y, w, h = (one[key] // side for key in ("x", "y", "width", "height"))
                self.boxes.setdefault(one["type"], []).append((one["name"], (x, y, w, h)))
        told = {
            tile["id"] + 1: {p["name"]: p["value"] for p in tile["properties"]}
            for tile in raw["tilesets"][0]["tiles"]
        }
        self.kinds = {tile["kind"] for tile in told.values()}
        blocked = {
            (i % self.width, i // self.width)
            for layer in raw["layers"]
            for i, gid in enumerate(layer.get("data", ()))
            if gid and told[gid]["blocked"]
        }
        self.free = {
            (x, y) for y in range(self.height) for x in range(self.width) if (x, y) not in blocked
        }
        self.addresses: dict[str, set[Tile]] = {}
        for sector, outer in self.boxes["sector"]:
            self._name(f"Larkspur:{sector}", outer)
        for role in ("arena", "object"):
            for name, box in self.boxes[role]:
                depth = 1 if role == "arena" else 2
                (parent,) = [
                    a
                    for a, tiles in self.addresses.items()
                    if a.count(":") == depth and cells(box) <= tiles
                ]
                self._name(f"{parent}:{name}", box)

    def _name(self, address: str, box: Box) -> None:
        assert address not in self.addresses, f"{address} is there twice"
        self.addresses[address] = cells(box)

    def distances(self, start: Tile) -> dict[Tile, int]:
        """Steps from a tile to every tile that can be reached on foot."""
        found, queue = {start: 0}, deque([start])
        while queue:
            x, y = queue.popleft()
            for tile in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
                if tile in self.free and tile not in found:
                    found[tile] = found[x, y] + 1
                    queue.append(tile)
        return found

    def stands(self, address: str) -> set[Tile]:
        """The free tiles of a place or, for furniture, next to it."""
        mine = self.addresses[address]
        beside = {(x + a, y + b) for x, y in mine for a, b in ((1, 0), (-1, 0), (0, 1), (0, -1))}
        return (mine & self.free) or (beside & self.free)


def cells(box: Box) -> set[Tile]:
    """The tiles of a rectangle."""
    left, top, width, height = box
    return {(x, y) for x in range(left, left + width) for y in range(top, top + height)}


def scenario(name: str) -> dict[str, Any]:
    """A built-in scenario file as a table."""
    return tomllib.loads((SCENARIOS / f"{name}.toml").read_text(encoding="utf-8"))


def people(name: str) -> list[Persona]:
    """The people written into a scenario, checked."""
    return [Persona.parse(one, f"{name}.toml") for one in scenario(name)["people"]]


@pytest.fixture(scope="module")
def town() -> Town:
    return Town(MAP)


def test_the_map_is_what_the_generator_draws() -> None:
    """The committed map equals the generator's output, byte for byte, on every call."""
    module = load_example("draw_larkspur")
    drawn = module.text(module.draw())
    assert drawn == module.text(module.draw())
    assert drawn == MAP.read_text(encoding="utf-8"), "run python examples/draw_larkspur.py"


def test_a_bad_plan_is_refused() -> None:
    """The generator names the place whose plan has a short line or a torn thing."""
    module = load_example("draw_larkspur")
    place = {"name": "shed", "at": [0, 0], "base": "floor", "rooms": {}, "things": {"B": "bin|x"}}
    with pytest.raises(ValueError, match="shed"):
        module.build(module.Canvas(), place | {"plan": "###\n##\n"})
    with pytest.raises(ValueError, match="bin"):
        module.build(module.Canvas(), place | {"plan": "B.\n.B\n"})


def test_the_tiled_library_reads_it() -> None:
    """pytiled-parser reads the map with its property, kinds, classes and emoji."""
    pytiled_parser = pytest.importorskip("pytiled_parser")
    parsed = pytiled_parser.parse_map(MAP)
    assert parsed.properties == {"world": "Larkspur"}
    assert {tile.properties["kind"] for tile in parsed.tilesets[1].tiles.values()} == KINDS
    things = next(layer for layer in parsed.layers if layer.name == "objects").tiled_objects
    assert {thing.class_ for thing in things} == {"object"}
    assert all(thing.properties["emoji"] for thing in things)


def test_the_town_is_rich_and_its_tree_sound(town: Town) -> None:
    """Sectors hold arenas, arenas hold things; siblings never overlap; kinds are the known."""
    counts = {role: len(boxes) for role, boxes in town.boxes.items()}
    assert (counts["sector"], counts["arena"], counts["object"]) == (15, 32, 104)
    assert town.kinds == KINDS
    for depth in (1, 2, 3):
        taken: set[Tile] = set()
        for address, tiles in town.addresses.items():
            if address.count(":") == depth:
                assert not taken & tiles, f"{address} overlaps another"
                taken |= tiles
    for address in town.addresses:
        if address.count(":") < 3:
            inside = [a for a in town.addresses if a.startswith(f"{address}:")]
            assert inside, f"{address} is empty"


def test_everything_can_be_reached_from_every_spawn(town: Town) -> None:
    """From each spawn one can walk to a tile of, or next to, every place and thing."""
    for name, (x, y, _, _) in town.boxes["spawn"]:
        reached = set(town.distances((x, y)))
        for address in town.addresses:
            assert town.stands(address) & reached, f"{address} from {name}"


def test_furniture_closes_off_no_corner(town: Town) -> None:
    """No free floor tile of a room lies behind things where nobody can go."""
    _, (x, y, _, _) = town.boxes["spawn"][0]
    reached = set(town.distances((x, y)))
    rooms = {t for a, tiles in town.addresses.items() if a.count(":") == 2 for t in tiles}
    assert not (rooms & town.free) - reached


def test_five_people_with_ties_and_secrets() -> None:
    """Five personas parse; everybody knows of another, intends something, keeps something."""
    cast = people("larkspur")
    names = [person.name for person in cast]
    assert len(names) == len(set(names)) == 5
    for person in cast:
        assert 6 <= len(person.facts) <= 10
        assert all(person.name in text for text in (person.background, person.currently))
        told = " ".join(person.facts)
        assert sum(other in told for other in names if other != person.name) >= 2
        assert "secret" in told or "told nobody" in told
    knowing = [p.name for p in cast if any("lantern supper at the river" in f for f in p.facts)]
    assert knowing == ["Nora Vale"], "the invitation starts with one person and can spread"
    bell = [p.name for p in cast if any("found the old silver bell" in f for f in p.facts)]
    assert bell == ["Tobias Reed"]


def test_every_appointment_has_a_place_that_its_person_knows(town: Town) -> None:
    """Homes, known places and routine places exist; routines are ordered and within ``knows``."""
    for person in people("larkspur"):
        assert town.addresses.keys() >= {person.home, *person.knows}
        times = [entry.at for entry in person.routine]
        assert times == sorted(times)
        wake, sleep = person.waking_hours()
        assert times[0] == f"{wake // 60:02}:{wake % 60:02}"
        assert times[-1] == f"{sleep // 60:02}:{sleep % 60:02}"
        for entry in person.routine:
            assert entry.place in town.addresses, f"{person.name}: {entry.place}"
            assert any(entry.place.startswith(f"{known}:") for known in person.knows)


def test_nobody_walks_longer_than_six_minutes(town: Town) -> None:
    """Every way of every routine, the one from bed included, is at most 60 tiles long."""
    for person in people("larkspur"):
        here = town.addresses[f"{person.home}:bed"]
        for entry in person.routine:
            there = town.stands(entry.place)
            steps = town.distances(min(here & town.free or there))
            assert min(steps[tile] for tile in there) <= LONGEST_WALK * TILES_A_MINUTE, (
                f"{person.name} to {entry.place} at {entry.at}"
            )
            here = there


def test_the_morning_cast_meets_over_breakfast() -> None:
    """The three of the morning stay in one room for half an hour and meet again before ten."""
    morning = scenario("larkspur-morning")["scenario"]
    assert morning["extends"] == "larkspur"
    cast = [person for person in people("larkspur") if person.name in morning["cast"]]
    assert [person.name for person in cast] == morning["cast"]

    def room(person: Persona, at: str) -> str:
        place = [entry.place for entry in person.routine if entry.at <= at][-1]
        return place.rpartition(":")[0]

    for at in ("07:40", "08:00", "08:29"):
        assert {room(person, at) for person in cast} == {"Larkspur:bakery:cafe"}
    assert room(cast[1], "09:20") == room(cast[2], "09:20") != room(cast[0], "09:20")


def test_by_their_routines_all_ten_pairs_meet() -> None:
    """In the real world nothing of a routine is refused, and everybody sees everybody."""
    start, cast = datetime(2026, 5, 2, 6, 20), people("larkspur")
    world = TownWorld(load_tiled(MAP), start=start, step_seconds=60, speed=TILES_A_MINUTE)
    for one in cast:
        world.enter(Body(one.name, home=one.home, knows=one.knows))
    met: set[frozenset[str]] = set()
    for minute in range(16 * 60):
        now = start + timedelta(minutes=minute)
        actions = {one.name: Action("continue") for one in cast}
        for one in cast:
            for entry in one.routine:
                if entry.at == now.strftime("%H:%M"):
                    actions[one.name] = Action("act", entry.place, {"doing": entry.doing})
        turn = world.step(actions, now, tuple(actions))
        assert not [event.text for event in turn.events if event.kind == "refused"]
        met |= {
            frozenset((who, other.who)) for who, seen in turn.seen.items() for other in seen.people
        }
    assert len(met) == 10


def test_the_docs_name_every_setting_with_its_default() -> None:
    """The tables of docs/scenarios.md hold exactly the fields of the records they explain."""
    from denizens.simulation import scenario as schema

    told = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^##+ (.+?)\n(.*?)(?=^## |^### |\Z)", told, re.S | re.M))
    records: dict[str, type[Any]] = {
        "`[scenario]`": schema.ScenarioTable,
        "`[world]`": schema.WorldTable,
        "`[model]`": schema.ModelTable,
        "`[minds]`": schema.MindsTable,
        "`[minds.daily]`": Daily,
        "`[[people]]`": schema.PersonEntry,
        "A persona's fields": Persona,
        "`[[inputs]]`": schema.PlannedInput,
    }
    for heading, record in records.items():
        rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", sections[heading], re.M))
        # The folder of a voice is found by the reader, and cards give what they give.
        unwritten = ("voice_folder", *getattr(record, "NOT_IN_FILES", ()))
        written = [one.name for one in fields(record) if one.name not in unwritten]
        assert list(rows) == written, heading
        for one in fields(record):
            if one.name in written and rows[one.name].startswith("`") and one.name != "start":
                default = one.default if one.default is not MISSING else {}
                value = tomllib.loads(f"it = {rows[one.name].strip('`')}")["it"]
                assert value == (list(default) if isinstance(default, tuple) else default), one


@pytest.mark.parametrize("name", ["larkspur", "larkspur-morning", "crossroads"])
def test_scenario_files_hold_only_documented_keys(name: str) -> None:
    """Sections and keys are those that docs/scenarios.md explains, the times in order."""
    told = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
    table = scenario(name)
    for section in ("scenario", "world", "model", "minds"):
        assert f"## `[{section}]`" in told
        for key in table.get(section, {}):
            assert f"| `{key}` |" in told, f"[{section}] {key} is not in docs/scenarios.md"
    head = table["scenario"]
    start, until = (datetime.fromisoformat(head[key]) for key in ("start", "until"))
    assert start < until
    assert all(start <= datetime.fromisoformat(i["at"]) < until for i in table.get("inputs", ()))


def test_crossroads_is_one_connected_world_of_known_places() -> None:
    """Paths join places that exist, all of them; homes and routines name places or things."""
    table = scenario("crossroads")
    world = table["scenario"]["name"]
    places = {place["name"]: place["objects"] for place in table["world"]["places"]}
    things = {f"{world}:{name}:{thing}" for name, own in places.items() for thing in own}
    joined = {table["world"]["places"][0]["name"]}
    for _ in places:
        joined |= {end for path in table["world"]["paths"] if joined & set(path) for end in path}
    assert joined == set(places)
    for person in people("crossroads"):
        assert person.home.removeprefix(f"{world}:") in places
        assert {entry.place for entry in person.routine} <= things


def test_every_example_in_the_docs_is_toml() -> None:
    """The fenced TOML of docs/scenarios.md parses; the whole scenario in it loads."""
    told = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
    examples = [tomllib.loads(code) for code in re.findall(r"```toml\n(.*?)```", told, re.S)]
    assert examples[0]["people"][0]["home"] == "small:kitchen"
    assert Persona.parse(examples[0]["people"][0]).name == "Ada Lund"
    assert examples[1] == scenario("larkspur-morning")
    assert {one["kind"] for one in examples[2]["inputs"]} == {"whisper", "event", "line"}
