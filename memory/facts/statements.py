"""What a memory holds for true: statements as they were made, claims as they follow.

What was undone among statements, and keeping to it when some of them are erased.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...core import AgentId, Json, RecordId, Time, is_visible
from ..storage import LogEntry

# Relations that hold for one object at a time: a newer one ends the older.
FUNCTIONAL = frozenset(
    {
        "address",
        "age",
        "birthday",
        "drives",
        "email",
        "feels",
        "is at",
        "lives in",
        "office",
        "partner",
        "phone number",
        "plays",
        "studies",
        "works as",
        "works at",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One telling of a fact: ``subject`` ``relation`` ``object`` holds from ``since`` on (to
    ``until``, where that was said too).

    ``denies`` says the opposite: from ``since`` on it no longer holds (an empty object: none
    does). ``learned`` is when it was learned, ``sources`` the records it rests on, ``who``
    said it; ``audience`` is for whom it is besides the owner (empty: for everybody), ``words_of``
    whose words it rests on besides the owner's.
    """

    id: int
    subject: str
    relation: str
    object: str
    since: Time
    learned: Time
    until: Time | None = None
    sources: tuple[RecordId, ...] = ()
    confidence: float = 1.0
    who: AgentId = ""
    audience: tuple[AgentId, ...] = ()
    denies: bool = False
    step: int = 0
    words_of: tuple[str, ...] = ()

    def for_person(self, person: AgentId) -> bool:
        """Whether ``person`` may know of it (empty: the owner, who knows everything)."""
        return is_visible(self.audience, person)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A fact as it follows from all statements one may see: valid from ``since`` until just
    before ``until`` (None: still), restated by each of ``statements``.

    ``id`` is that of the statement that first made it; ``confidence`` grows with each
    source: 1 - product of (1 - each one's). ``words_of`` are all those whose words it rests on
    besides the owner's: also of what is told of its subject and relation beside it, which says
    how long it holds.
    """

    id: int
    subject: str
    relation: str
    object: str
    since: Time
    learned: Time
    until: Time | None
    sources: tuple[RecordId, ...]
    confidence: float
    who: AgentId
    audience: tuple[AgentId, ...]
    statements: tuple[int, ...]
    words_of: tuple[str, ...] = ()

    def holds(self, at: Time | None) -> bool:
        """Whether it was valid at ``at`` (None: whether it still is)."""
        if at is None:
            return self.until is None
        return self.since <= at and (self.until is None or at < self.until)

    def __str__(self) -> str:
        return f"{self.subject} {self.relation} {self.object}"


def statement_to_json(statement: Statement) -> Json:
    """A statement as a line of the logbook; its number and step are the line's."""
    line: dict[str, Any] = {
        "subject": statement.subject,
        "relation": statement.relation,
        "object": statement.object,
        "since": statement.since.isoformat(),
        "learned": statement.learned.isoformat(),
        "until": statement.until.isoformat() if statement.until else None,
        "sources": list(statement.sources),
        "confidence": statement.confidence,
        "who": statement.who,
        "audience": list(statement.audience),
        "denies": statement.denies,
        "words_of": list(statement.words_of),
    }
    return line


def statement_from_json(number: int, step: int, line: dict[str, Any]) -> Statement:
    """The statement that ``statement_to_json`` wrote."""
    return Statement(
        id=number,
        step=step,
        subject=line["subject"],
        relation=line["relation"],
        object=line["object"],
        since=datetime.fromisoformat(line["since"]),
        learned=datetime.fromisoformat(line["learned"]),
        until=datetime.fromisoformat(line["until"]) if line["until"] else None,
        sources=tuple(line["sources"]),
        confidence=line["confidence"],
        who=line["who"],
        audience=tuple(line["audience"]),
        denies=line["denies"],
        words_of=tuple(line.get("words_of", ())),
    )


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
