"""What the ground of a Smallville map looks like, worked out without its art."""

from __future__ import annotations

from pathlib import Path


def kinds_of(
    home: Path,
    width: int,
    height: int,
    blocked: tuple[bool, ...],
    sectors: tuple[str, ...],
    arenas: tuple[str, ...],
    objects: tuple[str, ...],
) -> tuple[str, ...]:
    """A kind of ground for every tile: floor inside arenas, wall around them, grass, tree."""
    return tuple(
        ("wall" if sectors[i] else "tree") if blocked[i] else "floor" if arenas[i] else "grass"
        for i in range(width * height)
    )
