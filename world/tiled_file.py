"""Tiled's JSON maps as plain records, with our errors. Images are not needed."""

from __future__ import annotations

import base64
import binascii
import logging
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..core import Json, MapError
from .tiled_parts import (
    TiledClasses,
    class_of,
    integer_field,
    list_field,
    number_field,
    project_classes,
    properties_of,
    read_json,
    read_template,
    read_tileset,
    require_field,
    with_template,
)

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
