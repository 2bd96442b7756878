"""The protocol of a world's geometry: spots, zones, objects and routes."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from ..core import Address, Affordance, Body, Json

Spot: TypeAlias = int  # where a body can stand: the index of a tile or of a node

WALK_SCHEMA: Json = {
    "type": "object",
    "properties": {
        "x": {"type": "integer"},
        "y": {"type": "integer"},
        "doing": {"type": "string"},
    },
    "required": ["x", "y"],
}
"""The fields of a ``walk``: the tile, and what the person does on the way and there."""

ACTIVITY_SCHEMA: Json = {
    "type": "object",
    "properties": {
        "doing": {"type": "string", "minLength": 1},
        "emoji": {"type": "string"},
        "state": {"type": "string"},
        "asleep": {"type": "boolean"},
    },
    "required": ["doing"],
}
"""The fields of an ``act``: the activity, its emoji, the state of the object while it is used
("being used" by default), and whether the body sleeps."""


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where a body may go: an ``act`` for each address, and the set of the addresses."""

    affordances: tuple[Affordance, ...]
    addresses: frozenset[Address] = field(repr=False)

    @classmethod
    def from_addresses(cls, addresses: tuple[Address, ...]) -> Destinations:
        """The destinations with these addresses."""
        return cls(
            tuple(Affordance("act", a, ACTIVITY_SCHEMA) for a in addresses), frozenset(addresses)
        )


class Geometry(Protocol):
    """The unchanging part of a world: where bodies can be, what they see, how they walk.

    ``taken`` arguments are the spots of other bodies; ``vision`` is a Body's. Targets of
    routes are addresses of ``destinations``.
    """

    @property
    def name(self) -> str:
        """A name; a saved state can be loaded only into a geometry of the same name."""

    @property
    def objects(self) -> tuple[Address, ...]:
        """The addresses of all objects; an object's index is its position here."""

    def object_index(self, address: Address) -> int:
        """The index of an object; -1 when the address is not an object's."""

    def entry_spot(self, body: Body, taken: Set[Spot]) -> Spot:
        """Where a body enters. Raises WorldError when its home or start is no place."""

    def place(self, spot: Spot) -> Address:
        """The address of the place that contains a spot; never an object."""

    def position(self, spot: Spot) -> tuple[int, int] | None:
        """The tile of a spot as (column, row); None in a geometry without tiles."""

    def zone(self, spot: Spot) -> int:
        """The zone that contains a spot. Nobody sees into another zone."""

    def zones_of_object(self, index: int) -> tuple[int, ...]:
        """The zones from which an object can be seen."""

    def distance(self, here: Spot, there: Spot) -> tuple[int, int]:
        """Two spots of a zone: a rank by nearness, and the distance to compare with vision."""

    def visible_objects(self, spot: Spot, vision: int) -> tuple[tuple[int, int], ...]:
        """The objects seen from a spot as (rank, index), nearest first."""

    def route(self, spot: Spot, target: Address, taken: Set[Spot]) -> tuple[Spot, ...] | None:
        """A shortest route to a spot at ``target`` that is not taken (unless all are), without
        the start; None when there is none."""

    def spot_at(self, x: Json, y: Json) -> Spot | None:
        """The free spot of a tile; None for another tile, and in a geometry without tiles."""

    def route_to_spot(self, spot: Spot, goal: Spot, taken: Set[Spot]) -> tuple[Spot, ...] | None:
        """A shortest route to ``goal``, or to a spot beside it if it is taken, without the start;
        None when there is none."""

    def destinations(self, spot: Spot, knows: tuple[Address, ...]) -> Destinations:
        """Where a body at ``spot`` that knows the addresses ``knows`` may go."""

    def is_in_view(self, place: Address, spot: Spot, vision: int) -> bool:
        """Whether a body at ``spot`` is in ``place`` or sees it. Raises WorldError."""


def knows_place(knows: tuple[Address, ...], place: Address) -> bool:
    """Whether a body that knows some addresses knows ``place``: ``place`` is one of them, lies in
    one of them, or contains one. Without addresses every place is known.

    >>> knows_place(("w:home",), "w:home:hall"), knows_place(("w:home",), "w:homestead")
    (True, False)
    """
    return not knows or any(
        place == known or place.startswith(known + ":") or known.startswith(place + ":")
        for known in knows
    )
