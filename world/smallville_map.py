"""Smallville's map folder (``the_ville``): matrices of block ids and their names.

``matrix/maze/*.csv`` hold one id a tile in a single row; ``matrix/special_blocks/*.csv``
name the ids; ``matrix/maze_meta_info.json`` gives the size. The art is not needed.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from ..core import Json, MapError, SettingError, read_settings, read_text_file
from .ground_kinds import ground_kinds_of
from .tiled_format import TiledMap, read_tiled
from .town_map import SpawnPoint, TownMap

_ID_DIGITS = 10
_HINT = "copy the 'matrix' folder of the original once more"


def load_smallville_map(folder: Path | str) -> TownMap:
    """Read a Smallville map folder, the one that holds ``matrix``.

    Raises MapError naming the file and the remedy.
    """
    home = Path(folder)
    matrix = home / "matrix"
    if not matrix.is_dir():
        raise MapError(f"{matrix}: there is no such folder; give the folder that holds 'matrix'")
    info_file = matrix / "maze_meta_info.json"
    info = _table(info_file)
    width, height = _size(info, "maze_width", info_file), _size(info, "maze_height", info_file)
    names = {layer: _names(matrix / "special_blocks" / f"{layer}.csv") for layer in _BLOCKS}
    worlds = list(names["world_blocks"].values())
    if not worlds:
        raise MapError(f"{matrix / 'special_blocks' / 'world_blocks.csv'}: names no world; {_HINT}")
    maze = matrix / "maze"

    def layer(file: str, blocks: str) -> tuple[str, ...]:
        ids = _ids(maze / f"{file}.csv", width, height)
        return _named(ids, names[blocks], maze / f"{file}.csv", width)

    sectors = layer("sector_maze", "sector_blocks")
    arenas = layer("arena_maze", "arena_blocks")
    objects = layer("game_object_maze", "game_object_blocks")
    blocked = tuple(i != 0 for i in _ids(maze / "collision_maze.csv", width, height))
    world = worlds[0]
    spawns = tuple(
        SpawnPoint(
            name,
            (i % width, i // width),
            ":".join(p for p in (world, sectors[i], arenas[i]) if p),
        )
        for i, name in enumerate(layer("spawning_location_maze", "spawning_location_blocks"))
        if name
    )
    return TownMap(
        name=home.name,
        world=world,
        width=width,
        height=height,
        tile=_size(info, "sq_tile_size", info_file),
        blocked=blocked,
        sectors=sectors,
        arenas=arenas,
        objects=objects,
        kinds=ground_kinds_of(_drawing(home, width, height), blocked, sectors, arenas),
        spawns=spawns,
    )


log = logging.getLogger(__name__)

_BLOCKS = (
    "world_blocks",
    "sector_blocks",
    "arena_blocks",
    "game_object_blocks",
    "spawning_location_blocks",
)


def _table(file: Path) -> dict[str, Json]:
    try:
        return read_settings(file)
    except SettingError as error:
        raise MapError(str(error)) from error


def _size(info: Mapping[str, Json], key: str, file: Path) -> int:
    value = info.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise MapError(f"{file}: '{key}' is {value!r}; it must be a whole number above 0")
    return value


def read_csv_rows(file: Path) -> list[list[str]]:
    """The rows of a csv file that have anything in them, every cell stripped.

    Raises MapError when the file cannot be read.
    """
    text = read_text_file(file, error=MapError)
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(StringIO(text, newline=""))]
    except csv.Error as error:
        raise MapError(f"{file}: is no csv text ({error}); {_HINT}") from error
    return [row for row in rows if any(row)]


def read_block_names(file: Path) -> dict[int, str] | None:
    """Block id -> name from a csv of ``special_blocks``; None when there is no such file."""
    return _names(file) if file.exists() else None


def _drawing(home: Path, width: int, height: int) -> TiledMap | None:
    """The drawn map beside the matrices, where there is one of the same size; it decides
    nothing but how the ground looks."""
    for file in sorted(home.glob("*.json")):
        try:
            tiled = read_tiled(file)
        except MapError as error:
            log.warning("%s; the ground is drawn without it", error)
            continue
        if (tiled.width, tiled.height) == (width, height) and tiled.layer("Exterior Ground"):
            return tiled
    return None


def _names(file: Path) -> dict[int, str]:
    """Block id -> the last column of its row."""
    found: dict[int, str] = {}
    for number, row in enumerate(read_csv_rows(file), 1):
        if len(row) < 2 or not _is_id(row[0]) or not row[-1]:
            raise MapError(
                f"{file}: row {number} is not 'id, world, ..., name' but {', '.join(row)!r}; "
                "mend that row"
            )
        if ":" in row[-1]:
            raise MapError(
                f"{file}: row {number}: the name '{row[-1]}' holds a colon, which parts addresses; "
                "choose another"
            )
        block = int(row[0])
        if found.setdefault(block, row[-1]) != row[-1]:
            raise MapError(
                f"{file}: row {number} gives block {block} a second name, '{row[-1]}' beside "
                f"'{found[block]}'; keep one of them"
            )
    return found


def _is_id(cell: str) -> bool:
    return cell.isdecimal() and len(cell) <= _ID_DIGITS


def _ids(file: Path, width: int, height: int) -> list[int]:
    """One id a tile; the file may hold a single row or one for each row of tiles."""
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
        raise MapError(
            f"{file}: cell {bad + 1} is {cells[bad]!r}, not a block's id; write 0 for none"
        )
    return [int(cell) for cell in cells]


def _named(ids: list[int], names: Mapping[int, str], file: Path, width: int) -> tuple[str, ...]:
    for i, block in enumerate(ids):
        if block and block not in names:
            raise MapError(
                f"{file}: tile ({i % width}, {i // width}) has block {block}, which no file in "
                "'special_blocks' names; add its row there"
            )
    return tuple(names.get(block, "") for block in ids)
