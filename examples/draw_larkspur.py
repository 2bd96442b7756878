"""Draws the built-in town Larkspur and writes it as a Tiled JSON map.

    python examples/draw_larkspur.py [FILE]

The houses are floor plans in letters in ``larkspur.plan.toml``, so one can be moved or
furnished in a text editor. In a plan ``#`` is a wall, ``+`` a door, ``,`` a rug, ``^`` a tree,
``%`` a hedge, ``*`` flowers, ``_`` planks, ``~`` sand, ``.`` the plan's own ground and ``-``
whatever was there before. A letter is a thing, written "name|emoji" or "name|emoji|kind of
tile": capitals stand in the way, small letters can be walked on. Same plans, same map:
only trees and wild flowers are strewn, by a seeded generator.
"""

from __future__ import annotations

import json
import sys
import tomllib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

WIDTH, HEIGHT, TILE = 64, 46, 32
PLANS = Path(__file__).with_name("larkspur.plan.toml")
TARGET = Path(__file__).parents[1] / "simulation" / "scenarios" / "larkspur.map.json"

OPEN = ("grass", "path", "sand", "bridge", "dock", "stone", "field", "floor", "rug", "door")
SOLID = ("water", "wall", "tree", "hedge", "floor", "rug", "stone", "grass", "field")
TILES = [(kind, False) for kind in (*OPEN, "flowers")] + [(kind, True) for kind in SOLID]
GROUND = ("grass", "path", "water", "sand", "bridge", "dock", "stone", "field")
PLANTS = ("tree", "hedge", "flowers")
GLYPHS = {"#": "wall", "+": "door", ",": "rug", "_": "dock", "~": "sand"}
GLYPHS |= {"^": "tree", "%": "hedge", "*": "flowers"}

Box = tuple[int, int, int, int]
"""x, y, width and height in tiles."""

STREETS: tuple[Box, ...] = (
    (0, 10, 64, 2),  # High Street
    (1, 21, 62, 2),  # Water Lane
    (31, 12, 2, 21),  # from the post office over the square and the bridge
    (18, 33, 28, 2),  # South Lane
    (11, 12, 1, 9),
    (55, 12, 2, 9),
    (18, 35, 1, 6),
    (45, 35, 1, 1),
)
FIELDS: tuple[Box, ...] = ((1, 31, 6, 4), (59, 34, 4, 8))
BANK = ((0, 23), (9, 24), (14, 24), (24, 26), (36, 26), (43, 28), (55, 28), (63, 26))
"""Where the river's northern bank lies: (column, row), straight in between."""
BREADTH = 5


@dataclass(frozen=True)
class Mark:
    """A named rectangle of an object layer."""

    role: str
    name: str
    box: Box
    emoji: str = ""


class Canvas:
    """Tile layers under construction: (kind, blocked) by layer and tile, and the marks."""

    def __init__(self) -> None:
        self.layers: dict[str, dict[tuple[int, int], tuple[str, bool]]] = {
            "ground": {},
            "buildings": {},
            "plants": {},
        }
        self.marks: list[Mark] = []

    def put(self, x: int, y: int, kind: str, blocked: bool | None = None) -> None:
        """Lay a tile on the layer where its kind belongs; furniture keeps its floor's kind."""
        stop = kind in ("water", "wall", "tree", "hedge") if blocked is None else blocked
        layer = "ground" if kind in GROUND else "plants" if kind in PLANTS else "buildings"
        if stop and kind in GROUND and kind != "water":
            layer = "buildings"
        self.layers[layer][x, y] = (kind, stop)

    def fill(self, box: Box, kind: str) -> None:
        """Lay a rectangle of one kind."""
        for x, y in tiles(box):
            self.put(x, y, kind)

    def kind(self, x: int, y: int) -> str:
        """The topmost kind at a tile; the empty string outside the map."""
        for layer in reversed(self.layers.values()):
            if (x, y) in layer:
                return layer[x, y][0]
        return ""

    def around(self, x: int, y: int, reach: int = 1) -> set[str]:
        """The kinds in the square around a tile."""
        span = range(-reach, reach + 1)
        return {self.kind(x + dx, y + dy) for dx in span for dy in span}


def tiles(box: Box) -> list[tuple[int, int]]:
    """The tiles of a rectangle, row by row."""
    left, top, width, height = box
    return [(x, y) for y in range(top, top + height) for x in range(left, left + width)]


