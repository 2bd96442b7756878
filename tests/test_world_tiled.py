"""Maps drawn in Tiled: the convention, and every way to draw it wrongly."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import denizens
import pytest
from denizens.core import Json, MapError
from denizens.world import SpawnPoint, load_tiled

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
    assert town.spawns == (SpawnPoint("door", (1, 1), "w:house:hall"),)
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


BED = "w:house:hall:bed"


def moved(map_: Json, across: float, down: float = 0) -> Json:
    """The map with its things drawn so far to the left, and their layer's offset making up for
    it."""
    for one in boxes(map_):
        one["x"] -= across
        one["y"] -= down
    map_["layers"][3].update(offsetx=across, offsety=down)
    return map_


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_map_with_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    """The mark tells the encoding, in the map and in what it refers to."""
    map_ = drawn()
    (tmp_path / "kinds.tsj").write_bytes(json.dumps(tileset()).encode(encoding))
    map_["tilesets"] = [{"firstgid": 1, "source": "kinds.tsj"}]
    file = tmp_path / "home.json"
    file.write_bytes(json.dumps(map_).encode(encoding))
    assert load_tiled(file).tiles_of(BED) == ((2, 1),)


def test_offsets_of_object_layers_and_groups_count(tmp_path: Path) -> None:
    """Everything lies where Tiled shows it: offsets of a layer and of all groups around it
    are summed."""
    plain = load_tiled(saved(tmp_path, drawn()))
    assert load_tiled(saved(tmp_path, moved(drawn(), 32, 7))).tiles_of(BED) == plain.tiles_of(BED)
    map_ = moved(drawn(), 32)
    inner = map_["layers"].pop()
    inner["offsetx"] = 12
    group = {"type": "group", "name": "g", "offsetx": 4.0, "layers": [inner]}
    map_["layers"].append({"type": "group", "name": "h", "offsetx": 16, "layers": [group]})
    town = load_tiled(saved(tmp_path, map_))
    assert town.tiles_of(BED) == plain.tiles_of(BED)
    assert town.spawns == plain.spawns


def test_offsets_of_tile_layers_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A layer moved by whole tiles blocks where it is seen; half a tile is refused, and tiles
    outside of the map are told of."""
    map_ = drawn()
    house = map_["layers"][1]
    house["data"] = [*house["data"][1:], 0]
    map_["layers"][1] = {"type": "group", "name": "g", "offsetx": 16, "layers": [house]}
    assert load_tiled(saved(tmp_path, map_)).blocked == load_tiled(saved(tmp_path, drawn())).blocked
    assert not caplog.records
    map_ = drawn()
    map_["layers"][0].update(offsety=16)
    load_tiled(saved(tmp_path, map_))
    assert "layer 'ground': its offset puts 6 tiles outside" in caplog.text
    map_["layers"][0].update(offsety=8)
    with pytest.raises(MapError, match="layer 'ground' is offset by 0, 8 pixels"):
        load_tiled(saved(tmp_path, map_))


def test_tiles_that_are_not_square(tmp_path: Path) -> None:
    """Places are counted by a tile's width across and by its height down."""
    map_ = drawn()
    map_["tilewidth"] = 32
    for one in boxes(map_):
        one["x"] *= 2
        one["width"] *= 2
    assert load_tiled(saved(tmp_path, map_)).tiles_of(BED) == ((2, 1),)
    map_ = drawn()
    map_["tileheight"] = 8
    for one in boxes(map_):
        one["y"] /= 2
        one["height"] /= 2
    town = load_tiled(saved(tmp_path, map_))
    assert town.tiles_of("w:house:hall") == ((1, 1), (2, 1), (3, 1))


@pytest.mark.parametrize(
    ("value", "shut"), [("false", False), ("TRUE", True), (0, False), (1, True), ("", False)]
)
def test_blocked_in_other_types(tmp_path: Path, value: Json, shut: bool) -> None:
    """Text and numbers that can mean but one thing mean it, for tiles and for objects."""
    map_ = drawn()
    map_["tilesets"][0]["tiles"][3]["properties"][0]["value"] = value
    boxes(map_).pop(4)
    assert load_tiled(saved(tmp_path, map_)).blocked[7] is shut
    map_ = drawn()
    boxes(map_)[3] = box(4, "object", "stove", 3, 1, 1, 1, blocked=value)
    assert load_tiled(saved(tmp_path, map_)).blocked[9] is shut


