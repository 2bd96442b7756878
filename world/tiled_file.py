"""Tiled JSON files through pytiled-parser, as plain records and with our errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import Json, MapError

# A tile's number carries its mirroring and rotation in the four highest bits.
_TILE = 0x0FFFFFFF


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle or point drawn on an object layer, in pixels."""

    id: int
    name: str
    kind: str
    x: float
    y: float
    width: float
    height: float
    plain: bool
    properties: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Tiled:
    """A Tiled map: its size in tiles, its tile layers as (name, tile numbers row by row),
    the boxes of all object layers, and what the tilesets say of their tiles. ``ranges`` are
    the first and the last tile number of every tileset."""

    width: int
    height: int
    tile: int
    layers: tuple[tuple[str, tuple[int, ...]], ...]
    boxes: tuple[Box, ...]
    properties: dict[str, Json]
    tiles: dict[int, dict[str, Json]]
    ranges: tuple[tuple[int, int], ...]

    def layer(self, name: str) -> tuple[int, ...] | None:
        """The tile numbers of the layer of that name (outer spaces aside), or None."""
        return next((data for found, data in self.layers if found.strip() == name), None)


def read_tiled(path: Path | str) -> Tiled:
    """Read an orthogonal, finite map in Tiled's JSON format. Images are not needed.

    Raises MapError naming the file and the remedy.
    """
    source = Path(path)
    raw = _parsed(source)
    if str(raw.orientation) != "orthogonal" or raw.infinite:
        raise MapError(
            f"{source}: the map is {'infinite' if raw.infinite else raw.orientation}; set it to "
            "orthogonal and not infinite in Tiled (Map > Map Properties)"
        )
    width, height = int(raw.map_size.width), int(raw.map_size.height)
    if width < 1 or height < 1 or raw.tile_size.width < 1:
        raise MapError(f"{source}: the map is {width} x {height} tiles large; draw some")
    layers: list[tuple[str, tuple[int, ...]]] = []
    boxes: list[Box] = []
    for layer in _flat(raw.layers):
        if getattr(layer, "data", None) is not None:
            layers.append((str(layer.name), _rows(source, layer, width, height)))
        for drawn in getattr(layer, "tiled_objects", None) or ():
            boxes.append(_box(source, drawn))
    return Tiled(
        width,
        height,
        int(raw.tile_size.width),
        tuple(layers),
        tuple(boxes),
        dict(raw.properties or {}),
        {
            first + number: _said(tile)
            for first, tileset in raw.tilesets.items()
            for number, tile in (tileset.tiles or {}).items()
        },
        tuple(sorted((first, first + t.tile_count - 1) for first, t in raw.tilesets.items())),
    )


def _parsed(source: Path) -> Any:
    from pytiled_parser import UnknownFormat, parse_map

    try:
        text = source.read_text(encoding="utf-8").lstrip()
        if text.startswith("<"):
            raise MapError(f"{source}: is Tiled's XML format; save it as JSON in Tiled (Save As)")
        if not isinstance(json.loads(text), dict):
            raise MapError(f"{source}: holds no map; save it as JSON in Tiled (Save As)")
        return parse_map(source)
    except OSError as error:
        missing = error.filename or source
        raise MapError(f"{source}: cannot read {missing} ({error.strerror}); check the path") from (
            error
        )
    except UnicodeDecodeError as error:
        raise MapError(f"{source}: is not UTF-8 text; save it again in Tiled") from error
    except json.JSONDecodeError as error:
        raise MapError(f"{source}: is not well-formed JSON: {error}; save it again") from error
    except KeyError as error:
        raise MapError(
            f"{source}: lacks the field {error}; save it again in Tiled (1.8 or later)"
        ) from error
    except (
        UnknownFormat,
        ValueError,
        TypeError,
        AttributeError,
        IndexError,
        AssertionError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise MapError(
            f"{source}: is no Tiled map ({error or type(error).__name__}); save it again in Tiled"
        ) from error


def _flat(layers: Any) -> Iterator[Any]:
    for layer in layers or ():
        if hasattr(layer, "layers"):
            yield from _flat(layer.layers)
        else:
            yield layer


def _rows(source: Path, layer: Any, width: int, height: int) -> tuple[int, ...]:
    rows = [list(row) for row in layer.data]
    if len(rows) != height or any(len(row) != width for row in rows):
        cells = sum(len(row) for row in rows)
        raise MapError(
            f"{source}: layer '{layer.name}' has {cells} tiles where the map of "
            f"{width} x {height} has {width * height}; resize the map in Tiled and save it again"
        )
    if any(not isinstance(gid, int) for row in rows for gid in row):
        raise MapError(f"{source}: layer '{layer.name}' holds something else than tile numbers")
    return tuple(gid & _TILE for row in rows for gid in row)


def _said(tile: Any) -> dict[str, Json]:
    """What a tileset says of a tile: its properties, ``kind`` from its class if not given."""
    properties = dict(tile.properties or {})
    if tile.class_ and "kind" not in properties:
        properties["kind"] = tile.class_
    return properties


def _box(source: Path, drawn: Any) -> Box:
    from pytiled_parser.tiled_object import Point, Rectangle

    plain = isinstance(drawn, (Rectangle, Point)) and not drawn.rotation
    numbers = (*drawn.coordinates, *drawn.size)
    if any(not isinstance(n, (int, float)) or n != n or abs(n) > 1e9 for n in numbers):
        raise MapError(f"{source}: object {drawn.id} has no usable position; draw it again")
    x, y, width, height = (float(n) for n in numbers)
    return Box(
        int(drawn.id),
        str(drawn.name).strip(),
        str(drawn.class_).strip(),
        x,
        y,
        width,
        height,
        plain,
        dict(drawn.properties or {}),
    )
