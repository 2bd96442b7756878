"""Which records are folded away: what recall leaves out."""

from __future__ import annotations

from ..core import AgentId, RecordId
from ..store import Store
from .logbook import Logbook, Tail

BOOK = Logbook("folds")


def folds(store: Store, agent: AgentId, *, step: int | None = None) -> dict[int, list[RecordId]]:
    """The folds in force at the end of ``step`` (None: now): each summary's records."""
    found: dict[int, list[RecordId]] = {}
    for entry in Tail.of(BOOK, store, agent).entries:
        if not entry.body or (step is not None and entry.step > step):
            continue
        if "unfold" in entry.body:
            found.pop(entry.body["unfold"], None)
        else:
            found[entry.body["summary"]] = entry.body["records"]
    return found


def hidden(store: Store, agent: AgentId, *, step: int | None = None) -> list[RecordId]:
    """Numbers of the records that are folded away, and of the summaries that were unfolded,
    in order: recall leaves them out."""
    at_work = folds(store, agent, step=step)
    gone = {number for records in at_work.values() for number in records}
    for entry in Tail.of(BOOK, store, agent).entries:
        within = step is None or entry.step <= step
        if entry.body and within and "unfold" in entry.body:
            gone.add(entry.body["unfold"])
    return sorted(gone)
