"""Tiled's JSON maps as plain records: layers, objects, tilesets, templates, classes of a project.

Everything wrong with a file raises MapError naming the file and the remedy. Images are not read.
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
from typing import TypeVar

from ..core import Json, MapError, SettingError, parse_settings, read_text_file

T = TypeVar("T", int, float)

log = logging.getLogger(__name__)

# The four highest bits of a tile number encode mirroring and rotation.
_TILE_NUMBER_MASK = 0x0FFFFFFF
_MAX_TILES = 1 << 24
_OTHER_SHAPES = ("ellipse", "capsule", "polygon", "polyline", "text", "gid")
_PROJECT_SEARCH_DEPTH = 4
"""In how many folders, from the map's own upwards, the project file is searched."""

TiledClasses = Mapping[str, Mapping[str, Json]]
"""The default values of the members of each class, by the name of the class."""


@dataclass(frozen=True, slots=True)
class TiledObject:
    """An object of an object layer, in pixels from the map's top left corner. ``kind`` is its
    class. ``is_rectangle`` holds for upright rectangles and points, not for other shapes."""

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
    """A Tiled map. ``width`` and ``height`` are in tiles, ``tile_width`` and ``tile_height`` in
    pixels. ``layers`` are the tile layers as (name, tile numbers row by row), ``objects`` those
    of all object layers, ``tiles`` the properties of tiles by number, ``tileset_ranges`` the
    first and the last tile number of each tileset."""

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
        """The tile numbers of the layer called ``name``; None when there is none."""
        return next((numbers for label, numbers in self.layers if label.strip() == name), None)


@dataclass(frozen=True, slots=True)
class Tileset:
    """A tileset of a map: the number of its first tile, how many it has (None: unknown), and the
    properties of its tiles by their number in the set."""

    first: int
    count: int | None
    tiles: Mapping[int, dict[str, Json]]


def read_tiled(path: Path | str) -> TiledMap:
    """Read an orthogonal, finite map in Tiled's JSON format.

    Offsets of layers and their groups are applied; properties get the defaults that the
    project's classes give. Raises MapError naming the file and the remedy.
    """
    source = Path(path)
    raw = read_json(source)
    _check_shape(source, raw)
    width, height, tile_width, tile_height = size = tuple(
        integer_field(raw, name, source) for name in ("width", "height", "tilewidth", "tileheight")
    )
    if min(size) < 1 or width * height > _MAX_TILES:
        raise MapError(
            f"{source}: the map is {width} x {height} tiles of {tile_width} x {tile_height} "
            f"pixels; it needs at least one, and at most {_MAX_TILES}"
        )
    classes = project_classes(source)
    cached_template = cache(read_template)  # many objects have the same template
    layers: list[tuple[str, tuple[int, ...]]] = []
    objects: list[TiledObject] = []
    for layer, x, y in _flatten_layers(source, list_field(raw, "layers", source), 0.0, 0.0):
        if layer.get("type") == "tilelayer":
            numbers = _tile_numbers(source, layer, width, height)
            offset_numbers = _apply_offset(source, layer, numbers, (x, y), size)
            layers.append((str(layer.get("name", "")), offset_numbers))
        else:
            objects += [
                _read_object(source, with_template(data, source, cached_template), x, y, classes)
                for data in list_field(layer, "objects", source)
            ]
    tilesets = [read_tileset(data, source, classes) for data in list_field(raw, "tilesets", source)]
    return TiledMap(
        width,
        height,
        tile_width,
        tile_height,
        tuple(layers),
        tuple(objects),
        properties_of(raw, str(raw.get("class") or ""), classes, source),
        {t.first + index: properties for t in tilesets for index, properties in t.tiles.items()},
        _tileset_ranges(tilesets),
    )


def _tileset_ranges(tilesets: list[Tileset]) -> tuple[tuple[int, int], ...]:
    """The first and last tile number of each tileset; one of unknown size ends before the next."""
    firsts = sorted(tileset.first for tileset in tilesets)
    limits = dict(zip(firsts, [first - 1 for first in firsts[1:]] + [_TILE_NUMBER_MASK]))
    ends = [limits[t.first] if t.count is None else t.first + t.count - 1 for t in tilesets]
    return tuple(sorted((t.first, end) for t, end in zip(tilesets, ends)))


def _check_shape(source: Path, raw: dict[str, Json]) -> None:
    orientation = require_field(raw, "orientation", source)
    is_infinite = bool(raw.get("infinite"))
    if orientation != "orthogonal" or is_infinite:
        raise MapError(
            f"{source}: the map is {'infinite' if is_infinite else orientation}; set it to "
            "orthogonal and not infinite in Tiled (Map > Map Properties)"
        )


