"""The map of a world without tiles: places as islands in a lake, connected by bridges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from ..core import Address, AgentId, Json
from .page_data import MapArea, MapData, MapObject

_RADIUS = 5
_GAP = 16


@dataclass(frozen=True, slots=True)
class GraphMap:
    """The position of each place, and the map."""

    centers: dict[str, tuple[int, int]]
    map: MapData

    @classmethod
    def of(cls, places: Sequence[Json], paths: Sequence[Json]) -> GraphMap:
        """Arrange places (tables with ``name`` and perhaps ``objects``) on a circle; ``paths`` are
        pairs of names."""
        names = [str(place["name"]) for place in places] or ["nowhere"]
        far = max(_GAP, math.ceil(_GAP * len(names) / (2 * math.pi))) if len(names) > 1 else 0
        side = 2 * (far + _RADIUS + 4)
        middles = {}
        for at, name in enumerate(names):
            angle = 2 * math.pi * at / len(names) - math.pi / 2
            middles[name] = (
                round(side / 2 + far * math.cos(angle)),
                round(side / 2 + far * 0.8 * math.sin(angle)),
            )
        pairs = {tuple(sorted(map(str, pair))) for pair in paths if len(pair) == 2}
        land = _ground(side, middles)
        areas = tuple(
            MapArea(name, x - _RADIUS, y - _RADIUS, 2 * _RADIUS + 1, 2 * _RADIUS + 1)
            for name, (x, y) in middles.items()
        )
        owner = [_owner(middles, at % side, at // side) for at in range(side * side)]
        return cls(
            middles,
            MapData(
                width=side,
                height=side,
                ground=land,
                sectors=areas,
                arenas=areas,
                objects=tuple(thing for place in places for thing in _objects(place, middles)),
                sector_of=owner,
                arena_of=owner,
                links=tuple(
                    (*middles[a], *middles[b])
                    for a, b in sorted(pairs)
                    if a in middles and b in middles
                ),
            ),
        )

    def position(self, place: Address, who: AgentId) -> tuple[int, int]:
        """The position of an agent on the island of ``place``, fixed for each agent."""
        name = place.split(":")[1] if ":" in place else place
        x, y = self.centers.get(name, next(iter(self.centers.values())))
        angle = blake2b(who.encode(), digest_size=1).digest()[0] / 256 * 2 * math.pi
        return x + round(2 * math.cos(angle)), y + 1 + round(2 * math.sin(angle))


def _ground(side: int, middles: dict[str, tuple[int, int]]) -> list[str]:
    kinds = []
    for at in range(side * side):
        x, y = at % side, at // side
        gap = min(math.hypot(x - mx, y - my) for mx, my in middles.values())
        shore = _RADIUS - 1
        kinds.append("water" if gap > _RADIUS else "sand" if gap > shore else "meadow")
    return kinds


def _owner(middles: dict[str, tuple[int, int]], x: int, y: int) -> int:
    for number, (mx, my) in enumerate(middles.values(), 1):
        if math.hypot(x - mx, y - my) <= _RADIUS:
            return number
    return 0


def _objects(place: Json, middles: dict[str, tuple[int, int]]) -> list[MapObject]:
    x, y = middles[str(place["name"])]
    names = [str(name) for name in place.get("objects", ())]
    return [
        MapObject(name, f"{place['name']}:{name}", ((x - 2 + at % 5, y - 3 + at // 5, 1, 1),))
        for at, name in enumerate(names)
    ]
