"""One agent's memory as arrays, on which recall computes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core import RECORD_KINDS, AgentId, Record, RecordId, RecordKind, Time, to_seconds
from ...store import Store
from ..storage import (
    RecordAccess,
    RecordSources,
    StoredRecord,
    body_of,
    has_source,
    is_erased,
    name_forms,
    read_accesses,
    read_quarantined,
    read_record_batches,
    unlabelled_count,
)
from .columns import Column, RecordBuffer
from .lexical_index import LexicalIndex
from .vector_index import VectorIndex

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

_KIND_NUMBER = {kind: number for number, kind in enumerate(RECORD_KINDS)}
_EPOCH = datetime(1970, 1, 1)


class MemoryIndex:
    """The loaded records of one agent with a column for each number that recall needs, in order
    of record number.

    Read from the store on first use and kept up to date by the writer. A *position* is a place in
    these columns. Records in ``unloaded``, which recall leaves out for long, are not in them; the
    access log (``access_position``, ``access_step``, ``access_time``) is kept only if all records
    are loaded, since only views of the past need it.

    ``who`` and ``audience`` are numbers into ``sources`` and ``audiences``; ``until`` is infinite
    for a record without expiry and minus infinity for an erased one; ``duplicate_key`` is equal for
    records of equal text, source and audience; ``vector_row`` is the row of a record's embedding in
    ``vectors`` (-1: none) and ``row_position`` the inverse. ``record_sources`` covers unloaded
    records too. ``derived`` caches what was computed since the last write.
    """

    def __init__(self, kind: DTypeLike, record_sources: RecordSources) -> None:
        self.records = RecordBuffer()
        self.record_sources = record_sources
        self.vectors = VectorIndex(kind)
        self.record_id = Column(np.int64)
        self.unloaded: NDArray[np.int64] = np.empty(0, np.int64)
        self.hidden: tuple[object, NDArray[np.int64]] = (None, self.unloaded)
        self.last_step = 0
        self.step = Column(np.int64)
        self.created = Column(np.float64)
        self.last_access = Column(np.float64)
        self.importance = Column(np.float64)
        self.kind = Column(np.int8)
        self.vector_row = Column(np.int64)
        self.row_position = Column(np.int64)
        self.who = Column(np.int32)
        self.audience = Column(np.int32)
        self.until = Column(np.float64)
        self.duplicate_key = Column(np.int64)
        self.access_position = Column(np.int64)
        self.access_step = Column(np.int64)
        self.access_time = Column(np.float64)
        self.sources: dict[AgentId, int] = {}
        self.audiences: dict[tuple[AgentId, ...], int] = {(): 0}
        self.earliest_expiry = np.inf
        self.quarantined: frozenset[AgentId] = frozenset()
        self.derived: dict[object, Any] = {}
        self._word_columns: dict[str, Column] = {}
        self._lexical: LexicalIndex | None = None

    @classmethod
    def read(
        cls,
        store: Store,
        agent: AgentId,
        kind: DTypeLike = np.float32,
        without: Sequence[RecordId] = (),
    ) -> MemoryIndex:
        """An agent's memory, ``without`` some records. Raises MemoryFault if it fails its
        checks."""
        index = cls(kind, RecordSources(agent, unlabelled_count(store, agent)))
        left_out = set(without)
        for batch in read_record_batches(store, agent):
            loaded = [pair for pair in batch if pair[0].record.id not in left_out]
            unloaded = [row.record.id for row, _ in batch if row.record.id in left_out]
            index.unloaded = np.append(index.unloaded, np.array(unloaded, np.int64))
            index.record_sources.extend([row.record for row, _ in batch])
            index.add([row for row, _ in loaded], [body for _, body in loaded])
            index.last_step = max(index.last_step, batch[-1][0].step)
        for access in read_accesses(store, agent):
            index.mark_accessed(access)
        index.quarantined = read_quarantined(store, agent)
        return index

    def add(self, rows: Sequence[StoredRecord], bodies: Sequence[str] | None = None) -> None:
        """Append records; ``bodies`` are their canonical JSON, if already made."""
        if not rows:
            return
        records = [row.record for row in rows]
        self.record_id.extend([record.id for record in records])
        if records[-1].id > len(self.record_sources):
            self.record_sources.extend(records)
        self.last_step = max(self.last_step, rows[-1].step)
        created = [to_seconds(record.created) for record in records]
        texts = bodies or [body_of(record) for record in records]
        self.records.extend([text.encode() for text in texts])
        self.step.extend([row.step for row in rows])
        self.created.extend(created)
        self.last_access.extend(created)
        self.importance.extend([record.importance for record in records])
        self.kind.extend([_KIND_NUMBER[record.kind] for record in records])
        sources, audiences = self.sources, self.audiences
        self.who.extend([sources.setdefault(r.who, len(sources)) for r in records])
        self.audience.extend([audiences.setdefault(r.audience, len(audiences)) for r in records])
        self.duplicate_key.extend([_duplicate_key(record) for record in records])
        expiries = [_expiry(record) for record in records]
        self.earliest_expiry = min(self.earliest_expiry, *expiries)
        self.until.extend(expiries)
        self._add_vectors([row.vector for row in rows])
        self.invalidate()

    def _add_vectors(self, vectors: Sequence[bytes | None]) -> None:
        """Append the embeddings of the last records, float32 of one length."""
        embedded = [place for place, vector in enumerate(vectors) if vector is not None]
        start = len(self.vector_row)
        rows = np.full(len(vectors), -1, np.int64)
        rows[embedded] = np.arange(self.vectors.rows, self.vectors.rows + len(embedded))
        self.vector_row.extend(rows)
        self.row_position.extend(np.array(embedded, np.int64) + start)
        if embedded:
            flat = np.frombuffer(b"".join(filter(None, vectors)), "<f4")
            self.vectors.extend(flat.reshape(len(embedded), -1))

    def mark_accessed(self, access: RecordAccess) -> None:
        """Append to the access log."""
        positions = self.positions_of(access.records)
        at = to_seconds(access.at)
        self.last_step = max(self.last_step, access.step)
        if not len(self.unloaded):
            self.access_position.extend(positions)
            self.access_step.extend([access.step] * len(positions))
            self.access_time.extend([at] * len(positions))
        self.last_access.array[positions] = at
        self.invalidate()

    def set_quarantined(self, who: frozenset[AgentId]) -> None:
        """Set the persons and sources excluded from recall."""
        self.quarantined = who
        self.invalidate()

    def quarantined_mask(self, count: int) -> NDArray[np.bool_] | None:
        """Whether each of the first ``count`` records rests on a quarantined source; None if none
        is quarantined."""
        if not self.quarantined:
            return None
        mask: NDArray[np.bool_] | None = self.derived.get("quarantined")
        if mask is None:
            forms = name_forms(self.quarantined)
            mask = self.record_sources.any_from(self.record_id.array, forms)
            # What acted in an observation may be an object, which is no source.
            actors = np.array([has_source((who,), forms) for who in self.sources], np.bool_)
            mask = self.derived["quarantined"] = mask | actors[self.who.array]
        return mask[:count]

    def is_quarantined(self, number: RecordId) -> bool:
        """Whether a record, loaded or not, rests on a quarantined source."""
        return has_source(self.record_sources.of(number), name_forms(self.quarantined))

    def invalidate(self) -> None:
        """Drop what was derived from the records."""
        self.derived.clear()

    def unload(self, positions: NDArray[np.int64]) -> None:
        """Remove the records at these positions; the others move up."""
        keep = np.ones(len(self.record_id), np.bool_)
        keep[positions] = False
        self.unloaded = np.union1d(self.unloaded, self.record_id.array[positions])
        self.records.keep_only(np.flatnonzero(keep).tolist())
        rows = self.vector_row.array[keep]
        embedded = np.flatnonzero(rows >= 0)
        self.vectors = self.vectors.subset(rows[embedded])
        for column in (
            self.record_id,
            self.step,
            self.created,
            self.last_access,
            self.importance,
            self.kind,
            self.vector_row,
            self.who,
            self.audience,
            self.until,
            self.duplicate_key,
        ):
            column.keep_only(keep)
        self.vector_row.array[embedded] = np.arange(len(embedded))
        self.row_position = Column(np.int64)
        self.row_position.extend(embedded)
        self.access_position, self.access_step = Column(np.int64), Column(np.int64)
        self.access_time = Column(np.float64)
        self.earliest_expiry = float(self.until.array.min(initial=np.inf))
        self.hidden = (None, self.unloaded)
        self._word_columns, self._lexical = {}, None
        self.invalidate()

    @property
    def record_count(self) -> int:
        """How many records the memory has, unloaded ones included."""
        return len(self.records) + len(self.unloaded)

    def positions_of(self, numbers: Sequence[RecordId] | NDArray[np.int64]) -> NDArray[np.int64]:
        """The positions of the records of these numbers, without unloaded ones."""
        wanted = np.asarray(numbers, np.int64)
        if not len(self.unloaded):
            loaded: NDArray[np.int64] = wanted[wanted <= len(self.record_id)] - 1
            return loaded
        ids = self.record_id.array
        positions = np.searchsorted(ids, wanted)
        exists = positions < len(ids)
        exists[exists] = ids[positions[exists]] == wanted[exists]
        existing: NDArray[np.int64] = positions[exists]
        return existing

    def count_at(self, step: int | None) -> int:
        """How many of the loaded records existed at the end of ``step``; all for None."""
        if step is None:
            return len(self.records)
        return int(np.searchsorted(self.step.array, step, side="right"))

    def latest_time(self, count: int) -> Time:
        """When the newest of the first ``count`` records was created; the least time for none."""
        if not count:
            return datetime.min
        return _EPOCH + timedelta(seconds=float(self.created.array[:count].max()))

    def last_access_at(self, step: int | None) -> NDArray[np.float64]:
        """Last accesses in seconds as of the end of ``step``, shape (count_at(step),)."""
        if step is None:
            return self.last_access.array
        past = int(np.searchsorted(self.access_step.array, step, side="right"))
        last: NDArray[np.float64] = self.created.array[: self.count_at(step)].copy()
        # Of several accesses of one record the last assignment wins.
        last[self.access_position.array[:past]] = self.access_time.array[:past]
        return last

    def visible_positions(
        self, count: int, kinds: Sequence[RecordKind], person: AgentId
    ) -> NDArray[np.int64]:
        """The positions of those of the first ``count`` records that are of ``kinds`` (all if
        empty), visible to ``person`` (the owner if empty) and not erased."""
        mask = self.until.array[:count] != -np.inf
        if kinds:
            mask &= np.array([kind in kinds for kind in RECORD_KINDS])[self.kind.array[:count]]
        if person:
            mask &= self.audience_mask(count, (person,))
        return np.flatnonzero(mask).astype(np.int64)

    def audience_mask(self, count: int, listeners: Sequence[AgentId]) -> NDArray[np.bool_]:
        """Whether each of the first ``count`` records is visible to all ``listeners``."""
        # ``is_visible``, once for each audience instead of once for each record.
        everyone = set(listeners)
        visible = [not people or everyone.issubset(people) for people in self.audiences]
        mask: NDArray[np.bool_] = np.array(visible)[self.audience.array[:count]]
        return mask

    @property
    def lexical(self) -> LexicalIndex:
        """The index of the records' words; empty until ``LexicalIndex.index_records``."""
        if self._lexical is None:
            self._lexical = LexicalIndex()
        return self._lexical

    def contains_word(self, word: str) -> NDArray[np.bool_]:
        """Whether each record's text contains ``word``."""
        column = self._word_columns.setdefault(word, Column(np.bool_))
        new = range(len(column), len(self.records))
        column.extend([word in self.records[position].text for position in new])
        return column.array

    def cosines(
        self, positions: NDArray[np.int64], vector: NDArray[np.float32] | None
    ) -> NDArray[np.float64]:
        """Cosines of ``vector`` with the records at ``positions``; 0 without an embedding."""
        cosines = np.zeros(len(positions))
        if vector is None or not self.vectors.rows:
            return cosines
        rows = self.vector_row.array[positions]
        embedded = rows >= 0
        cosines[embedded] = self.vectors.cosines(vector, rows[embedded])
        return cosines


def _duplicate_key(record: Record) -> int:
    """A 64-bit hash of a record's text, source and audience."""
    content = "\x00".join((record.text, record.who, *record.audience))
    return int.from_bytes(blake2b(content.encode(), digest_size=8).digest(), "big", signed=True)


def _expiry(record: Record) -> float:
    """When a record expires, in seconds."""
    if record.source and is_erased(record):
        return -np.inf
    return np.inf if record.until is None else to_seconds(record.until)
