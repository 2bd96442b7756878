"""What was undone among statements, and keeping to it when some of them are erased."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from .logbook import Entry


@dataclass(frozen=True, slots=True)
class Undoings:
    """Lines of undoing and restoring to erase, and those that say of the statements that stay
    what they said, without the reasons."""

    erase: tuple[int, ...]
    write: tuple[dict[str, Any], ...]


def undone(entries: Iterable[Entry]) -> set[int]:
    """The statements from which nothing follows."""
    found: set[int] = set()
    for entry in entries:
        if entry.body:
            found.update(entry.body.get("undo", ()))
            found.difference_update(entry.body.get("restore", ()))
    return found


def without(
    entries: Collection[Entry], going: Collection[int], named: Callable[[str], bool]
) -> Undoings:
    """What becomes of the undoings when the statements ``going`` are erased: their reasons go
    too, and those in which somebody is ``named``."""
    touched = [
        entry
        for entry in entries
        if entry.body
        and "subject" not in entry.body
        and (set(_numbers(entry)) & set(going) or named(entry.body.get("why", "")))
    ]
    stay = {number for entry in touched for number in _numbers(entry)} - set(going)
    still = undone(entries)
    lines = []
    if stay and touched[-1].body:
        at = touched[-1].body["at"]
        for word, numbers in (("undo", stay & still), ("restore", stay - still)):
            if numbers:
                lines.append({word: sorted(numbers), "at": at, "why": ""})
    return Undoings(tuple(entry.n for entry in touched), tuple(lines))


def _numbers(entry: Entry) -> list[int]:
    body = entry.body or {}
    return [*body.get("undo", ()), *body.get("restore", ())]
