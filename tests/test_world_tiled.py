"""Maps drawn in Tiled: the convention, and every way to draw it wrongly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import denizens
import pytest
from denizens.core import Json, MapError
from denizens.world import Spawn, load_tiled

KINDS = [("grass", False), ("wall", True), ("floor", False), ("rug", False)]


def tiles(number: int, name: str, data: list[int]) -> Json:
    """A tile layer."""
    layer = {"id": number, "name": name, "type": "tilelayer", "width": 6, "height": 3}
    return {**layer, "opacity": 1, "visible": True, "x": 0, "y": 0, "data": data}


def box(number: int, kind: str, name: str, *place: float, **properties: object) -> Json:
    """A rectangle, its place and size given in tiles of 16 pixels."""
    x, y, width, height = (16 * side for side in place)
    where = {"x": x, "y": y, "width": width, "height": height, "rotation": 0}
    said = [{"name": key, "type": "string", "value": value} for key, value in properties.items()]
    return {"id": number, "type": kind, "name": name, **where, "visible": True, "properties": said}


def tileset() -> Json:
    """Four kinds of ground."""
    kinds = [
        {
            "id": number,
            "type": kind,
            "properties": [{"name": "blocked", "type": "bool", "value": shut}],
        }
        for number, (kind, shut) in enumerate(KINDS)
    ]
    size = {"tilewidth": 16, "tileheight": 16, "tilecount": 4, "columns": 4}
    return {"firstgid": 1, "name": "kinds", **size, "margin": 0, "spacing": 0, "tiles": kinds}


def drawn() -> Json:
    """A house of 4 x 2 tiles on a map of 6 x 3, one floor with a bed, a spawn and a note."""
    house = [0, 2, 2, 2, 2, 0, 0, 3, 3, 3, 2, 0, 0, 0, 0, 0, 0, 0]
    rugs = [0] * 7 + [4 | 0x80000000] + [0] * 10
    things = {
        "id": 4,
        "name": "things",
        "type": "objectgroup",
        "draworder": "index",
        "opacity": 1,
        "visible": True,
        "objects": [
            box(1, "sector", "house", 1, 0, 4, 2),
            box(2, "arena", "hall", 1, 1, 3, 1),
            box(3, "object", "bed", 2, 1, 1, 1, emoji="🛏️"),
            box(4, "object", "stove", 3, 1, 1, 1, blocked=True),
            box(5, "spawn", "door", 1, 1, 0, 0),
            box(6, "note", "mind the gap", 0, 2, 1, 1),
        ],
    }
    ground = tiles(1, "ground", [1] * 18)
    return {
        "type": "map",
        "version": "1.10",
        "orientation": "orthogonal",
        "renderorder": "right-down",
        "infinite": False,
        "width": 6,
        "height": 3,
        "tilewidth": 16,
        "tileheight": 16,
        "nextlayerid": 9,
        "nextobjectid": 9,
        "properties": [{"name": "world", "type": "string", "value": "w"}],
        "layers": [ground, tiles(2, "house", house), tiles(3, "rugs", rugs), things],
        "tilesets": [tileset()],
    }


def saved(folder: Path, map_: Json) -> Path:
    """The map as a file."""
    file = folder / "home.map.json"
    file.write_text(json.dumps(map_), encoding="utf-8")
    return file


def test_the_convention(tmp_path: Path) -> None:
    """Kinds from the top, blocks from any layer, places from rectangles, and a mirrored tile."""
    town = load_tiled(saved(tmp_path, drawn()))
    assert (town.name, town.world, town.width, town.height, town.tile) == ("home", "w", 6, 3, 16)
    assert town.kinds[6:12] == ("grass", "rug", "floor", "floor", "wall", "grass")
    assert [i for i, shut in enumerate(town.blocked) if shut] == [1, 2, 3, 4, 9, 10]
    assert town.addresses == ("w:house:hall", "w:house:hall:bed", "w:house:hall:stove")
    assert town.tiles_of("w:house:hall:bed") == ((2, 1),)
    assert town.spawns == (Spawn("door", (1, 1), "w:house:hall"),)
    assert town.emoji == {"w:house:hall:bed": "🛏️"}


def test_the_built_in_town_follows_it() -> None:
    """Larkspur loads, and everything in it can be reached from every spawn point."""
    folder = Path(denizens.__file__).parent / "simulation" / "scenarios"
    town = load_tiled(folder / "larkspur.map.json")
    regions = {town.regions[town.index(*spawn.at)] for spawn in town.spawns}
    assert len(regions) == 1
    (region,) = regions
    for address in town.object_addresses:
        spots = [
            (x + dx, y + dy)
            for x, y in town.tiles_of(address)
            for dx, dy in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))
            if 0 <= x + dx < town.width and 0 <= y + dy < town.height
        ]
        assert any(town.regions[town.index(*spot)] == region for spot in spots), address


def boxes(map_: Json) -> list[Json]:
    """The rectangles of a map."""
    found: list[Json] = map_["layers"][3]["objects"]
    return found


def change(number: int, **fields: object) -> Callable[[Json], None]:
    """A fault: other fields of one rectangle."""
    return lambda map_: boxes(map_)[number].update(fields)


def top(**fields: object) -> Callable[[Json], None]:
    """A fault: other fields of the map."""
    return lambda map_: map_.update(fields)


def layer(number: int, **fields: object) -> Callable[[Json], None]:
    """A fault: other fields of one layer."""
    return lambda map_: map_["layers"][number].update(fields)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (top(orientation="isometric"), "isometric; set it to orthogonal"),
        (top(infinite=True), "infinite"),
        (top(properties=[]), "no property 'world'"),
        (top(layers=[]), "no tile layer"),
        (top(tilesets=[]), "in no tileset"),
        (lambda map_: map_.pop("width"), "lacks the field 'width'"),
        (layer(0, data=[1] * 17), "layer 'ground' has 17 tiles"),
        (layer(0, data=["x"] * 18), "something else than tile numbers|no Tiled map"),
        (layer(1, data=[99] * 18), "layer 'house' has tile 99 at \\(0, 0\\)"),
        (change(0, type="sektor"), "class 'sektor' \\(did you mean 'sector'"),
        (change(2, type=""), "class ''"),
        (change(2, name=" "), "needs a name"),
        (change(2, name="a:b"), "without colons"),
        (change(2, rotation=30), "no upright rectangle"),
        (change(2, ellipse=True), "no upright rectangle"),
        (change(2, x=-16), "outside of the map"),
        (change(2, x=96), "outside of the map"),
        (change(2, x=0, y=32), "lies in no arena"),
        (change(1, y=32), "lies in no sector"),
        (change(2, width=3, x=17), "covers no tile"),
        (change(1, width=80), "sticks out of sector 'house'"),
        (change(2, x=16 * 2 + 4, width=44), "sticks out of arena 'hall'|covered"),
        (change(3, x=32), "object 'bed' is covered"),
        (change(4, y=0), "on a blocked tile"),
        (change(1, x="left"), "no usable position|no Tiled map"),
    ],
)
def test_a_fault_in_the_drawing_is_named(
    tmp_path: Path, fault: Callable[[Json], None], reason: str
) -> None:
    """Each fault is a MapError that names the file, what is wrong, and where."""
    map_ = drawn()
    fault(map_)
    with pytest.raises(MapError, match=reason) as caught:
        load_tiled(saved(tmp_path, map_))
    assert "home.map.json" in str(caught.value)


def test_what_nobody_can_reach_is_refused(tmp_path: Path) -> None:
    """An object walled in on all sides is a fault of the map."""
    map_ = drawn()
    map_["layers"][1]["data"][6:12] = [0, 2, 2, 2, 2, 0]
    map_["layers"][3]["objects"].pop(4)
    with pytest.raises(MapError, match="nobody can stand at"):
        load_tiled(saved(tmp_path, map_))


@pytest.mark.parametrize("text", ["", "{", "[]", "<map/>", '"map"', "{}", '{"layers": 3}', "\x00"])
def test_what_is_no_map_is_refused(tmp_path: Path, text: str) -> None:
    """Empty, broken and foreign files are MapErrors that name the file."""
    file = tmp_path / "home.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(MapError, match=r"home\.json"):
        load_tiled(file)


def test_missing_files_are_named(tmp_path: Path) -> None:
    """A missing map, text that is not UTF-8, and a tileset that is not there."""
    with pytest.raises(MapError, match="No such file"):
        load_tiled(tmp_path / "home.json")
    (tmp_path / "latin.json").write_bytes(b'{"name": "caf\xe9"}')
    with pytest.raises(MapError, match="UTF-8"):
        load_tiled(tmp_path / "latin.json")
    map_ = drawn()
    map_["tilesets"] = [{"firstgid": 1, "source": "gone.tsj"}]
    with pytest.raises(MapError, match=r"gone\.tsj"):
        load_tiled(saved(tmp_path, map_))
