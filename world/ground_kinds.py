"""What the ground of a Smallville map looks like, worked out without its art.

The art is not ours to ship, but the layers of ``the_ville_jan7.json`` say what was drawn
where: roads, gardens, floors, walls, plants. Without that file sectors must do.
"""

from __future__ import annotations

from .tiled_format import TiledMap

# In the field tileset rows 4 to 7 are roads of trodden earth, rows 8 to 11 tilled beds.
_FIELD = range(1, 257)
_BEDS = range(8, 12)
_SMALLEST_TREE = 4


def ground_kinds_of(
    tiled: TiledMap | None,
    blocked: tuple[bool, ...],
    sectors: tuple[str, ...],
    arenas: tuple[str, ...],
) -> tuple[str, ...]:
    """A kind of ground for every tile, row by row."""
    if tiled is None or tiled.layer("Exterior Ground") is None:
        return tuple(
            ("wall" if sectors[i] else "tree") if shut else "floor" if arenas[i] else "grass"
            for i, shut in enumerate(blocked)
        )
    size = len(blocked)
    empty = (0,) * size
    wall = tiled.layer("Wall") or empty
    inside = tiled.layer("Interior Ground") or empty
    ground = tiled.layer("Exterior Ground") or empty
    plants = _plants(tiled, size)
    return tuple(_kind(wall[i], inside[i], ground[i], plants[i], blocked[i]) for i in range(size))


def _kind(wall: int, inside: int, ground: int, plant: str, shut: bool) -> str:
    if wall:
        return "wall"
    if inside:
        return "floor"
    if shut:
        return "hedge"
    if ground:
        return "field" if ground in _FIELD and (ground - 1) // 16 in _BEDS else "path"
    return plant or "grass"


def _plants(tiled: TiledMap, size: int) -> list[str]:
    """Decorations out of doors: patches of some tiles are trees, lone ones flowers."""
    layers = [tiled.layer(f"Exterior Decoration L{n}") or (0,) * size for n in (1, 2)]
    drawn = [any(layer[i] for layer in layers) for i in range(size)]
    kinds = [""] * size
    for i in range(size):
        if drawn[i] and not kinds[i]:
            patch = _patch(drawn, i, tiled.width)
            kind = "tree" if len(patch) >= _SMALLEST_TREE else "flowers"
            for tile in patch:
                kinds[tile] = kind
    return kinds


def _patch(drawn: list[bool], start: int, width: int) -> list[int]:
    found = {start: None}
    todo = [start]
    while todo:
        i = todo.pop()
        near = [i - width, i + width]
        near += [i - 1] if i % width else []
        near += [i + 1] if (i + 1) % width else []
        for j in near:
            if 0 <= j < len(drawn) and drawn[j] and j not in found:
                found[j] = None
                todo.append(j)
    return list(found)
