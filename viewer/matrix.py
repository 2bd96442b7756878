"""A town's map as Smallville's folder of matrices."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from ..world import TownMap

BlockRow: TypeAlias = tuple[str, ...]
"""What a row of ``special_blocks`` says after its id: the world, the larger places, a name."""

# Smallville's own path finder takes this id, and no other, for a blocked tile.
_COLLISION_ID = 32125
_FIRST_ID = 32134


def write_smallville_map(town: TownMap, folder: Path) -> None:
    """Write a map so that ``denizens.world.load_smallville_map`` and the original read it.

    The format knows blocked tiles, addresses and spawn points; how the ground looks and the
    pictures of things have no place in it.
    """
    maze, special = folder / "matrix" / "maze", folder / "matrix" / "special_blocks"
    maze.mkdir(parents=True)
    special.mkdir()
    info = {
        "world_name": town.world,
        "maze_width": town.width,
        "maze_height": town.height,
        "sq_tile_size": town.tile,
        "special_constraint": "",
    }
    text = json.dumps(info, ensure_ascii=False, indent=1)
    (folder / "matrix" / "maze_meta_info.json").write_text(text, encoding="utf-8")
    write_rows(special / "world_blocks.csv", [(_FIRST_ID, town.world)])
    _write_ids(maze / "collision_maze.csv", [_COLLISION_ID if shut else 0 for shut in town.blocked])
    first = _FIRST_ID + 1
    for name, blocks in _layers(town).items():
        ids: dict[BlockRow, int] = {}
        for block in blocks:
            if block is not None:
                ids.setdefault(block, first + len(ids))
        first += len(ids)
        write_rows(special / f"{name}_blocks.csv", [(i, *block) for block, i in ids.items()])
        cells = [0 if block is None else ids[block] for block in blocks]
        _write_ids(maze / f"{name}_maze.csv", cells)


def _layers(town: TownMap) -> dict[str, list[BlockRow | None]]:
    """For every layer what each tile belongs to."""
    world = town.world
    tiles = list(zip(town.sectors, town.arenas, town.objects))
    spawns = {town.index(*spawn.at): spawn.name for spawn in town.spawns}
    return {
        "sector": [(world, sector) if sector else None for sector, _, _ in tiles],
        "arena": [(world, sector, arena) if arena else None for sector, arena, _ in tiles],
        "game_object": [(world, "<all>", thing) if thing else None for _, _, thing in tiles],
        "spawning_location": [
            (world, sector, arena, spawns[i]) if i in spawns else None
            for i, (sector, arena, _) in enumerate(tiles)
        ],
    }


def _write_ids(path: Path, ids: list[int]) -> None:
    # The original reads a single row, whatever the map's width.
    path.write_text(", ".join(map(str, ids)), encoding="utf-8")


def write_rows(path: Path, rows: Iterable[tuple[object, ...]]) -> None:
    """Write rows of cells as csv."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
