"""What was undone among statements, and keeping to it when some of them are erased."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from .logbook import LogEntry


@dataclass(frozen=True, slots=True)
class RetractionChanges:
    """Lines of undoing and restoring to erase, and those that say of the statements that stay
    what they said, without the reasons."""

    erase: tuple[int, ...]
    write: tuple[dict[str, Any], ...]


def retracted_statements(entries: Iterable[LogEntry]) -> set[int]:
    """The statements from which nothing follows."""
    found: set[int] = set()
    for entry in entries:
        if entry.body:
            found.update(entry.body.get("undo", ()))
            found.difference_update(entry.body.get("restore", ()))
    return found


def retractions_after_erasure(
    entries: Collection[LogEntry], going: Collection[int], named: Callable[[str], bool]
) -> RetractionChanges:
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
    still = retracted_statements(entries)
    lines = []
    if stay and touched[-1].body:
        at = touched[-1].body["at"]
        for word, numbers in (("undo", stay & still), ("restore", stay - still)):
            if numbers:
                lines.append({word: sorted(numbers), "at": at, "why": ""})
    return RetractionChanges(tuple(entry.n for entry in touched), tuple(lines))


def _numbers(entry: LogEntry) -> list[int]:
    body = entry.body or {}
    return [*body.get("undo", ()), *body.get("restore", ())]