def river_top(x: int) -> int:
    """The first row of water in a column."""
    for (x0, y0), (x1, y1) in pairwise(BANK):
        if x <= x1:
            return y0 + ((y1 - y0) * (x - x0) * 2 + (x1 - x0)) // (2 * (x1 - x0))
    return BANK[-1][1]


def land(canvas: Canvas) -> None:
    """Grass, the river and its banks, the fields and the streets."""
    canvas.fill((0, 0, WIDTH, HEIGHT), "grass")
    for x in range(WIDTH):
        canvas.fill((x, river_top(x), 1, BREADTH), "water")
    for x, y in tiles((0, 0, WIDTH, HEIGHT)):
        if canvas.kind(x, y) == "grass" and "water" in canvas.around(x, y):
            canvas.put(x, y, "sand")
    for box in FIELDS:
        canvas.fill(box, "field")
    for box in STREETS:
        for x, y in tiles(box):
            canvas.put(x, y, "bridge" if canvas.kind(x, y) == "water" else "path")


def build(canvas: Canvas, place: dict[str, Any]) -> None:
    """One sector with its rooms and things."""
    left, top = place["at"]
    rows = place["plan"].splitlines()
    if len({len(row) for row in rows}) != 1:
        raise ValueError(f"{place['name']}: the lines of its plan are not equally long")
    canvas.marks.append(Mark("sector", place["name"], (left, top, len(rows[0]), len(rows))))
    for name, (x, y, width, height) in place["rooms"].items():
        canvas.marks.append(Mark("arena", name, (left + x, top + y, width, height)))
    spots: dict[str, list[tuple[int, int]]] = {}
    for y, row in enumerate(rows, start=top):
        for x, glyph in enumerate(row, start=left):
            if glyph == "-":
                continue
            if glyph.isalpha():
                spots.setdefault(glyph, []).append((x, y))
            _lay(canvas, x, y, glyph, place)
    for glyph, cells in spots.items():
        _furnish(canvas, place, glyph, cells)


def _lay(canvas: Canvas, x: int, y: int, glyph: str, place: dict[str, Any]) -> None:
    thing = place["things"].get(glyph, "").split("|")
    kind = thing[2] if len(thing) > 2 else GLYPHS.get(glyph, place["base"])
    if kind in PLANTS:
        canvas.put(x, y, place["base"])
    canvas.put(x, y, kind, True if glyph.isupper() else None)


def _furnish(
    canvas: Canvas, place: dict[str, Any], glyph: str, cells: list[tuple[int, int]]
) -> None:
    name, emoji, *_ = place["things"][glyph].split("|")
    columns, lines = [x for x, _ in cells], [y for _, y in cells]
    box = (min(columns), min(lines), max(columns) - min(columns) + 1, max(lines) - min(lines) + 1)
    if len(cells) != box[2] * box[3]:
        raise ValueError(f"{place['name']}: '{glyph}' ({name}) is not one rectangle")
    canvas.marks.append(Mark("object", name, box, emoji))
    if name in ("bed", "guest bed"):
        canvas.marks.append(Mark("spawn", place["name"], (*cells[0], 1, 1)))


def pave(canvas: Canvas) -> None:
    """A path from every outer door or gate down or up to the nearest street."""
    for x, y in tiles((0, 0, WIDTH, HEIGHT)):
        if canvas.kind(x, y) == "door":
            for nx, ny in ((x, y + 1), (x, y - 1)):
                if canvas.kind(nx, ny) == "grass" and "path" in canvas.around(nx, ny):
                    canvas.put(nx, ny, "path")


def plant(canvas: Canvas, rng: Random) -> None:
    """Trees on open grass, denser at the map's edge, and wild flowers along the walls."""
    taken = {tile for mark in canvas.marks if mark.role == "sector" for tile in tiles(mark.box)}
    for x, y in tiles((0, 0, WIDTH, HEIGHT)):
        chance = rng.random()
        if (x, y) in taken or canvas.kind(x, y) != "grass":
            continue
        around = canvas.around(x, y)
        edge = x in (0, WIDTH - 1) or y in (0, HEIGHT - 1)
        if around <= {"", "grass", "sand", "tree", "flowers", "field", "hedge"}:
            if chance < (0.6 if edge else 0.26):
                canvas.put(x, y, "tree")
            elif chance > 0.93:
                canvas.put(x, y, "flowers")
        elif "wall" in around and "door" not in around and chance < 0.3:
            canvas.put(x, y, "flowers")


