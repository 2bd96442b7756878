"""Statements as they were asserted, facts as they follow from them, and retractions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from ...core import AgentId, Json, RecordId, Time, from_json, is_visible, to_json
from ..storage import LogEntry

# Relations with one object at a time: a later statement ends the earlier one.
FUNCTIONAL = frozenset(
    (
        *("address", "age", "birthday", "drives", "email", "feels", "is at", "lives in"),
        *("office", "partner", "phone number", "plays", "studies", "works as", "works at"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One assertion that ``subject`` ``relation`` ``object`` holds from ``since`` (until ``until``
    if given).

    ``denies``: from ``since`` on it no longer holds (an empty object: no object does). ``learned``
    is when it was learned, ``sources`` are the ids of the records it rests on, ``who`` is the
    speaker, ``audience`` who may see it besides the owner (empty: everybody), ``words_of`` the
    sources of its words besides the owner.
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
        """Whether ``person`` may see it (empty: the owner, who sees everything)."""
        return is_visible(self.audience, person)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A fact computed from all visible statements: valid in [since, until) (``until`` None: still
    valid), asserted by each of ``statements``.

    ``id`` is the id of its first statement. ``confidence`` is 1 - prod(1 - c) over the
    statements' confidences c. ``words_of`` are the sources, besides the owner, of all statements of
    the same subject and relation, because they determine how long it holds.
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
        """Whether it was valid at ``at`` (None: whether it is still valid)."""
        if at is None:
            return self.until is None
        return self.since <= at and (self.until is None or at < self.until)

    def __str__(self) -> str:
        return f"{self.subject} {self.relation} {self.object}"


def statement_to_json(statement: Statement) -> Json:
    """A statement as the body of a log entry; the entry holds its id and step."""
    return {k: v for k, v in to_json(statement).items() if k not in ("id", "step")}


def statement_from_json(number: int, step: int, line: dict[str, Any]) -> Statement:
    """The inverse of ``statement_to_json``."""
    return from_json(Statement, {**line, "id": number, "step": step})


@dataclass(frozen=True, slots=True)
class RetractionChanges:
    """Log changes after an erasure: ``erase`` are the entries to empty, ``write`` the bodies to
    append, which repeat the state of the remaining statements without reasons."""

    erase: tuple[int, ...]
    write: tuple[dict[str, Any], ...]


def retracted_statements(bodies: Iterable[dict[str, Any]]) -> set[int]:
    """Ids of the statements that are retracted and not restored."""
    ids: set[int] = set()
    for body in bodies:
        ids.update(body.get("undo", ()))
        ids.difference_update(body.get("restore", ()))
    return ids


def retractions_after_erasure(
    entries: Collection[LogEntry], erased: Collection[int], names_person: Callable[[str], bool]
) -> RetractionChanges:
    """What to change in retractions and restorations when the statements ``erased`` are erased:
    those that concern one of them, or whose reason names the person, are replaced."""
    affected = [
        entry
        for entry in entries
        if entry.body
        and "subject" not in entry.body
        and (set(_statement_ids(entry)) & set(erased) or names_person(entry.body.get("why", "")))
    ]
    remaining = {number for entry in affected for number in _statement_ids(entry)} - set(erased)
    retracted = retracted_statements(entry.body for entry in entries if entry.body)
    bodies = []
    if remaining and affected[-1].body:
        at = affected[-1].body["at"]
        for key, ids in (("undo", remaining & retracted), ("restore", remaining - retracted)):
            if ids:
                bodies.append({key: sorted(ids), "at": at, "why": ""})
    return RetractionChanges(tuple(entry.n for entry in affected), tuple(bodies))


def _statement_ids(entry: LogEntry) -> list[int]:
    body = entry.body or {}
    return [*body.get("undo", ()), *body.get("restore", ())]
