"""Which records recall leaves out: folded away, or of an older version of a document."""

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
    """Numbers of the records that are not recalled as of the end of ``step`` (None: now), in
    order; each can be had back: by unfolding, or as a document's older version.

    A summary of a ``tainted`` record is hidden instead of what it stands for, which is told
    by itself."""
    return sorted(_summarized(store, agent, step, tainted) | _superseded(store, agent, step))


def write_log_line(store: Store, agent: AgentId, log: str, line: Json, *, step: int) -> None:
    """Write a line of a step into the log of folds or of documents. Raises MemoryFault for
    what is none."""
    books = {book.part: book for book in (SUMMARY_LOG, DOCUMENT_LOG)}
    if log not in books:
        raise MemoryFault(f"{store.name}: no log '{log}'; known: {', '.join(books)}")
    books[log].append(store, agent, line, step=step)


def hiding_log_sizes(store: Store) -> dict[AgentId, tuple[int, ...]]:
    """How many lines the logs that hide records have, for those who have any."""
    sizes = [book.sizes(store) for book in (SUMMARY_LOG, DOCUMENT_LOG)]
    return {agent: tuple(each.get(agent, 0) for each in sizes) for agent in set().union(*sizes)}


def summaries_in_force(
    store: Store, agent: AgentId, *, step: int | None = None
) -> dict[RecordId, list[int]]:
    """The folds in force at the end of ``step`` (None: now): each summary's records."""
    found: dict[RecordId, list[int]] = {}
    for entry in SUMMARY_LOG.entries(store, agent):
        if not entry.body or (step is not None and entry.step > step):
            continue
        if "unfold" in entry.body:
            found.pop(entry.body["unfold"], None)
        else:
            found[entry.body["summary"]] = entry.body["records"]
    return found


def document_contents(
    store: Store, agent: AgentId, *, step: int | None = None
) -> dict[str, list[tuple[RecordId, str]]]:
    """The documents as they were last imported: each one's records, with their places."""
    found: dict[str, list[tuple[RecordId, str]]] = {}
    for entry in DOCUMENT_LOG.entries(store, agent):
        if entry.body and (step is None or entry.step <= step):
            found[entry.body["document"]] = [(each[0], each[1]) for each in entry.body["records"]]
    return found


def _summarized(
    store: Store,
    agent: AgentId,
    step: int | None,
    tainted: Callable[[RecordId], bool] | None,
) -> set[RecordId]:
    held = summaries_in_force(store, agent, step=step)
    apart = set(tainted_summaries(held, tainted)) if tainted else set()
    gone = {n for summary, records in held.items() if summary not in apart for n in records}
    gone |= apart
    for entry in SUMMARY_LOG.entries(store, agent):
        # A summary whose records are back would tell them twice.
        if entry.body and "unfold" in entry.body and (step is None or entry.step <= step):
            gone.add(entry.body["unfold"])
    return gone


def _superseded(store: Store, agent: AgentId, step: int | None) -> set[RecordId]:
    ever: set[RecordId] = set()
    for entry in DOCUMENT_LOG.entries(store, agent):
        if entry.body and (step is None or entry.step <= step):
            ever.update(each[0] for each in entry.body["records"])
    held = {
        i for records in document_contents(store, agent, step=step).values() for i, _ in records
    }
    return ever - held


def tainted_summaries(
    held: Mapping[RecordId, Sequence[RecordId]], tainted: Callable[[RecordId], bool]
) -> list[RecordId]:
    """Summaries that tell of a tainted record, by themselves or through summaries in them."""
    found: list[RecordId] = []
    for summary in sorted(held):  # what it stands for is older
        if any(number in found or tainted(number) for number in held[summary]):
            found.append(summary)
    return found


def hidden_id_array(
    store: Store,
    agent: AgentId,
    step: int | None,
    quarantined: frozenset[AgentId] = frozenset(),
    tainted: Callable[[RecordId], bool] | None = None,
) -> NDArray[np.int64]:
    """``hidden_ids`` as an array, one and the same until a log grows or others are
    ``quarantined``; records of theirs are ``tainted``."""
    import numpy as np

    sizes = tuple(len(book.entries(store, agent)) for book in (SUMMARY_LOG, DOCUMENT_LOG))
    key = ("hidden", agent, step)
    kept = store.cache.get(key)
    state = (sizes, quarantined)
    if kept is None or kept[0] != state:
        now = hidden_ids(store, agent, step=step, tainted=tainted) if any(sizes) else []
        kept = store.cache[key] = (state, np.array(now, np.int64))
    found: NDArray[np.int64] = kept[1]
    return found