def tileset() -> dict[str, Any]:
    """One tile a (kind, blocked), without pictures: the page draws kinds itself."""
    told = [
        {
            "id": number,
            "type": kind,
            "properties": [
                {"name": "blocked", "type": "bool", "value": blocked},
                {"name": "kind", "type": "string", "value": kind},
            ],
        }
        for number, (kind, blocked) in enumerate(TILES)
    ]
    shape = {"tilewidth": TILE, "tileheight": TILE, "tilecount": len(TILES), "columns": 0}
    return {"firstgid": 1, "name": "kinds", "margin": 0, "spacing": 0, **shape, "tiles": told}


def _tile_layer(number: int, name: str, canvas: Canvas) -> dict[str, Any]:
    laid = canvas.layers[name]
    data = [
        TILES.index(laid[tile]) + 1 if tile in laid else 0 for tile in tiles((0, 0, WIDTH, HEIGHT))
    ]
    size = {"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT}
    shown = {"opacity": 1, "visible": True}
    return {"id": number, "name": name, "type": "tilelayer", **size, **shown, "data": data}


def _object_layer(number: int, role: str, canvas: Canvas) -> dict[str, Any]:
    objects = []
    for place, mark in enumerate(canvas.marks, start=1):
        if mark.role != role:
            continue
        x, y, width, height = (TILE * size for size in mark.box)
        entry: dict[str, Any] = {"id": place, "name": mark.name, "type": role}
        entry |= {"x": x, "y": y, "width": width, "height": height}
        entry |= {"rotation": 0, "visible": True}
        if mark.emoji:
            entry["properties"] = [{"name": "emoji", "type": "string", "value": mark.emoji}]
        objects.append(entry)
    head: dict[str, Any] = {"id": number, "name": f"{role}s", "type": "objectgroup", "x": 0, "y": 0}
    return head | {"draworder": "index", "opacity": 1, "visible": True, "objects": objects}


def draw() -> dict[str, Any]:
    """The whole map as Tiled's JSON, a fresh one each call."""
    canvas = Canvas()
    land(canvas)
    for place in tomllib.loads(PLANS.read_text(encoding="utf-8"))["place"]:
        build(canvas, place)
    canvas.marks.append(Mark("spawn", "road from the west", (0, 10, 1, 1)))
    canvas.marks.append(Mark("spawn", "road from the east", (WIDTH - 1, 11, 1, 1)))
    pave(canvas)
    plant(canvas, Random(2026))
    layers = [_tile_layer(n, name, canvas) for n, name in enumerate(canvas.layers, start=1)]
    roles = ("sector", "arena", "object", "spawn")
    layers += [_object_layer(n, role, canvas) for n, role in enumerate(roles, start=4)]
    return {
        "type": "map",
        "version": "1.10",
        "tiledversion": "1.10.2",
        "orientation": "orthogonal",
        "renderorder": "right-down",
        "infinite": False,
        "compressionlevel": -1,
        "width": WIDTH,
        "height": HEIGHT,
        "tilewidth": TILE,
        "tileheight": TILE,
        "nextlayerid": len(layers) + 1,
        "nextobjectid": len(canvas.marks) + 1,
        "properties": [{"name": "world", "type": "string", "value": "Larkspur"}],
        "tilesets": [tileset()],
        "layers": layers,
    }


def text(town: dict[str, Any]) -> str:
    """The map as readable JSON: a line a tile row, a line a tile, a line an object."""

    def lines(values: list[Any]) -> str:
        return ",\n".join(json.dumps(value, ensure_ascii=False) for value in values)

    layers = []
    for layer in town["layers"]:
        head = {key: value for key, value in layer.items() if key not in ("data", "objects")}
        if "data" in layer:
            rows = [layer["data"][at : at + WIDTH] for at in range(0, WIDTH * HEIGHT, WIDTH)]
            body = '"data": [\n' + ",\n".join(",".join(map(str, row)) for row in rows)
        else:
            body = '"objects": [\n' + lines(layer["objects"])
        layers.append(f"{json.dumps(head)[:-1]}, {body}\n]}}")
    head = {key: value for key, value in town.items() if key not in ("tilesets", "layers")}
    (kinds,) = town["tilesets"]
    kinds_head = {key: value for key, value in kinds.items() if key != "tiles"}
    tiled = f'{json.dumps(kinds_head)[:-1]}, "tiles": [\n{lines(kinds["tiles"])}\n]}}'
    joined = ",\n".join(layers)
    return f'{json.dumps(head)[:-1]},\n"tilesets": [{tiled}],\n"layers": [\n{joined}\n]}}\n'


def main(target: Path = TARGET) -> None:
    """Write the map."""
    target.write_text(text(draw()), encoding="utf-8")
    print(f"wrote {target}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
