"""Where to do something: addresses chosen among what the world allows, never parsed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from ...core import (
    Address,
    Affordance,
    Option,
    Situation,
    Thought,
    words,
)
from ..steps import StepBuilder, pick_option


def action_targets(can: Sequence[Affordance]) -> tuple[Address, ...]:
    """The addresses at which something may be done now."""
    return tuple(one.target for one in can if one.verb == "act" and one.target)


def _group_by_depth(addresses: Iterable[Address], depth: int) -> dict[Address, list[Address]]:
    """Addresses grouped by their first ``depth`` names, in their order of appearance."""
    groups: dict[Address, list[Address]] = {}
    for address in addresses:
        groups.setdefault(":".join(address.split(":")[:depth]), []).append(address)
    return groups


def _last_part(address: Address) -> str:
    return address.rpartition(":")[2]


def _describe_room(place: Address, inside: Sequence[Address], home: Address) -> str:
    """An arena as what one does there. One's own home is called so, another's is a visit:
    otherwise every kitchen fits cooking, and people wash in their neighbours' rooms."""
    parts = place.split(":")
    sector, arena = parts[1] if len(parts) > 1 else parts[0], parts[-1]
    things = list(dict.fromkeys(_last_part(address) for address in inside if address != place))
    found = f", at the {', '.join(things[:10])}" if things else ""
    owner, mark, _ = sector.partition("'s ")
    if home.split(":")[1:2] == [sector]:
        own = home.split(":")[2:3]
        if own and own != [arena] and "'s " in arena:
            return f"visiting {arena.partition(chr(39))[0]} in the house"
        return f"doing something at home in the {arena}{found}"
    if mark:
        return f"visiting {owner}, a friend, in the {arena} of the house"
    return f"doing something in the {arena} ({sector}){found}"


def choose_place(draft: StepBuilder, doing: str) -> Thought[Address]:
    """Choose room and object for an activity; empty when the world offers none.

    Park et al. 2023, section 4.3, choose sector, arena and object in turn; here sector and
    arena are one choice, by likelihood over the places the body knows: "the kitchen at
    home" says more than a house's name. No Choose is asked where there is but one option.
    The person's name is kept out: it would draw everybody to the house that bears it
    (measured on 73 routine entries: the right room .53 with the name, .73 without).
    """
    room = yield from choose_room(draft, doing)
    return (yield from choose_object(draft, doing, room)) if room else ""


def choose_room(draft: StepBuilder, doing: str) -> Thought[Address]:
    """The room (sector and arena) for an activity; empty when the world offers none."""
    rooms = _group_by_depth(action_targets(draft.situation.can), 3)
    if not rooms:
        return ""
    home = draft.situation.persona.home
    options = [Option(room, _describe_room(room, inside, home)) for room, inside in rooms.items()]
    if len(options) == 1:
        return options[0].name
    return (yield from pick_option(draft, options, about=doing, role="place"))


def choose_object(draft: StepBuilder, doing: str, room: Address) -> Thought[Address]:
    """The object in a room for an activity; the room itself where it holds none."""
    known = [one for one in action_targets(draft.situation.can) if f"{one}:".startswith(f"{room}:")]
    inside = [address for address in known if address != room] or known
    if len(inside) <= 1:
        return inside[0] if inside else ""
    things = [Option(address, _last_part(address)) for address in inside]
    return (yield from pick_option(draft, things, about=doing, role="object"))


def best_matching_place(text: str, known: Sequence[Address]) -> Address:
    """The known address that shares most words with a text; empty when none does.

    The whole address counts, its last names more. Used where no model may be asked.

    >>> best_matching_place("opens the cafe counter", ["v:Hobbs Cafe:cafe:counter",
    "v:Park:park:tree"])
    'v:Hobbs Cafe:cafe:counter'
    """
    said = _content_words(text)
    best, best_score = "", 0.0
    for address in known:
        names = address.split(":")[1:]
        score = 0.0
        for depth, name in enumerate(names):
            own = _content_words(name)
            if own:
                score += len(own & said) / len(own) * (1.0 if depth == 0 else 0.5)
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
    """The bed of the persona's home, or else its first object, or the home itself."""
    return _find_bed(situation.persona.home, action_targets(situation.can))


@lru_cache(maxsize=4096)
def _find_bed(home: Address, known: tuple[Address, ...]) -> Address:
    inside = [place for place in known if (place + ":").startswith(home + ":")]
    beds = [place for place in inside if "bed" in _last_part(place).lower().split()]
    return (beds or inside or [home])[0]
