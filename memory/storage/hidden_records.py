"""The records that recall leaves out: summarized ones, and older versions of documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ...core import AgentId, Json, MemoryFault, RecordId
from ...store import Store
from .auxiliary_logs import DOCUMENT_LOG, SUMMARY_LOG

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def hidden_ids(
    store: Store,
    agent: AgentId,
    *,
    step: int | None = None,
    tainted: Callable[[RecordId], bool] | None = None,
) -> list[RecordId]:
    """The numbers of the records that are not recalled as of the end of ``step`` (None: now), in
    order. Each can be had back: by expanding its summary, or as a document's older version.

    A summary of a ``tainted`` record is itself hidden, instead of what it summarizes."""
    summarized = _summarized(store, agent, step, tainted)
    return sorted(summarized | _superseded(store, agent, step))


def write_log_line(store: Store, agent: AgentId, log: str, line: Json, *, step: int) -> None:
    """Write a line into the log of summaries or of documents. Raises MemoryFault for an unknown
    log or an invalid line."""
    logs = {log.part: log for log in (SUMMARY_LOG, DOCUMENT_LOG)}
    if log not in logs:
        raise MemoryFault(f"{store.name}: no log '{log}'; known: {', '.join(logs)}")
    logs[log].append(store, agent, line, step=step)


def hiding_log_sizes(store: Store) -> dict[AgentId, tuple[int, ...]]:
    """The number of lines in each log that hides records, for agents that have any."""
    sizes = [log.sizes(store) for log in (SUMMARY_LOG, DOCUMENT_LOG)]
    return {agent: tuple(each.get(agent, 0) for each in sizes) for agent in set().union(*sizes)}


def summaries_in_force(
    store: Store, agent: AgentId, *, step: int | None = None
) -> dict[RecordId, list[int]]:
    """The summaries in force at the end of ``step`` (None: now), each with the records that it
    summarizes."""
    summaries: dict[RecordId, list[int]] = {}
    for entry in SUMMARY_LOG.entries(store, agent):
        if not entry.body or (step is not None and entry.step > step):
            continue
        if "unfold" in entry.body:
            summaries.pop(entry.body["unfold"], None)
        else:
            summaries[entry.body["summary"]] = entry.body["records"]
    return summaries


def document_contents(
    store: Store, agent: AgentId, *, step: int | None = None
) -> dict[str, list[tuple[RecordId, str]]]:
    """The documents as they were last imported: each one's records, with their places in it."""
    documents: dict[str, list[tuple[RecordId, str]]] = {}
    for entry in DOCUMENT_LOG.entries(store, agent):
        if entry.body and (step is None or entry.step <= step):
            records = [(number, place) for number, place in entry.body["records"]]
            documents[entry.body["document"]] = records
    return documents


def _summarized(
    store: Store,
    agent: AgentId,
    step: int | None,
    tainted: Callable[[RecordId], bool] | None,
) -> set[RecordId]:
    summaries = summaries_in_force(store, agent, step=step)
    apart = set(tainted_summaries(summaries, tainted)) if tainted else set()
    hidden = {n for summary, records in summaries.items() if summary not in apart for n in records}
    hidden |= apart
    for entry in SUMMARY_LOG.entries(store, agent):
        # The records of an expanded summary are recalled themselves.
        if entry.body and "unfold" in entry.body and (step is None or entry.step <= step):
            hidden.add(entry.body["unfold"])
    return hidden


def _superseded(store: Store, agent: AgentId, step: int | None) -> set[RecordId]:
    """The records of documents that are not in their last version."""
    ever: set[RecordId] = set()
    for entry in DOCUMENT_LOG.entries(store, agent):
        if entry.body and (step is None or entry.step <= step):
            ever.update(number for number, _ in entry.body["records"])
    contents = document_contents(store, agent, step=step)
    return ever - {number for records in contents.values() for number, _ in records}


def tainted_summaries(
    summaries: Mapping[RecordId, Sequence[RecordId]], tainted: Callable[[RecordId], bool]
) -> list[RecordId]:
    """The summaries of a tainted record, directly or through other summaries."""
    found: list[RecordId] = []
    for summary in sorted(summaries):  # What it summarizes is older.
        if any(number in found or tainted(number) for number in summaries[summary]):
            found.append(summary)
    return found


def hidden_id_array(
    store: Store,
    agent: AgentId,
    step: int | None,
    quarantined: frozenset[AgentId] = frozenset(),
    tainted: Callable[[RecordId], bool] | None = None,
) -> NDArray[np.int64]:
    """``hidden_ids`` as an array, the same object until a log grows or other sources are
    ``quarantined``; records of these are ``tainted``."""
    import numpy as np

    sizes = tuple(len(log.entries(store, agent)) for log in (SUMMARY_LOG, DOCUMENT_LOG))
    key = ("hidden", agent, step)
    state = (sizes, quarantined)
    cached: tuple[object, NDArray[np.int64]] | None = store.cache.get(key)
    if cached is None or cached[0] != state:
        ids = hidden_ids(store, agent, step=step, tainted=tainted) if any(sizes) else []
        cached = store.cache[key] = (state, np.array(ids, np.int64))
    return cached[1]
