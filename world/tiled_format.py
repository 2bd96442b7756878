"""What a Tiled map refers to: properties, the classes of its project, tilesets, templates.

Tiled's JSON maps as plain records, with our errors. Images are not needed.
"""

from __future__ import annotations

import base64
import binascii
import logging
import xml.etree.ElementTree as ElementTree
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..core import Json, MapError, SettingError, parse_settings, read_text_file

_PROJECT_SEARCH_DEPTH = 4
"""In how many folders, from the map's own upwards, the project file is looked for."""
TiledClasses = Mapping[str, Mapping[str, Json]]
"""By the name of a class what its members are where nothing is said."""


@dataclass(frozen=True, slots=True)
class Tileset:
    """The tiles numbered from ``first`` on, ``count`` of them (None: not said), and what is
    said of those that have a class or properties, by their number in the set."""

    first: int
    count: int | None
    tiles: Mapping[int, dict[str, Json]]


def read_json(file: Path) -> dict[str, Json]:
    """The object in a JSON file. Raises MapError."""
    text = read_text_file(file, error=MapError)
    if text.lstrip().startswith("<"):
        raise MapError(f"{file}: is Tiled's XML format; save it as JSON in Tiled (Save As)")
    try:
        data = parse_settings(text, file.with_suffix(".json"))
    except SettingError as error:
        raise MapError(str(error).replace(str(file.with_suffix(".json")), str(file), 1)) from error
    if not isinstance(data, dict):
        raise MapError(f"{file}: holds no map; save it as JSON in Tiled (Save As)")
    return data


def require_field(data: Json, field: str, file: Path) -> Json:
    """A field that every such object has. Raises MapError."""
    if not isinstance(data, dict) or data.get(field) is None:
        raise MapError(f"{file}: lacks the field '{field}'; save it again in Tiled (1.8 or later)")
    return data[field]


def integer_field(data: Json, field: str, file: Path, least: int = 0) -> int:
    """A whole number that every such object has. Raises MapError."""
    value = require_field(data, field, file)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise MapError(
            f"{file}: '{field}' is {value!r}; it must be a whole number of {least} or more"
        )
    return value


def number_field(data: Json, field: str, file: Path, default: float = 0.0) -> float:
    """A number, ``default`` where it is left out. Raises MapError."""
    value = data.get(field)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e9:
        raise MapError(f"{file}: '{field}' is {value!r}, no usable position; draw it again")
    return float(value)


def list_field(data: Json, field: str, file: Path) -> list[dict[str, Json]]:
    """A list of objects, empty where it is left out. Raises MapError."""
    value = data.get(field)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise MapError(f"{file}: '{field}' is no list of objects; save it again in Tiled (1.8+)")
    return value


def class_of(data: Mapping[str, Json]) -> str:
    """The class of an object or tile; Tiled 1.9 wrote it under another name."""
    return str(data.get("type") or data.get("class") or "").strip()


def properties_of(data: Json, kind: str, classes: TiledClasses, file: Path) -> dict[str, Json]:
    """The properties of an object or tile, over what its class says where it is silent."""
    found = dict(classes.get(kind, {}))
    given = data.get("properties")
    if isinstance(given, dict):  # as Tiled wrote them before 1.2
        return found | given
    for one in list_field(data, "properties", file):
        found[str(require_field(one, "name", file))] = one.get("value")
    return found


def find_property(properties: Mapping[str, Json], name: str) -> Json:
    """A property by its name, in whatever case and with blanks around it; None where there is
    none."""
    if name in properties:
        return properties[name]
    same = (value for key, value in properties.items() if key.strip().casefold() == name)
    return next(same, None)


def bool_property(properties: Mapping[str, Json], name: str, where: str) -> bool:
    """A property that is true or false, False where it is left out; text and numbers that can
    mean but one of them are read. Raises MapError for others."""
    value = find_property(properties, name)
    if value is None or isinstance(value, bool):
        return bool(value)
    plain = {"true": True, "1": True, "false": False, "0": False, "": False}
    meant = plain.get(str(value).strip().casefold())
    if meant is None:
        raise MapError(
            f"{where}: property '{name}' is {value!r}; make it a bool in Tiled (remove it and add "
            "it with the type bool)"
        )
    return meant