def _flatten_layers(
    source: Path, layers: list[dict[str, Json]], x_offset: float, y_offset: float
) -> Iterator[tuple[dict[str, Json], float, float]]:
    """The tile and object layers in order, with their total offsets in pixels."""
    for layer in layers:
        kind = layer.get("type")
        x = x_offset + number_field(layer, "offsetx", source)
        y = y_offset + number_field(layer, "offsety", source)
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
    """The tile numbers of a layer, without mirroring and rotation."""
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
    """The numbers in base64 text, four bytes each."""
    name, compression = layer.get("name", ""), layer.get("compression") or ""
    if compression not in ("", "zlib", "gzip"):
        raise MapError(
            f"{source}: layer '{name}' is compressed with {compression}, which cannot be read; "
            "choose zlib, gzip or CSV in Tiled (Map > Map Properties > Tile Layer Format)"
        )
    try:
        body = base64.b64decode(data)
        if compression:
            # At most one byte more than expected, so that too much data is noticed, not unpacked.
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
    offset: tuple[float, float],
    size: tuple[int, ...],
) -> tuple[int, ...]:
    """The tile numbers of a layer moved by its offset in pixels. ``size``: width and height of the
    map, then of a tile."""
    width, height, tile_width, tile_height = size
    columns, rows = offset[0] / tile_width, offset[1] / tile_height
    name = layer.get("name", "")
    if not columns.is_integer() or not rows.is_integer():
        raise MapError(
            f"{source}: layer '{name}' is offset by {offset[0]:g}, {offset[1]:g} pixels, which is "
            f"no whole number of tiles of {tile_width} x {tile_height}; use whole tiles"
        )
    if not columns and not rows:
        return tuple(numbers)
    moved, lost = [0] * len(numbers), 0
    for i, number in enumerate(numbers):
        x, y = i % width + int(columns), i // width + int(rows)
        if 0 <= x < width and 0 <= y < height:
            moved[y * width + x] = number
        else:
            lost += bool(number)
    if lost:
        log.warning(
            "%s: layer '%s': its offset puts %d tiles outside of the map; they are left out",
            source,
            name,
            lost,
        )
    return tuple(moved)


def _read_object(
    source: Path, data: dict[str, Json], x_offset: float, y_offset: float, classes: TiledClasses
) -> TiledObject:
    kind = class_of(data)
    x, y, width, height, rotation = (
        number_field(data, field, source) for field in ("x", "y", "width", "height", "rotation")
    )
    return TiledObject(
        integer_field(data, "id", source),
        str(data.get("name") or "").strip(),
        kind,
        x + x_offset,
        y + y_offset,
        width,
        height,
        not rotation % 360 and not any(data.get(shape) for shape in _OTHER_SHAPES),
        properties_of(data, kind, classes, source),
    )


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
    """The value of a required field. Raises MapError."""
    if not isinstance(data, dict) or data.get(field) is None:
        raise MapError(f"{file}: lacks the field '{field}'; save it again in Tiled (1.8 or later)")
    return data[field]


def integer_field(data: Json, field: str, file: Path, least: int = 0) -> int:
    """The value of a required field that holds an integer. Raises MapError."""
    value = require_field(data, field, file)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise MapError(f"{file}: '{field}' is {value!r}; it must be an integer of {least} or more")
    return value


def number_field(data: Json, field: str, file: Path, default: float = 0.0) -> float:
    """The value of a field that holds a number, or ``default``. Raises MapError."""
    value = data.get(field)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e9:
        raise MapError(f"{file}: '{field}' is {value!r}, no usable position; draw it again")
    return float(value)


def list_field(data: Json, field: str, file: Path) -> list[dict[str, Json]]:
    """The value of a field that holds a list of objects, or an empty list. Raises MapError."""
    value = data.get(field)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise MapError(f"{file}: '{field}' is no list of objects; save it again in Tiled (1.8+)")
    return value


def class_of(data: Mapping[str, Json]) -> str:
    """The class of an object or tile: its field ``type``, in Tiled 1.9 ``class``."""
    return str(data.get("type") or data.get("class") or "").strip()


def properties_of(data: Json, kind: str, classes: TiledClasses, file: Path) -> dict[str, Json]:
    """The properties of an object or tile, with the defaults of its class."""
    properties = dict(classes.get(kind, {}))
    own = data.get("properties")
    if isinstance(own, dict):  # the format before Tiled 1.2
        return properties | own
    for entry in list_field(data, "properties", file):
        properties[str(require_field(entry, "name", file))] = entry.get("value")
    return properties


def find_property(properties: Mapping[str, Json], name: str) -> Json:
    """A property by its name, ignoring case and surrounding blanks; None when it is absent."""
    if name in properties:
        return properties[name]
    matches = (value for key, value in properties.items() if key.strip().casefold() == name)
    return next(matches, None)


def bool_property(properties: Mapping[str, Json], name: str, where: str) -> bool:
    """A boolean property, False when absent; the texts and numbers that stand for a boolean are
    accepted. Raises MapError for other values."""
    value = find_property(properties, name)
    if value is None or isinstance(value, bool):
        return bool(value)
    spellings = {"true": True, "1": True, "false": False, "0": False, "": False}
    flag = spellings.get(str(value).strip().casefold())
    if flag is None:
        raise MapError(
            f"{where}: property '{name}' is {value!r}; make it a bool in Tiled (remove it and add "
            "it with the type bool)"
        )
    return flag


