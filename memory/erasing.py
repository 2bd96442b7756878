"""Erasing a person from what memory keeps beside its records: claims, documents, folds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from ..core import AgentId, RecordId
from ..store import Store
from .claims import Claims
from .hiding import DOCUMENTS, FOLDS, folds
from .logbook import Tail
from .memory import Memory


class Erasure(Protocol):
    """Whom to erase, from whose memories, and which of their records are going; ``mentions``:
    whatever names them goes too."""

    @property
    def person(self) -> AgentId:
        """Who is erased."""
        ...

    @property
    def agents(self) -> Sequence[AgentId]:
        """Whose memories are meant."""
        ...

    @property
    def mentions(self) -> bool:
        """Whether what names them goes too."""
        ...

    @property
    def records(self) -> Mapping[AgentId, Collection[RecordId]]:
        """The records that are going, for each agent."""
        ...


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
    for are recalled themselves; returns how many. The summary's own text is its record's."""
    count = 0
    for agent in erasure.agents:
        going = set(erasure.records.get(agent, ()))
        for summary, records in folds(store, agent).items():
            if summary not in going and going.isdisjoint(records):
                continue
            (made,) = (
                e for e in Tail.of(FOLDS, store, agent).entries
                if e.body and e.body.get("summary") == summary
            )  # fmt: skip
            assert made.body is not None
            FOLDS.append(
                store, agent, {"unfold": summary, "at": made.body["at"]}, step=_last(store, agent)
            )
            count += 1
    return count


def _last(store: Store, agent: AgentId) -> int:
    return Memory(store, agent).shelf.last_step


ERASERS: dict[str, Callable[[Store, Erasure], int]] = {
    "claims": erase_claims,
    "documents": erase_documents,
    "folds": erase_folds,
}
"""By the part of the store: what erases there, inside the caller's transaction."""
