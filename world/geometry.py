"""What a world stands on: spots, zones, things and ways, as the stage asks for them."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from ..core import Address, Affordance, Body, Json

Spot: TypeAlias = int
"""Where a body can stand: a tile's index, or a node's number."""

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
"""What an ``act`` carries: the activity, its emoji, the object's state while it is used
("being used" when absent), and whether the body sleeps."""


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where a body may go: the affordances, and the same as a set of addresses."""

    affordances: tuple[Affordance, ...]
    addresses: frozenset[Address] = field(repr=False)

    @classmethod
    def from_addresses(cls, addresses: tuple[Address, ...]) -> Destinations:
        """One ``act`` for each address."""
        return cls(
            tuple(Affordance("act", a, ACTIVITY_SCHEMA) for a in addresses), frozenset(addresses)
        )


class Geometry(Protocol):
    """The geometry of a world. Holds no state that changes."""

    @property
    def name(self) -> str:
        """What the ground is called; a saved state fits the same name only."""
        ...

    @property
    def objects(self) -> tuple[Address, ...]:
        """All objects; a thing's number is its place here."""
        ...

    def object_index(self, address: Address) -> int:
        """An object's number; -1 when the address is no object's."""
        ...

    def entry_spot(self, body: Body, taken: Set[Spot]) -> Spot:
        """Where somebody appears. Raises WorldError when its home or start is no place."""
        ...

    def place(self, spot: Spot) -> Address:
        """The place a spot belongs to, without the object standing there."""
        ...

    def position(self, spot: Spot) -> tuple[int, int] | None:
        """The tile of a spot; None on a ground without tiles."""
        ...

    def zone(self, spot: Spot) -> int:
        """The part of the world in which a spot lies; nobody sees into another zone."""
        ...

    def zones_of_object(self, number: int) -> tuple[int, ...]:
        """The zones from which an object can be seen."""
        ...

    def distance(self, here: Spot, there: Spot) -> tuple[int, int]:
        """Between two spots of one zone: a rank that orders by nearness, and the distance
        that vision is compared with."""
        ...

    def visible_objects(self, spot: Spot, vision: int) -> tuple[tuple[int, int], ...]:
        """Objects in sight of a spot as (rank, number), nearest first."""
        ...

    def route(self, spot: Spot, target: Address, taken: Set[Spot]) -> tuple[Spot, ...] | None:
        """The way to a spot at ``target`` that is not taken (unless all are), without the
        start; None when there is no way."""
        ...

    def destinations(self, spot: Spot, knows: tuple[Address, ...]) -> Destinations:
        """Where a body at ``spot`` that knows these addresses may go."""
        ...

    def is_in_view(self, place: Address, spot: Spot, vision: int) -> bool:
        """Whether a body at ``spot`` is in ``place`` or has it in sight. Raises WorldError
        for an unknown place."""
        ...


def knows_place(knows: tuple[Address, ...], place: Address) -> bool:
    """Whether somebody who knows some addresses knows ``place``: it is one of them, lies in
    one of them, or contains one (who knows the sofa knows its room).

    >>> knows_place(("w:home",), "w:home:hall"), knows_place(("w:home",), "w:homestead")
    (True, False)
    """
    return not knows or any(
        place == known or place.startswith(known + ":") or known.startswith(place + ":")
        for known in knows
    )