def text_property(properties: Mapping[str, Json], name: str, where: str) -> str:
    """A property that is text, empty when absent. Raises MapError for other values."""
    value = find_property(properties, name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MapError(f"{where}: property '{name}' is {value!r}; make it a string in Tiled")
    return value


def project_classes(file: Path) -> dict[str, dict[str, Json]]:
    """The classes of a map's project: those of the ``.tiled-project`` files in the nearest folder,
    from the map's own upwards, that contains any. Raises MapError."""
    folder = file.resolve().parent
    for place in (folder, *folder.parents)[:_PROJECT_SEARCH_DEPTH]:
        projects = sorted(place.glob("*.tiled-project"))
        if projects:
            break
    else:
        return {}
    classes: dict[str, dict[str, Json]] = {}
    for project in projects:
        for entry in list_field(read_json(project), "propertyTypes", project):
            if entry.get("type") != "class":
                continue
            name = str(require_field(entry, "name", project))
            members = list_field(entry, "members", project)
            defaults = {str(require_field(m, "name", project)): m.get("value") for m in members}
            if classes.setdefault(name, defaults) != defaults:
                raise MapError(
                    f"{project}: class '{name}' differs from another project's; "
                    "keep one of the .tiled-project files"
                )
    return classes


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
        properties = properties_of(tile, kind, classes, file)
        if kind and "kind" not in properties:
            properties["kind"] = kind
        tiles[integer_field(tile, "id", file)] = properties
    count = None if data.get("tilecount") is None else integer_field(data, "tilecount", file)
    return Tileset(first, count, tiles)


def with_template(
    data: dict[str, Json], file: Path, read: Callable[[Path], dict[str, Json]]
) -> dict[str, Json]:
    """An object with the fields and properties that it inherits from its template; ``read`` is
    ``read_template`` or a cached form of it. Raises MapError."""
    if data.get("template") is None:
        return data
    path = file.parent / str(data["template"]).replace("\\", "/")
    try:
        template = read(path)
    except MapError as error:
        raise MapError(
            f"{file}: object {data.get('id')}: template {error}; put it there, or detach the "
            "object from it in Tiled"
        ) from error
    base = require_field(template, "object", path)
    if not isinstance(base, dict):
        raise MapError(f"{path}: 'object' is no object; save the template again in Tiled")
    own = {entry.get("name"): entry for entry in list_field(data, "properties", file)}
    inherited = {entry.get("name"): entry for entry in list_field(base, "properties", path)}
    return {**base, **data, "properties": list({**inherited, **own}.values())}


def read_template(path: Path) -> dict[str, Json]:
    """The content of a template file (JSON or .tx). Raises MapError."""
    return _read_tx(path) if path.suffix.lower() == ".tx" else read_json(path)


def _read_xml(path: Path) -> ElementTree.Element:
    text = read_text_file(path, error=MapError)
    if "<!DOCTYPE" in text.upper():
        raise MapError(f"{path}: has a DOCTYPE, which no file of Tiled has; save it again")
    try:
        # The text is decoded already, and for a str the parser ignores the declared encoding.
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise MapError(f"{path}: is not well-formed XML ({error}); save it again") from error


def _read_tsx(path: Path) -> dict[str, Json]:
    root = _read_xml(path)
    tileset: dict[str, Json] = {"tiles": [_element(tile, path) for tile in root.findall("tile")]}
    count = root.get("tilecount")
    return tileset | ({} if count is None else {"tilecount": _number(count, int, path)})


def _read_tx(path: Path) -> dict[str, Json]:
    element = _read_xml(path).find("object")
    return {} if element is None else {"object": _element(element, path)}


def _element(element: ElementTree.Element, path: Path) -> dict[str, Json]:
    """An XML element in the form that the JSON format has, with its properties."""
    data: dict[str, Json] = {}
    for key, value in element.attrib.items():
        if key in ("id", "gid"):
            data[key] = _number(value, int, path)
        elif key in ("x", "y", "width", "height", "rotation"):
            data[key] = _number(value, float, path)
        else:
            data[key] = value
    for shape in ("ellipse", "point", "polygon", "polyline", "text", "capsule"):
        if element.find(shape) is not None:
            data[shape] = True
    data["properties"] = [
        {"name": entry.get("name", ""), "value": _value(entry, path)}
        for entry in element.findall("properties/property")
    ]
    return data


def _value(element: ElementTree.Element, path: Path) -> Json:
    text = element.get("value", element.text or "")
    kind = element.get("type", "string")
    if kind == "bool":
        return text.strip() == "true"
    if kind in ("int", "object"):
        return _number(text, int, path)
    return _number(text, float, path) if kind == "float" else text


def _number(text: str, kind: type[T], path: Path) -> T:
    try:
        return kind(text[:40])
    except ValueError as error:
        noun = "whole number" if kind is int else "number"
        raise MapError(f"{path}: '{text[:40]}' is no {noun}; save it again") from error
