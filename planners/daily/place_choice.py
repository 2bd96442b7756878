"""The place of an activity: an address chosen among those that the world offers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from ...core import Address, Affordance, Option, Situation, Thought, words
from ..steps import StepBuilder, pick_option


def action_targets(can: Sequence[Affordance]) -> tuple[Address, ...]:
    """The addresses at which the agent can act now."""
    return tuple(
        affordance.target for affordance in can if affordance.verb == "act" and affordance.target
    )


def _group_by_depth(addresses: Iterable[Address], depth: int) -> dict[Address, list[Address]]:
    groups: dict[Address, list[Address]] = {}
    for address in addresses:
        groups.setdefault(":".join(address.split(":")[:depth]), []).append(address)
    return groups


def _last_part(address: Address) -> str:
    return address.rpartition(":")[2]


def _describe_room(place: Address, inside: Sequence[Address], home: Address) -> str:
    """A room (arena) described by an activity in it. Rooms of other homes are described as
    visits: otherwise every kitchen fits cooking, and agents wash in their neighbours' rooms."""
    parts = place.split(":")
    sector, arena = parts[1] if len(parts) > 1 else parts[0], parts[-1]
    objects = list(dict.fromkeys(_last_part(address) for address in inside if address != place))
    at_objects = f", at the {', '.join(objects[:10])}" if objects else ""
    owner, mark, _ = sector.partition("'s ")
    if home.split(":")[1:2] == [sector]:
        own_room = home.split(":")[2:3]
        if own_room and own_room != [arena] and "'s " in arena:
            return f"visiting {arena.partition(chr(39))[0]} in the house"
        return f"doing something at home in the {arena}{at_objects}"
    if mark:
        return f"visiting {owner}, a friend, in the {arena} of the house"
    return f"doing something in the {arena} ({sector}){at_objects}"


def choose_place(builder: StepBuilder, doing: str) -> Thought[Address]:
    """Choose a room and an object for an activity; empty if the world offers no place.

    Park et al. 2023, section 4.3, choose sector, arena and object in turn; here sector and
    arena are one choice, since "the kitchen at home" is more specific than the name of a house.
    With a single option no model is asked. The options leave out the name of the agent, which
    would favour the house of that name: of 73 routine entries 53 % got the right room with the
    name and 73 % without.
    """
    room = yield from choose_room(builder, doing)
    return (yield from choose_object(builder, doing, room)) if room else ""


def choose_room(builder: StepBuilder, doing: str) -> Thought[Address]:
    """Choose the room (sector and arena) for an activity; empty if the world offers none."""
    rooms = _group_by_depth(action_targets(builder.situation.can), 3)
    if not rooms:
        return ""
    home = builder.situation.persona.home
    options = [Option(room, _describe_room(room, inside, home)) for room, inside in rooms.items()]
    if len(options) == 1:
        return options[0].name
    return (yield from pick_option(builder, options, about=doing, role="place"))


def choose_object(builder: StepBuilder, doing: str, room: Address) -> Thought[Address]:
    """Choose the object in a room for an activity; the room itself if it has none."""
    known = [
        address
        for address in action_targets(builder.situation.can)
        if f"{address}:".startswith(f"{room}:")
    ]
    inside = [address for address in known if address != room] or known
    if len(inside) <= 1:
        return inside[0] if inside else ""
    options = [Option(address, _last_part(address)) for address in inside]
    return (yield from pick_option(builder, options, about=doing, role="object"))


def best_matching_place(text: str, known: Sequence[Address]) -> Address:
    """The address with the highest word overlap with a text; empty if there is none.

    The score is the sum over the parts of the address of the share of a part's words in the
    text; the sector counts twice. Used where no model may be asked.

    >>> best_matching_place("opens the cafe counter", ["v:Hobbs Cafe:cafe:counter", "v:Park:tree"])
    'v:Hobbs Cafe:cafe:counter'
    """
    text_words = _content_words(text)
    best, best_score = "", 0.0
    for address in known:
        score = 0.0
        for depth, part in enumerate(address.split(":")[1:]):
            part_words = _content_words(part)
            if part_words:
                share = len(part_words & text_words) / len(part_words)
                score += share * (1.0 if depth == 0 else 0.5)
        if score > best_score + 1e-9:
            best, best_score = address, score
    return best


def _content_words(text: str) -> set[str]:
    return {
        word
        for word in words(text)
        if word not in _STOP_WORDS and (len(word) >= 3 or not word.isascii()) and not word.isdigit()
    }


_STOP_WORDS = frozenset(
    ("the", "and", "for", "his", "her", "goes", "with", "room", "main", "house")
)


def home_bed(situation: Situation) -> Address:
    """The bed of the persona's home, else its first object, else the home itself."""
    return _find_bed(situation.persona.home, action_targets(situation.can))


@lru_cache(maxsize=4096)
def _find_bed(home: Address, known: tuple[Address, ...]) -> Address:
    inside = [place for place in known if (place + ":").startswith(home + ":")]
    beds = [place for place in inside if "bed" in _last_part(place).lower().split()]
    return (beds or inside or [home])[0]
