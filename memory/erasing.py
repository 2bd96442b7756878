"""Erasing a person from what memory keeps beside its records: claims, documents, folds,
notes and calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..core import AgentId, RecordId
from ..store import Store
from .callbook import CallBook
from .claim_names import naming
from .claims import Claims
from .hiding import DOCUMENTS, FOLDS, folds
from .logbook import NOTES, Tail
from .memory import Memory


@dataclass(frozen=True, slots=True)
class Erasure:
    """Whom to erase, from whose memories, and which records of each are going; ``mentions``:
    whatever names them goes too."""

    person: AgentId
    agents: tuple[AgentId, ...]
    mentions: bool
    records: dict[AgentId, frozenset[RecordId]]


def erase_claims(store: Store, erasure: Erasure) -> int:
    """Empty the statements that were said by the person, are for them, or rest on records
    that are going (with ``mentions`` also those about them); returns how many."""
    return sum(
        Claims(Memory(store, agent)).erase(
            erasure.records.get(agent, ()), erasure.person, mentions=erasure.mentions
        )
        for agent in erasure.agents
    )


def erase_documents(store: Store, erasure: Erasure) -> int:
    """Empty the lines on documents of which every record is going; returns how many."""
    count = 0
    for agent in erasure.agents:
        going = set(erasure.records.get(agent, ()))
        entries = Tail.of(DOCUMENTS, store, agent).entries
        parts: dict[str, set[RecordId]] = {}
        for entry in entries:
            if entry.body:
                held = {number for number, _ in entry.body["records"]}
                parts.setdefault(entry.body["document"], set()).update(held)
        gone = {name for name, records in parts.items() if records <= going}
        lines = [e.n for e in entries if e.body and e.body["document"] in gone]
        DOCUMENTS.erase(store, agent, lines)
        count += len(lines)
    return count


def erase_folds(store: Store, erasure: Erasure) -> int:
    """Unfold every summary that tells of a record that is going, so that the others it stands
    for are recalled themselves, and empty the line that says why it was made (with
    ``mentions`` also lines that name them); returns how many summaries came apart. The
    summary's own text is its record's."""
    count = 0
    named = naming(erasure.person)
    for agent in erasure.agents:
        going = set(erasure.records.get(agent, ()))
        held = folds(store, agent)
        lines, instead = [], []
        for entry in Tail.of(FOLDS, store, agent).entries:
            if not entry.body or "unfold" in entry.body:
                continue
            summary = entry.body["summary"]
            apart = summary in going or not going.isdisjoint(entry.body["records"])
            if not apart and not (erasure.mentions and named(entry.body["why"])):
                continue
            lines.append(entry.n)
            if summary in held:
                gone = {"unfold": summary, "at": entry.body["at"]}
                instead.append(gone if apart else {**entry.body, "why": ""})
                count += apart
        FOLDS.erase(store, agent, lines)
        for line in instead:
            FOLDS.append(store, agent, line, step=_last(store, agent))
    return count


def erase_calls(store: Store, erasure: Erasure) -> int:
    """Drop the calls and the waiting talks that name the person; returns how many."""
    return CallBook(store).erase(erasure.agents, erasure.person)


def erase_notes(store: Store, erasure: Erasure) -> int:
    """Empty the notes that were written for the person (with ``mentions`` also those that name
    them); returns how many lines."""
    named = naming(erasure.person)
    count = 0
    for agent in erasure.agents:
        lines = []
        for entry in Tail.of(NOTES, store, agent).entries:
            body = entry.body or {}
            texts = " ".join(str(body.get(part, "")) for part in ("note", "removed", "text"))
            if body and (body["person"] == erasure.person or (erasure.mentions and named(texts))):
                lines.append(entry.n)
        NOTES.erase(store, agent, lines)
        count += len(lines)
    return count


def _last(store: Store, agent: AgentId) -> int:
    return Memory(store, agent).shelf.last_step


ERASERS: dict[str, Callable[[Store, Erasure], int]] = {
    "calls": erase_calls,
    "claims": erase_claims,
    "documents": erase_documents,
    "folds": erase_folds,
    "notes": erase_notes,
}
"""By the part of the store: what erases there, inside the caller's transaction."""