@pytest.mark.parametrize("name", ["Blocked", " blocked", "BLOCKED"])
def test_properties_in_other_case(tmp_path: Path, name: str) -> None:
    """A property is known by its name in whatever case: no wall opens in silence."""
    map_ = drawn()
    for tile in map_["tilesets"][0]["tiles"]:
        tile["properties"][0]["name"] = name
    map_["properties"][0]["name"] = "World"
    assert load_tiled(saved(tmp_path, map_)).blocked == load_tiled(saved(tmp_path, drawn())).blocked


@pytest.mark.parametrize(
    ("change_of", "reason"),
    [
        (("blocked", "perhaps"), "tile 3: property 'blocked' is 'perhaps'; make it a bool"),
        (("blocked", 2), "property 'blocked' is 2"),
        (("kind", 3), "tile 3: property 'kind' is 3; make it a string"),
    ],
)
def test_properties_of_no_one_meaning(
    tmp_path: Path, change_of: tuple[str, Json], reason: str
) -> None:
    """What neither is a truth value nor reads as one is refused by tile and property."""
    map_ = drawn()
    name, value = change_of
    map_["tilesets"][0]["tiles"][2]["properties"] = [{"name": name, "value": value}]
    with pytest.raises(MapError, match=reason):
        load_tiled(saved(tmp_path, map_))


def project(folder: Path, name: str, **members: Json) -> None:
    """A project file with the class ``wall``."""
    said = [{"name": key, "type": "bool", "value": value} for key, value in members.items()]
    kind = {"id": 1, "name": "wall", "type": "class", "members": said}
    enum = {"id": 2, "name": "wall", "type": "enum", "values": ["a"]}
    file = folder / f"{name}.tiled-project"
    file.write_text(json.dumps({"propertyTypes": [enum, kind]}), encoding="utf-8")


