"""What a Tiled map's layers tell about the look of the land, without their art."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..core import Json
from .landscape import Tile

_FLIPS = 0x1FFFFFFF
# Top left tiles of the trees in the Smallville tile set: four tiles wide, and two.
_TREES = {136: (1, 3), 204: (0, 1)}


def scenery(tiled: Json, blocked: frozenset[Tile], indoors: frozenset[Tile]) -> dict[Tile, str]:
    """Kinds of ground by tile, from layers named as Smallville's are. ``indoors`` are the
    tiles of arenas: a wall layer there may hold furniture that hangs on a wall."""
    width = int(tiled.get("width", 0))
    layers = {
        str(layer.get("name", "")).strip(): [int(cell) & _FLIPS for cell in layer["data"]]
        for layer in tiled.get("layers", ())
        if isinstance(layer.get("data"), list)
    }
    hints: dict[Tile, str] = {}
    _paint(hints, _tiles(layers.get("Exterior Ground", ()), width), "path")
    growth = [
        tile
        for name in ("Exterior Decoration L1", "Exterior Decoration L2")
        for tile, cell in _cells(layers.get(name, ()), width)
        if cell
    ]
    _plant(hints, growth, blocked)
    for name in ("Exterior Decoration L1", "Exterior Decoration L2"):
        for (x, y), cell in _cells(layers.get(name, ()), width):
            if cell in _TREES:
                dx, dy = _TREES[cell]
                hints[x + dx, y + dy] = "tree"
    _paint(hints, _tiles(layers.get("Interior Ground", ()), width), "wood")
    walls = _tiles(layers.get("Wall", ()), width)
    _paint(hints, (tile for tile in walls if tile in blocked or tile not in indoors), "wall")
    return hints


def _plant(hints: dict[Tile, str], growth: Sequence[Tile], blocked: frozenset[Tile]) -> None:
    """Dense growth is forest, sparse growth meadow, where nothing else was painted."""
    green = set(growth)
    for x, y in green:
        if (x, y) in hints:
            continue
        around = sum((x + dx, y + dy) in green for dx in (-2, -1, 0, 1, 2) for dy in (-2, 0, 2))
        hints[x, y] = "forest" if around >= 13 else "meadow"
    for tile in blocked:
        if tile not in hints or hints[tile] in ("meadow", "forest"):
            hints[tile] = "hedge"


def _paint(hints: dict[Tile, str], tiles: Iterable[Tile], kind: str) -> None:
    for tile in tiles:
        hints[tile] = kind


def _tiles(cells: Sequence[int], width: int) -> list[Tile]:
    return [tile for tile, cell in _cells(cells, width) if cell]


def _cells(cells: Sequence[int], width: int) -> list[tuple[Tile, int]]:
    return [((at % width, at // width), cell) for at, cell in enumerate(cells)]
