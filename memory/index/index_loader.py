"""Loading the in-memory index of an agent's records and keeping it current."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...core import AgentId, MemoryFault, Record, RecordId, RecordKind, is_visible
from ..storage import hidden_id_array, hidden_ids, is_erased, read_quarantined, read_records_by_id
from .memory_index import MemoryIndex

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...store import Store

UNLOAD_SLACK = 64
"""This many hidden records, and a tenth of those loaded, may stay in an index: removing them
copies all of it."""


class IndexLoader:
    """Access to one agent's records in RAM, now or as of the end of a step.

    Indexes are kept in ``store.cache``, shared by all loaders of an agent: one of the present,
    without the records that recall leaves out for long (summarized, or of an older version of a
    document), and, for views of the past, one of all records. ``compact`` keeps embeddings as
    float16 in an index that this loader is the first to need.
    """

    def __init__(
        self, store: Store, agent: AgentId, *, compact: bool = False, as_of_step: int | None = None
    ) -> None:
        self.store = store
        self.agent = agent
        self.as_of_step = as_of_step
        self._compact = compact

    def as_of(self, step: int) -> IndexLoader:
        """A loader that sees the memory as of the end of ``step``."""
        step = step if self.as_of_step is None else min(step, self.as_of_step)
        return IndexLoader(self.store, self.agent, compact=self._compact, as_of_step=step)

    def fault(self, what: str) -> MemoryFault:
        """The error to raise for this memory."""
        return MemoryFault(f"{self.store.name}: memory of {self.agent}: {what}")

    def refuse(self, fault: str) -> None:
        """Raises MemoryFault unless ``fault`` is empty."""
        if fault:
            raise self.fault(fault)

    @property
    def index(self) -> MemoryIndex:
        """The index, read again if the store has changed. Raises MemoryFault for a damaged
        memory."""
        self.store.refresh()
        index: MemoryIndex | None = self.store.cache.get(("memory", self.agent))
        if index is None:
            # Where somebody is quarantined, what is hidden depends on who said what.
            skipped = (
                ()
                if read_quarantined(self.store, self.agent)
                else hidden_ids(self.store, self.agent)
            )
            index = self._read("memory", skipped)
        if self.as_of_step is None or not len(index.unloaded):
            return index
        complete: MemoryIndex | None = self.store.cache.get(("memory whole", self.agent))
        return self._read("memory whole") if complete is None else complete

    def _read(self, key: str, skipped: Sequence[RecordId] = ()) -> MemoryIndex:
        kind = np.float16 if self._compact else np.float32
        index = MemoryIndex.read(self.store, self.agent, kind, skipped)
        self.store.cache[key, self.agent] = index
        return index

    def loaded(self) -> list[MemoryIndex]:
        """The agent's indexes that are in RAM, for a writer to update."""
        indexes = [self.store.cache.get((key, self.agent)) for key in ("memory", "memory whole")]
        return [index for index in indexes if index is not None]

    def current(self) -> tuple[MemoryIndex, NDArray[np.int64]]:
        """The index, and the positions in it of the records that recall leaves out.

        Records hidden since the index was read are removed from it once there are enough of
        them; it is read again if a removed record is no longer hidden.
        """
        index = self.index
        quarantined = index.quarantined
        tainted = index.is_quarantined if quarantined else None
        hidden = hidden_id_array(self.store, self.agent, self.as_of_step, quarantined, tainted)
        if self.as_of_step is not None:
            return index, index.positions_of(hidden)
        if index.hidden[0] is not hidden:
            if len(np.setdiff1d(index.unloaded, hidden)):
                del self.store.cache["memory", self.agent]
                index = self.index
            positions = index.positions_of(hidden)
            if len(positions) > UNLOAD_SLACK + len(index.records) // 10:
                index.unload(positions)
                positions = positions[:0]
            index.hidden = (hidden, positions)
        return index, index.hidden[1]

    def __len__(self) -> int:
        index = self.index
        if self.as_of_step is None:
            return index.record_count
        return index.count_at(self.as_of_step)

    def record(self, number: RecordId) -> Record:
        """The record of a number, loaded or not, erased or not."""
        index = self.index
        positions = index.positions_of([number])
        if len(positions):
            return index.records.get(int(positions[0]))
        return read_records_by_id(self.store, self.agent, [number])[0]

    def records(
        self, kinds: Sequence[RecordKind], last: int | None, person: AgentId
    ) -> tuple[Record, ...]:
        """Records in order of number, without erased ones: of ``kinds`` (all if empty), visible to
        ``person``, only the ``last`` ones if given."""
        index = self.index
        positions = index.visible_positions(index.count_at(self.as_of_step), kinds, person)
        if last is not None:
            positions = positions[max(0, len(positions) - last) :]
        records = [index.records.get(position) for position in positions.tolist()]
        unloaded: Iterable[RecordId] = index.unloaded.tolist()
        if last is not None and len(records) == last:
            # An unloaded record older than all of these is not among the last.
            oldest = records[0].id if records else len(self) + 1
            unloaded = [number for number in unloaded if number > oldest]
        for record in read_records_by_id(self.store, self.agent, list(unloaded)):
            visible = is_visible(record.audience, person)
            if visible and not is_erased(record) and (not kinds or record.kind in kinds):
                records.append(record)
        if len(records) > len(positions):
            records.sort(key=lambda record: record.id)
        return tuple(records[max(0, len(records) - last) :] if last is not None else records)