def text_property(properties: Mapping[str, Json], name: str, where: str) -> str:
    """A property that is text, empty where it is left out. Raises MapError for others."""
    value = find_property(properties, name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MapError(f"{where}: property '{name}' is {value!r}; make it a string in Tiled")
    return value


def project_classes(file: Path) -> dict[str, dict[str, Json]]:
    """The classes of the project a map belongs to: of the ``.tiled-project`` files in the first
    folder, from the map's own upwards, that has any. Raises MapError."""
    folder = file.resolve().parent
    for place in (folder, *folder.parents)[:_PROJECT_SEARCH_DEPTH]:
        projects = sorted(place.glob("*.tiled-project"))
        if projects:
            break
    else:
        return {}
    found: dict[str, dict[str, Json]] = {}
    for project in projects:
        for one in list_field(read_json(project), "propertyTypes", project):
            if one.get("type") != "class":
                continue
            name = str(require_field(one, "name", project))
            members = list_field(one, "members", project)
            known = {str(require_field(m, "name", project)): m.get("value") for m in members}
            if found.setdefault(name, known) != known:
                raise MapError(
                    f"{project}: class '{name}' differs from another project's; "
                    "keep one of the .tiled-project files"
                )
    return found


def read_tileset(entry: Mapping[str, Json], file: Path, classes: TiledClasses) -> Tileset:
    """A tileset of a map, embedded or in a file of its own (JSON or .tsx). Raises MapError."""
    first = integer_field(entry, "firstgid", file, 1)
    data: Json = entry
    if entry.get("source") is not None:
        path = file.parent / str(entry["source"]).replace("\\", "/")
        try:
            data = _read_tsx(path) if path.suffix.lower() == ".tsx" else read_json(path)
        except MapError as error:
            raise MapError(
                f"{file}: tileset {error}; put it there, or embed it in the map in Tiled"
            ) from error
        file = path
    if isinstance(data.get("tiles"), dict) or data.get("tileproperties"):
        raise MapError(f"{file}: is of an old Tiled; save it again in Tiled (1.8 or later)")
    tiles = {}
    for tile in list_field(data, "tiles", file):
        kind = class_of(tile)
        said = properties_of(tile, kind, classes, file)
        if kind and "kind" not in said:
            said["kind"] = kind
        tiles[integer_field(tile, "id", file)] = said
    count = None if data.get("tilecount") is None else integer_field(data, "tilecount", file)
    return Tileset(first, count, tiles)


def with_template(
    drawn: dict[str, Json], file: Path, read: Callable[[Path], dict[str, Json]]
) -> dict[str, Json]:
    """An object with what it takes from its template, whose file ``read`` reads (see
    ``read_template``). Raises MapError."""
    if drawn.get("template") is None:
        return drawn
    path = file.parent / str(drawn["template"]).replace("\\", "/")
    try:
        data = read(path)
    except MapError as error:
        raise MapError(
            f"{file}: object {drawn.get('id')}: template {error}; put it there, or detach the "
            "object from it in Tiled"
        ) from error
    base = require_field(data, "object", path)
    if not isinstance(base, dict):
        raise MapError(f"{path}: 'object' is no object; save the template again in Tiled")
    own = {one.get("name"): one for one in list_field(drawn, "properties", file)}
    common = {one.get("name"): one for one in list_field(base, "properties", path)}
    return {**base, **drawn, "properties": list({**common, **own}.values())}


def read_template(path: Path) -> dict[str, Json]:
    """What is in a template's file (JSON or .tx). Raises MapError."""
    return _read_tx(path) if path.suffix.lower() == ".tx" else read_json(path)


def _read_xml(path: Path) -> ElementTree.Element:
    text = read_text_file(path, error=MapError)
    if "<!DOCTYPE" in text.upper():
        raise MapError(f"{path}: has a DOCTYPE, which no file of Tiled has; save it again")
    try:
        # The text is decoded already; of a str the parser passes over the head's encoding.
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise MapError(f"{path}: is not well-formed XML ({error}); save it again") from error


def _read_tsx(path: Path) -> dict[str, Json]:
    root = _read_xml(path)
    made: dict[str, Json] = {"tiles": [_element(tile, path) for tile in root.findall("tile")]}
    count = root.get("tilecount")
    return made | ({} if count is None else {"tilecount": _int(count, path)})


def _read_tx(path: Path) -> dict[str, Json]:
    drawn = _read_xml(path).find("object")
    return {} if drawn is None else {"object": _element(drawn, path)}


def _element(element: ElementTree.Element, path: Path) -> dict[str, Json]:
    """An element's attributes as the JSON format has them, with its properties."""
    made: dict[str, Json] = {}
    for key, value in element.attrib.items():
        if key in ("id", "gid"):
            made[key] = _int(value, path)
        elif key in ("x", "y", "width", "height", "rotation"):
            made[key] = _float(value, path)
        else:
            made[key] = value
    for shape in ("ellipse", "point", "polygon", "polyline", "text", "capsule"):
        if element.find(shape) is not None:
            made[shape] = True
    made["properties"] = [
        {"name": one.get("name", ""), "value": _value(one, path)}
        for one in element.findall("properties/property")
    ]
    return made


def _value(element: ElementTree.Element, path: Path) -> Json:
    text = element.get("value", element.text or "")
    kind = element.get("type", "string")
    if kind == "bool":
        return text.strip() == "true"
    if kind in ("int", "object"):
        return _int(text, path)
    return _float(text, path) if kind == "float" else text


def _int(text: str, path: Path) -> int:
    try:
        return int(text[:20])
    except ValueError as error:
        raise MapError(f"{path}: '{text[:40]}' is no whole number; save it again") from error


def _float(text: str, path: Path) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise MapError(f"{path}: '{text[:40]}' is no number; save it again") from error


log = logging.getLogger(__name__)

# A tile's number carries its mirroring and rotation in the four highest bits.
_TILE_NUMBER_MASK = 0x0FFFFFFF
_MAX_TILES = 1 << 24
_OTHER_SHAPES = ("ellipse", "capsule", "polygon", "polyline", "text", "gid")


@dataclass(frozen=True, slots=True)
class TiledObject:
    """A rectangle or point drawn on an object layer, in pixels from the map's corner.
    ``is_rectangle`` is False for other shapes and turned ones."""

    id: int
    name: str
    kind: str
    x: float
    y: float
    width: float
    height: float
    is_rectangle: bool
    properties: dict[str, Json]


@dataclass(frozen=True, slots=True)
class TiledMap:
    """A Tiled map: its size in tiles, a tile's width and height in pixels, its tile layers as
    (name, tile numbers row by row), the boxes of all object layers, and what the tilesets say
    of their tiles. ``tileset_ranges`` are the first and the last tile number of every tileset."""

    width: int
    height: int
    tile_width: int
    tile_height: int
    layers: tuple[tuple[str, tuple[int, ...]], ...]
    objects: tuple[TiledObject, ...]
    properties: dict[str, Json]
    tiles: dict[int, dict[str, Json]]
    tileset_ranges: tuple[tuple[int, int], ...]

    def layer(self, name: str) -> tuple[int, ...] | None:
        """The tile numbers of the layer of that name (outer spaces aside), or None."""
        return next((data for found, data in self.layers if found.strip() == name), None)


def read_tiled(path: Path | str) -> TiledMap:
    """Read an orthogonal, finite map in TiledMap's JSON format.

    Offsets of layers and their groups count; classes take the defaults of the project.
    Raises MapError naming the file and the remedy.
    """
    source = Path(path)
    raw = read_json(source)
    _check_shape(source, raw)
    width, height = integer_field(raw, "width", source), integer_field(raw, "height", source)
    tile, tile_height = (
        integer_field(raw, "tilewidth", source),
        integer_field(raw, "tileheight", source),
    )
    if min(width, height, tile, tile_height) < 1 or width * height > _MAX_TILES:
        raise MapError(
            f"{source}: the map is {width} x {height} tiles of {tile} x {tile_height} pixels; it "
            f"needs at least one, and at most {_MAX_TILES}"
        )
    classes = project_classes(source)
    template = cache(read_template)  # many objects are made from one
    size = (width, height, tile, tile_height)
    layers: list[tuple[str, tuple[int, ...]]] = []
    boxes: list[TiledObject] = []
    for layer, across, down in _flatten_layers(source, list_field(raw, "layers", source), 0.0, 0.0):
        if layer.get("type") == "tilelayer":
            found = _apply_offset(
                source, layer, _tile_numbers(source, layer, width, height), across, down, size
            )
            layers.append((str(layer.get("name", "")), found))
        else:
            boxes += [
                _read_object(source, with_template(drawn, source, template), across, down, classes)
                for drawn in list_field(layer, "objects", source)
            ]
    sets = [read_tileset(one, source, classes) for one in list_field(raw, "tilesets", source)]
    firsts = sorted(one.first for one in sets)
    ends = dict(zip(firsts, [first - 1 for first in firsts[1:]] + [_TILE_NUMBER_MASK]))
    return TiledMap(
        width,
        height,
        tile,
        tile_height,
        tuple(layers),
        tuple(boxes),
        properties_of(raw, str(raw.get("class") or ""), classes, source),
        {one.first + place: said for one in sets for place, said in one.tiles.items()},
        tuple(
            sorted(
                (one.first, ends[one.first] if one.count is None else one.first + one.count - 1)
                for one in sets
            )
        ),
    )


def _check_shape(source: Path, raw: dict[str, Json]) -> None:
    orientation = require_field(raw, "orientation", source)
    infinite = bool(raw.get("infinite"))
    if orientation != "orthogonal" or infinite:
        raise MapError(
            f"{source}: the map is {'infinite' if infinite else orientation}; set it to "
            "orthogonal and not infinite in Tiled (Map > Map Properties)"
        )


def _flatten_layers(
    source: Path, layers: list[dict[str, Json]], across: float, down: float
) -> Iterator[tuple[dict[str, Json], float, float]]:
    """The tile and object layers in order, out of their groups, each with its whole offset in
    pixels."""
    for layer in layers:
        kind = layer.get("type")
        x = across + number_field(layer, "offsetx", source)
        y = down + number_field(layer, "offsety", source)
        if kind == "imagelayer":
            continue
        name = layer.get("name", "")
        if any(number_field(layer, f"parallax{axis}", source, 1.0) != 1 for axis in "xy"):
            raise MapError(
                f"{source}: layer '{name}' moves with the view (parallax), so that nothing on it "
                "has a place; set its parallax factor to 1 in Tiled"
            )
        if kind == "group":
            yield from _flatten_layers(source, list_field(layer, "layers", source), x, y)
        elif kind in ("tilelayer", "objectgroup"):
            yield layer, x, y
        else:
            raise MapError(f"{source}: layer '{name}' is of an unknown type {kind!r}; remove it")


def _tile_numbers(source: Path, layer: dict[str, Json], width: int, height: int) -> list[int]:
    """A layer's tile numbers, without the marks for mirrored and turned tiles."""
    name = layer.get("name", "")
    if layer.get("data") is None:
        raise MapError(
            f"{source}: layer '{name}' has no tiles of its own (chunks are of infinite maps); "
            "make the map not infinite in Tiled (Map > Map Properties)"
        )
    data = layer["data"]
    if isinstance(data, str):
        data = _decode_tiles(source, layer, data, width * height)
    shape = (layer.get("width", width), layer.get("height", height))
    if not isinstance(data, list) or len(data) != width * height or shape != (width, height):
        cells = len(data) if isinstance(data, list) else 0
        raise MapError(
            f"{source}: layer '{name}' has {cells} tiles where the map of "
            f"{width} x {height} has {width * height}; resize the map in Tiled and save it again"
        )
    if any(type(gid) is not int or not 0 <= gid < 1 << 32 for gid in data):
        raise MapError(f"{source}: layer '{name}' holds something else than tile numbers")
    return [gid & _TILE_NUMBER_MASK for gid in data]


def _decode_tiles(source: Path, layer: dict[str, Json], data: str, count: int) -> list[int]:
    """Tile numbers out of base64, four bytes each."""
    name, how = layer.get("name", ""), layer.get("compression") or ""
    if how not in ("", "zlib", "gzip"):
        raise MapError(
            f"{source}: layer '{name}' is compressed with {how}, which is not read here; choose "
            "zlib, gzip or CSV in Tiled (Map > Map Properties > Tile Layer Format)"
        )
    try:
        body = base64.b64decode(data)
        if how:
            # One byte more than fits, so that what is too long is seen and not unpacked.
            body = zlib.decompressobj(wbits=47).decompress(body, count * 4 + 1)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise MapError(
            f"{source}: layer '{name}' cannot be unpacked ({error}); save it again in Tiled"
        ) from error
    return [int.from_bytes(body[i : i + 4], "little") for i in range(0, len(body), 4)]


def _apply_offset(
    source: Path,
    layer: dict[str, Json],
    numbers: list[int],
    across: float,
    down: float,
    size: tuple[int, int, int, int],
) -> tuple[int, ...]:
    """A layer's tile numbers at the places where its offset in pixels draws them."""
    width, height, tile, tile_height = size
    columns, lines = across / tile, down / tile_height
    name = layer.get("name", "")
    if not columns.is_integer() or not lines.is_integer():
        raise MapError(
            f"{source}: layer '{name}' is offset by {across:g}, {down:g} pixels, which is no whole "
            f"number of tiles of {tile} x {tile_height}; set its offset to such, or to 0"
        )
    if not columns and not lines:
        return tuple(numbers)
    made, lost = [0] * len(numbers), 0
    for i, gid in enumerate(numbers):
        x, y = i % width + int(columns), i // width + int(lines)
        if 0 <= x < width and 0 <= y < height:
            made[y * width + x] = gid
        else:
            lost += bool(gid)
    if lost:
        log.warning(
            "%s: layer '%s': its offset puts %d tiles outside of the map; they are left out",
            source,
            name,
            lost,
        )
    return tuple(made)


def _read_object(
    source: Path, drawn: dict[str, Json], across: float, down: float, classes: TiledClasses
) -> TiledObject:
    kind = class_of(drawn)
    x, y, width, height, rotation = (
        number_field(drawn, field, source) for field in ("x", "y", "width", "height", "rotation")
    )
    return TiledObject(
        integer_field(drawn, "id", source),
        str(drawn.get("name") or "").strip(),
        kind,
        x + across,
        y + down,
        width,
        height,
        not rotation % 360 and not any(drawn.get(shape) for shape in _OTHER_SHAPES),
        properties_of(drawn, kind, classes, source),
    )
