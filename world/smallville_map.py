"""Maps of Smallville (``the_ville``): a folder of matrices, or the Tiled map beside them.

In the folder, ``matrix/maze/*.csv`` hold one block id for each tile, in a single row or in one
row for each row of tiles; ``matrix/special_blocks/*.csv`` name the ids;
``matrix/maze_meta_info.json`` gives the size. In the Tiled map each of these is a layer of tile
numbers. The art is not needed.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from ..core import Json, MapError, SettingError, read_settings, read_text_file
from .paths import tile_neighbors
from .tiled_format import TiledMap, read_tiled
from .town_map import SpawnPoint, TownMap

log = logging.getLogger(__name__)

_ID_DIGITS = 10
_HINT = "copy the 'matrix' folder of the original once more"
_BLOCKS = (
    *("world_blocks", "sector_blocks", "arena_blocks", "game_object_blocks"),
    "spawning_location_blocks",
)
_TILED_LAYERS = ("Sector Blocks", "Arena Blocks", "Object Interaction Blocks", "Spawning Blocks")
# In the field tileset rows 4 to 7 are roads of trodden earth, rows 8 to 11 tilled beds.
_FIELD_TILES = range(1, 257)
_BED_ROWS = range(8, 12)
_SMALLEST_TREE = 4


def load_smallville_map(folder: Path | str) -> TownMap:
    """Read a Smallville map folder, the one that holds ``matrix``.

    Raises MapError naming the file and the remedy.
    """
    home = Path(folder)
    matrix = home / "matrix"
    if not matrix.is_dir():
        raise MapError(f"{matrix}: there is no such folder; give the folder that holds 'matrix'")
    info_file = matrix / "maze_meta_info.json"
    try:
        info = read_settings(info_file)
    except SettingError as error:
        raise MapError(str(error)) from error
    width, height = _size(info, "maze_width", info_file), _size(info, "maze_height", info_file)
    names = {layer: _block_names(matrix / "special_blocks" / f"{layer}.csv") for layer in _BLOCKS}
    worlds = list(names["world_blocks"].values())
    if not worlds:
        raise MapError(f"{matrix / 'special_blocks' / 'world_blocks.csv'}: names no world; {_HINT}")

    def layer(name: str, blocks: str) -> tuple[str, ...]:
        file = matrix / "maze" / f"{name}.csv"
        return _named_blocks(_block_ids(file, width, height), names[blocks], file, width)

    collisions = _block_ids(matrix / "maze" / "collision_maze.csv", width, height)
    blocked = tuple(block != 0 for block in collisions)
    layers = [layer(f"{blocks[:-7]}_maze", blocks) for blocks in _BLOCKS[1:]]
    drawing = _find_drawing(home, width, height)
    size = (width, height, _size(info, "sq_tile_size", info_file))
    return _town_map(home.name, worlds[0], size, blocked, layers, drawing)


def smallville_map_of_drawing(source: Path, tiled: TiledMap) -> TownMap:
    """The map that Smallville's Tiled map in the file ``source`` describes. Block names come from
    ``matrix/special_blocks`` beside it; without that folder a block is named by its number.
    Raises MapError."""
    folder = source.parent / "matrix" / "special_blocks"

    def layer(name: str, blocks: str) -> tuple[str, ...]:
        numbers = tiled.layer(name)
        if numbers is None:
            raise MapError(
                f"{source}: there is no layer '{name}'; a Smallville map has it, draw it or "
                "remove the layer 'Collisions' to have the map read by our convention"
            )
        file = folder / f"{blocks}.csv"
        if not file.exists():
            return tuple(f"block {number}" if number else "" for number in numbers)
        # Smallville's own matrices leave out the blocks that have no name.
        names = _block_names(file)
        return tuple(names.get(number, "") for number in numbers)

    worlds = {name for name in layer("World Blocks", "world_blocks") if name}
    if len(worlds) != 1:
        raise MapError(f"{source}: layer 'World Blocks' names {len(worlds)} worlds; use one block")
    layers = [layer(name, blocks) for name, blocks in zip(_TILED_LAYERS, _BLOCKS[1:])]
    blocked = tuple(number != 0 for number in tiled.layer("Collisions") or ())
    name = source.parent.name if folder.is_dir() else source.stem
    size = (tiled.width, tiled.height, tiled.tile_width)
    return _town_map(name, worlds.pop(), size, blocked, layers, tiled)


def read_csv_rows(file: Path) -> list[list[str]]:
    """The rows of a CSV file that are not empty, every cell stripped.

    Raises MapError when the file cannot be read.
    """
    text = read_text_file(file, error=MapError)
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(StringIO(text, newline=""))]
    except csv.Error as error:
        raise MapError(f"{file}: is no csv text ({error}); {_HINT}") from error
    return [row for row in rows if any(row)]


def _town_map(
    name: str,
    world: str,
    size: tuple[int, int, int],
    blocked: tuple[bool, ...],
    layers: list[tuple[str, ...]],
    drawing: TiledMap | None,
) -> TownMap:
    """A map of ``size`` (width, height, tile), with names for the tiles of each layer."""
    sectors, arenas, objects, spawns = layers
    width, height, tile = size
    return TownMap(
        name=name,
        world=world,
        width=width,
        height=height,
        tile=tile,
        blocked=blocked,
        sectors=sectors,
        arenas=arenas,
        objects=objects,
        kinds=_ground_kinds(drawing, blocked, sectors, arenas),
        spawns=tuple(
            SpawnPoint(
                spawn,
                (i % width, i // width),
                ":".join(part for part in (world, sectors[i], arenas[i]) if part),
            )
            for i, spawn in enumerate(spawns)
            if spawn
        ),
    )


def _size(info: Mapping[str, Json], key: str, file: Path) -> int:
    value = info.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise MapError(f"{file}: '{key}' is {value!r}; it must be a whole number above 0")
    return value


def _block_names(file: Path) -> dict[int, str]:
    """The names of blocks by id; a name is the last column of its row."""
    names: dict[int, str] = {}
    for number, row in enumerate(read_csv_rows(file), 1):
        if len(row) < 2 or not _is_id(row[0]) or not row[-1]:
            raise MapError(
                f"{file}: row {number} is not 'id, world, ..., name' but {', '.join(row)!r}; "
                "correct that row"
            )
        if ":" in row[-1]:
            raise MapError(
                f"{file}: row {number}: the name '{row[-1]}' has a colon, the address separator; "
                "choose another"
            )
        block = int(row[0])
        if names.setdefault(block, row[-1]) != row[-1]:
            raise MapError(
                f"{file}: row {number} gives block {block} a second name, '{row[-1]}' beside "
                f"'{names[block]}'; keep one of them"
            )
    return names


def _is_id(cell: str) -> bool:
    return cell.isdecimal() and len(cell) <= _ID_DIGITS


def _block_ids(file: Path, width: int, height: int) -> list[int]:
    rows = read_csv_rows(file)
    if len(rows) not in (1, height) or (len(rows) > 1 and any(len(r) != width for r in rows)):
        raise MapError(
            f"{file}: has rows of {sorted({len(row) for row in rows})} cells; it needs one row "
            f"of {width * height} or {height} rows of {width}; {_HINT}"
        )
    cells = [cell for row in rows for cell in row]
    if len(cells) != width * height:
        raise MapError(
            f"{file}: has {len(cells)} cells where {width} x {height} tiles need "
            f"{width * height}; {_HINT}"
        )
    bad = next((i for i, cell in enumerate(cells) if not _is_id(cell)), None)
    if bad is not None:
        raise MapError(f"{file}: cell {bad + 1} is {cells[bad]!r}, no block's id; write 0 for none")
    return [int(cell) for cell in cells]


def _named_blocks(
    ids: list[int], names: Mapping[int, str], file: Path, width: int
) -> tuple[str, ...]:
    for i, block in enumerate(ids):
        if block and block not in names:
            raise MapError(
                f"{file}: tile ({i % width}, {i // width}) has block {block}, which no file in "
                "'special_blocks' names; add its row there"
            )
    return tuple(names.get(block, "") for block in ids)


# -- what the ground looks like --------------------------------------------------------------


def _find_drawing(home: Path, width: int, height: int) -> TiledMap | None:
    """The Tiled map of the same size beside the matrices, for the kinds of ground."""
    for file in sorted(home.glob("*.json")):
        try:
            tiled = read_tiled(file)
        except MapError as error:
            log.warning("%s; the ground is drawn without it", error)
            continue
        if (tiled.width, tiled.height) == (width, height) and tiled.layer("Exterior Ground"):
            return tiled
    return None


def _ground_kinds(
    tiled: TiledMap | None,
    blocked: tuple[bool, ...],
    sectors: tuple[str, ...],
    arenas: tuple[str, ...],
) -> tuple[str, ...]:
    """The kind of ground of each tile: from the layers of ``the_ville_jan7.json``, which say
    what was drawn where; without that file from sectors and arenas."""
    if tiled is None or tiled.layer("Exterior Ground") is None:
        return tuple(
            ("wall" if sectors[i] else "tree") if is_blocked else "floor" if arenas[i] else "grass"
            for i, is_blocked in enumerate(blocked)
        )
    size = len(blocked)
    empty = (0,) * size
    wall = tiled.layer("Wall") or empty
    floor = tiled.layer("Interior Ground") or empty
    ground = tiled.layer("Exterior Ground") or empty
    plants = _plants(tiled, size)
    return tuple(
        _ground_kind(wall[i], floor[i], ground[i], plants[i], blocked[i]) for i in range(size)
    )


def _ground_kind(wall: int, floor: int, ground: int, plant: str, is_blocked: bool) -> str:
    if wall:
        return "wall"
    if floor:
        return "floor"
    if is_blocked:
        return "hedge"
    if ground:
        is_bed = ground in _FIELD_TILES and (ground - 1) // 16 in _BED_ROWS
        return "field" if is_bed else "path"
    return plant or "grass"


def _plants(tiled: TiledMap, size: int) -> list[str]:
    """The kinds of outdoor decorations: large patches are trees, small ones flowers."""
    layers = [tiled.layer(f"Exterior Decoration L{n}") or (0,) * size for n in (1, 2)]
    decorated = [any(layer[i] for layer in layers) for i in range(size)]
    kinds = [""] * size
    for i in range(size):
        if decorated[i] and not kinds[i]:
            patch = _patch(decorated, i, tiled.width)
            kind = "tree" if len(patch) >= _SMALLEST_TREE else "flowers"
            for tile in patch:
                kinds[tile] = kind
    return kinds


def _patch(decorated: list[bool], start: int, width: int) -> set[int]:
    """The decorated tiles connected with ``start``."""
    patch, stack = {start}, [start]
    while stack:
        for tile in tile_neighbors(stack.pop(), width, len(decorated)):
            if decorated[tile] and tile not in patch:
                patch.add(tile)
                stack.append(tile)
    return patch