def test_classes_of_the_project(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Tiled leaves out what a tile's class says: it is taken from the project beside the map or
    above it; without the project, that nothing is blocked is said."""
    map_ = drawn()
    for tile in map_["tilesets"][0]["tiles"]:
        del tile["properties"]
    boxes(map_).pop(3)
    folder = tmp_path / "maps" / "north"
    folder.mkdir(parents=True)
    assert not any(load_tiled(saved(folder, map_)).blocked)
    assert "home.map.json: no tile is blocked" in caplog.text
    project(tmp_path, "town", blocked=True)
    assert sum(load_tiled(saved(folder, map_)).blocked) == 5
    map_["tilesets"][0]["tiles"][1]["properties"] = [{"name": "blocked", "value": False}]
    assert not any(load_tiled(saved(folder, map_)).blocked)
    project(tmp_path, "other", blocked=False)
    with pytest.raises(MapError, match="class 'wall' differs from another project's"):
        load_tiled(saved(folder, map_))


TSX = """<?xml version="1.0" encoding="UTF-8"?>
<tileset version="1.10" name="kinds" tilewidth="16" tileheight="16" tilecount="4" columns="4">
 <tile id="1" type="wall"><properties>
  <property name="blocked" type="bool" value="true"/></properties></tile>
 <tile id="2" class="floor"/>
</tileset>
"""


def test_tilesets_in_files_of_their_own(tmp_path: Path) -> None:
    """XML and JSON tilesets say the same as embedded ones; one that is missing, not well
    formed or hostile is named with its map."""
    map_ = drawn()
    map_["tilesets"] = [{"firstgid": 1, "source": "art\\kinds.tsx"}]
    map_["layers"].pop(2)
    (tmp_path / "art").mkdir()
    file = tmp_path / "art" / "kinds.tsx"
    with pytest.raises(MapError, match=r"home\.map\.json: tileset .*kinds\.tsx: cannot be read"):
        load_tiled(saved(tmp_path, map_))
    file.write_text(TSX)
    town = load_tiled(saved(tmp_path, map_))
    assert (town.kinds[7], town.kinds[10], sum(town.blocked)) == ("floor", "wall", 6)
    file.write_text(TSX.replace('"UTF-8"', '"UTF-16"'), encoding="utf-16")
    assert sum(load_tiled(saved(tmp_path, map_)).blocked) == 6
    for text, reason in [("<tileset>", "well-formed"), ("<!DOCTYPE x>" + TSX, "DOCTYPE")]:
        file.write_text(text)
        with pytest.raises(MapError, match=rf"kinds\.tsx: .*{reason}"):
            load_tiled(saved(tmp_path, map_))


def test_objects_of_templates(tmp_path: Path) -> None:
    """An object has what its template says and itself does not; a missing template is named."""
    map_ = drawn()
    bed = boxes(map_)[2]
    for field in ("type", "width", "height", "properties"):
        del bed[field]
    bed["template"] = "bed.tj"
    with pytest.raises(MapError, match=r"object 3: template .*bed\.tj: cannot be read"):
        load_tiled(saved(tmp_path, map_))
    common = box(1, "object", "some bed", 0, 0, 1, 1, emoji="🛏️")
    (tmp_path / "bed.tj").write_text(json.dumps({"type": "template", "object": common}))
    town = load_tiled(saved(tmp_path, map_))
    assert (town.tiles_of(BED), town.emoji) == (((2, 1),), {BED: "🛏️"})
    bed["template"] = "bed.tx"
    (tmp_path / "bed.tx").write_text(
        '<template><object class="object" width="16" height="16"><properties>'
        '<property name="blocked" type="bool" value="true"/></properties></object></template>'
    )
    assert load_tiled(saved(tmp_path, map_)).blocked[8]


def packed(numbers: list[int], how: str) -> Json:
    """Tile numbers as base64, compressed."""
    body = b"".join(number.to_bytes(4, "little") for number in numbers)
    if how:
        body = zlib.compress(body) if how == "zlib" else gzip.compress(body)
    return {"data": base64.b64encode(body).decode(), "encoding": "base64", "compression": how}


@pytest.mark.parametrize("how", ["zlib", "gzip", ""])
def test_packed_layers(tmp_path: Path, how: str) -> None:
    """Packed tiles are those of plain ones; mirrored and turned ones too."""
    map_ = drawn()
    map_["layers"][0] |= packed([1 | 0xF0000000] * 18, how)
    assert load_tiled(saved(tmp_path, map_)).kinds[0] == "grass"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (layer(0, **packed([1] * 18, "") | {"compression": "zstd"}), "compressed with zstd.*zlib"),
        (layer(0, **packed([1] * 18, "") | {"compression": "zlib"}), "cannot be unpacked"),
        (layer(0, **packed([0] * 9_000_000, "zlib")), "layer 'ground' has 19 tiles"),
        (layer(0, data=None, chunks=[{}]), "layer 'ground' has no tiles of its own"),
        (layer(0, data=[1 << 40] * 18), "something else than tile numbers"),
        (layer(0, data=[True] * 18), "something else than tile numbers"),
        (layer(0, width=9, height=2), "layer 'ground' has 18 tiles where the map of 6 x 3"),
        (layer(0, parallaxx=0.5), "layer 'ground' moves with the view"),
        (layer(3, parallaxy=2), "layer 'things' moves with the view"),
        (layer(0, type="tilelayers"), "layer 'ground' is of an unknown type"),
        (top(orientation="hexagonal"), "is hexagonal; set it to orthogonal"),
        (top(orientation="staggered"), "is staggered; set it to orthogonal"),
        (top(width=10**9, height=10**9), "it needs at least one, and at most"),
        (top(tilewidth="16"), "'tilewidth' is '16'; it must be an integer"),
        (top(width=6.0), "'width' is 6.0; it must be an integer"),
        (change(2, gid=3), "no upright rectangle"),
        (change(2, polygon=[{"x": 0, "y": 0}]), "no upright rectangle"),
        (change(2, x=1e300), "'x' is 1e"),
        (lambda map_: map_["tilesets"][0].update(tiles={"0": {}}), "of an old Tiled"),
    ],
)
def test_what_cannot_be_read_right_is_refused(
    tmp_path: Path, fault: Callable[[Json], None], reason: str
) -> None:
    """Formats, sizes and shapes that would be read wrongly are errors that say why."""
    map_ = drawn()
    fault(map_)
    with pytest.raises(MapError, match=reason):
        load_tiled(saved(tmp_path, map_))


def test_what_does_not_matter_is_passed_over(tmp_path: Path) -> None:
    """Tints, image layers, invisible layers and full turns change nothing."""
    map_ = drawn()
    map_["layers"][1].update(tintcolor="#ff0000", opacity=0.2, visible=False)
    map_["layers"].insert(0, {"type": "imagelayer", "name": "sky", "image": "", "parallaxx": 0.1})
    map_["layers"][4]["objects"][2]["rotation"] = 360
    assert load_tiled(saved(tmp_path, map_)).blocked == load_tiled(saved(tmp_path, drawn())).blocked
