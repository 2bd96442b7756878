"""Where to do something: addresses chosen among what the world allows, never parsed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from ..core import (
    Address,
    Affordance,
    Choice,
    Choose,
    Message,
    Option,
    Situation,
    Thought,
    choose,
)
from .draft import Draft, identity


def targets(can: Sequence[Affordance]) -> tuple[Address, ...]:
    """The addresses at which something may be done now."""
    return tuple(affordance.target for affordance in can if affordance.verb == "act")


def _level(addresses: Iterable[Address], depth: int) -> dict[Address, list[Address]]:
    """Addresses grouped by their first ``depth`` names, in their order of appearance."""
    groups: dict[Address, list[Address]] = {}
    for address in addresses:
        groups.setdefault(":".join(address.split(":")[:depth]), []).append(address)
    return groups


def _last(address: Address) -> str:
    return address.rpartition(":")[2]


def _describe(place: Address, inside: Sequence[Address], depth: int) -> str:
    """A place as a phrase: its name and what can be found in it."""
    things = []
    for address in inside:
        for name in address.split(":")[depth:]:
            if name not in things:
                things.append(name)
    found = ", ".join(things[:10])
    return f"{_last(place)}, with {found}" if found else _last(place)


def choose_place(draft: Draft, doing: str) -> Thought[Address]:
    """Choose sector, arena and object for an activity; empty when the world offers none.

    One Choose a level (none where there is only one thing), as in Park et al. 2023, section
    4.3, but by likelihood over the places the body knows.
    """
    situation = draft.situation
    known = targets(situation.can)
    for depth in (2, 3, 4):
        groups = _level(known, depth)
        if not groups:
            return ""
        names = list(groups)
        if len(names) == 1:
            known = tuple(groups[names[0]])
            continue
        picked = yield from pick(
            draft,
            [Option(name, _describe(name, groups[name], depth)) for name in names],
            about=f"{situation.persona.first_name} is {doing}",
            role="place" if depth < 4 else "object",
        )
        known = tuple(groups[picked])
    return known[0]


def pick(draft: Draft, options: Sequence[Option], *, about: str, role: str) -> Thought[str]:
    """Choose one option and explain it in the draft; the first one if the engine failed."""
    seed = draft.situation.seed.child(role, about).number
    message = Message.of("system", identity(draft.situation))
    answer = yield from choose(
        Choose(messages=(message,), options=tuple(options), about=about, seed=seed, role=role)
    )
    if not isinstance(answer, Choice):
        draft.because(f"(no choice of {role}: {answer.detail})")
        return options[0].name
    return options[answer.index].name


def nearest_place(words: str, known: Sequence[Address]) -> Address:
    """The known address that shares most words with a text; empty when none does.

    The whole address counts, its last names more. Used where no model may be asked.

    >>> nearest_place("opens the cafe counter", ["v:Hobbs Cafe:cafe:counter", "v:Park:park:tree"])
    'v:Hobbs Cafe:cafe:counter'
    """
    said = _words(words)
    best, best_score = "", 0.0
    for address in known:
        names = address.split(":")[1:]
        score = 0.0
        for depth, name in enumerate(names):
            own = _words(name)
            if own:
                score += len(own & said) / len(own) * (1.0 if depth == 0 else 0.5)
        if score > best_score + 1e-9:
            best, best_score = address, score
    return best


def _words(text: str) -> set[str]:
    return {word for word in re.findall(r"[a-z]{3,}", text.lower()) if word not in _COMMON}


_COMMON = frozenset(("the", "and", "for", "his", "her", "goes", "with", "room", "main", "house"))


def home_bed(situation: Situation) -> Address:
    """The bed of the persona's home, or else its first object, or the home itself."""
    return _bed(situation.persona.home, targets(situation.can))


@lru_cache(maxsize=4096)
def _bed(home: Address, known: tuple[Address, ...]) -> Address:
    inside = [place for place in known if (place + ":").startswith(home + ":")]
    beds = [place for place in inside if "bed" in _last(place).lower().split()]
    return (beds or inside or [home])[0]
