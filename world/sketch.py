"""Towns drawn as text, for examples and tests."""

from __future__ import annotations

from collections.abc import Mapping

from ..core import MapError
from .townmap import TownMap


def ascii_map(
    text: str, legend: Mapping[str, str] | None = None, *, world: str = "town", blocked: str = "#"
) -> TownMap:
    """A map of one character a tile.

    ``legend`` says to which sector:arena or sector:arena:object a character belongs; the
    characters in ``blocked`` cannot be walked on. Raises MapError for lines of unequal
    length and for characters that neither names.

    >>> town = ascii_map("#####\\n#bhh.\\n#####", {"h": "home:hall", "b": "home:hall:bed"})
    >>> town.addresses, town.path((1, 1), (4, 1))
    (('town:home:hall', 'town:home:hall:bed'), ((1, 1), (2, 1), (3, 1), (4, 1)))
    """
    legend = legend or {}
    rows = text.split()
    if len({len(row) for row in rows}) != 1:
        raise MapError("sketch: its lines are of unequal length; fill them up")
    cells = "".join(rows)
    unknown = next((cell for cell in cells if cell not in legend and cell not in "." + blocked), "")
    if unknown:
        raise MapError(f"sketch: '{unknown}' is neither '.', blocked nor in the legend; add it")
    parts = [[*legend.get(cell, "").split(":"), "", ""][:3] for cell in cells]
    return TownMap(
        name="sketch",
        world=world,
        width=len(rows[0]),
        height=len(rows),
        tile=32,
        blocked=tuple(cell in blocked for cell in cells),
        sectors=tuple(part[0] for part in parts),
        arenas=tuple(part[1] for part in parts),
        objects=tuple(part[2] for part in parts),
        kinds=tuple(
            "floor" if cell in legend else "wall" if cell in blocked else "grass" for cell in cells
        ),
    )
