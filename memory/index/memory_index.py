"""One agent's memory as arrays: what recall computes on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core import RECORD_KINDS, AgentId, Record, RecordId, RecordKind, Time
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
from .growable_arrays import Column
from .record_buffer import RecordBuffer
from .vector_index import VectorIndex

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from .lexical_index import LexicalIndex

_KIND_NUMBER = {kind: number for number, kind in enumerate(RECORD_KINDS)}
_EPOCH = datetime(1970, 1, 1)


def to_seconds(at: Time) -> float:
    """Seconds of the world's clock since 1970, for arithmetic only."""
    # Checked where times come in: here it would be done a million times.
    return (at - _EPOCH).total_seconds()


class MemoryIndex:
    """Records with one column for each number recall needs, in order of their numbers.

    Read from the store on first use, and kept up to date by the writer. What recall leaves
    out for long (``unloaded``: folded away) is not held, and neither is then the log of
    accesses (``access_position``), which only views of the past need: they read it all. ``who`` and
    ``audience`` are numbers into ``sources`` and ``audiences``; ``until`` is infinite for
    what does not expire and minus infinity for what is gone; ``duplicate_key`` is equal for records
    of one text, source and audience. ``record_sources`` are the sources of all records, those not
    held
    included. ``version`` changes with every
    write, ``derived`` keeps what was computed for it.
    """

    def __init__(self, kind: DTypeLike = np.float32, origins: RecordSources | None = None) -> None:
        self.records = RecordBuffer()
        self.record_sources = RecordSources() if origins is None else origins
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
        self.version = 0
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
        """Append records; ``bodies`` are their canonical JSON where it is there already."""
        if not rows:
            return
        records = [row.record for row in rows]
        self.record_id.extend([record.id for record in records])
        if records[-1].id > len(self.record_sources):
            self.record_sources.extend(records)
        self.last_step = max(self.last_step, rows[-1].step)
        made = [to_seconds(record.created) for record in records]
        texts = bodies or [body_of(record) for record in records]
        self.records.extend([text.encode() for text in texts])
        self.step.extend([row.step for row in rows])
        self.created.extend(made)
        self.last_access.extend(made)
        self.importance.extend([record.importance for record in records])
        self.kind.extend([_KIND_NUMBER[record.kind] for record in records])
        sources, audiences = self.sources, self.audiences
        self.who.extend([sources.setdefault(r.who, len(sources)) for r in records])
        self.audience.extend([audiences.setdefault(r.audience, len(audiences)) for r in records])
        self.duplicate_key.extend([_duplicate_key(record) for record in records])
        ends = [_expiry(record) for record in records]
        self.earliest_expiry = min(self.earliest_expiry, *ends)
        self.until.extend(ends)
        self._add_vectors([row.vector for row in rows])
        self.invalidate()

    def _add_vectors(self, vectors: Sequence[bytes | None]) -> None:
        have = [place for place, vector in enumerate(vectors) if vector is not None]
        start = len(self.vector_row)
        rows = np.full(len(vectors), -1, np.int64)
        rows[have] = np.arange(self.vectors.rows, self.vectors.rows + len(have))
        self.vector_row.extend(rows)
        self.row_position.extend(np.array(have, np.int64) + start)
        if have:
            flat = np.frombuffer(b"".join(vectors[place] or b"" for place in have), "<f4")
            self.vectors.extend(flat.reshape(len(have), -1))

    def mark_accessed(self, touch: RecordAccess) -> None:
        """Append to the access log."""
        places = self.positions_of(touch.records)
        at = to_seconds(touch.at)
        self.last_step = max(self.last_step, touch.step)
        if not len(self.unloaded):
            self.access_position.extend(places)
            self.access_step.extend([touch.step] * len(places))
            self.access_time.extend([at] * len(places))
        self.last_access.array[places] = at
        self.invalidate()

    def set_quarantined(self, who: frozenset[AgentId]) -> None:
        """Whose word is not recalled from now on."""
        self.quarantined = who
        self.invalidate()

    def quarantined_mask(self, count: int) -> NDArray[np.bool_] | None:
        """Whether each of the first ``count`` records rests on the words of somebody who is
        quarantined; None where nobody is."""
        if not self.quarantined:
            return None
        known: NDArray[np.bool_] | None = self.derived.get("suspect")
        if known is None:
            forms = name_forms(self.quarantined)
            known = self.record_sources.any_from(self.record_id.array, forms)
            # Who did something may be a thing, which is nobody's source.
            things = np.array([has_source((who,), forms) for who in self.sources], np.bool_)
            known = self.derived["suspect"] = known | things[self.who.array]
        return known[:count]

    def is_quarantined(self, number: RecordId) -> bool:
        """Whether a record, held here or not, rests on the words of somebody quarantined."""
        return has_source(self.record_sources.of(number), name_forms(self.quarantined))

    def invalidate(self) -> None:
        """What was computed no longer holds."""
        self.version += 1
        self.derived.clear()

    def unload(self, places: NDArray[np.int64]) -> None:
        """Hold the records at these places no longer; the others move up."""
        keep = np.ones(len(self.record_id), np.bool_)
        keep[places] = False
        self.unloaded = np.union1d(self.unloaded, self.record_id.array[places])
        self.records.keep_only(np.flatnonzero(keep).tolist())
        rows = self.vector_row.array[keep]
        have = np.flatnonzero(rows >= 0)
        self.vectors = self.vectors.subset(rows[have])
        for column in (self.record_id, self.step, self.created, self.last_access, self.importance):
            column.keep_only(keep)
        for column in (
            self.kind,
            self.vector_row,
            self.who,
            self.audience,
            self.until,
            self.duplicate_key,
        ):
            column.keep_only(keep)
        self.vector_row.array[have] = np.arange(len(have))
        self.row_position = Column(np.int64)
        self.row_position.extend(have)
        self.access_position, self.access_step = Column(np.int64), Column(np.int64)
        self.access_time = Column(np.float64)
        self.earliest_expiry = float(self.until.array.min(initial=np.inf))
        self.hidden = (None, self.unloaded)
        self._word_columns, self._lexical = {}, None
        self.invalidate()

    @property
    def record_count(self) -> int:
        """How many records the memory has, those that are not held included."""
        return len(self.records) + len(self.unloaded)

    def positions_of(self, numbers: Sequence[RecordId] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Where records of these numbers are; nothing for one that is not held."""
        wanted = np.asarray(numbers, np.int64)
        if not len(self.unloaded):
            held: NDArray[np.int64] = wanted[wanted <= len(self.record_id)] - 1
            return held
        numbered = self.record_id.array
        places = np.searchsorted(numbered, wanted)
        there = places < len(numbered)
        there[there] = numbered[places[there]] == wanted[there]
        found: NDArray[np.int64] = places[there]
        return found

    def count_at(self, step: int | None) -> int:
        """How many of the records held there were at the end of ``step``."""
        if step is None:
            return len(self.records)
        return int(np.searchsorted(self.step.array, step, side="right"))

    def latest_time(self, count: int) -> Time:
        """When the newest of the first ``count`` records was made; the least time for none."""
        if not count:
            return datetime.min
        return _EPOCH + timedelta(seconds=float(self.created.array[:count].max()))

    def last_access_at(self, step: int | None) -> NDArray[np.float64]:
        """Last accesses, shape (count_at(step),), in seconds, as of the end of ``step``."""
        if step is None:
            return self.last_access.array
        past = int(np.searchsorted(self.access_step.array, step, side="right"))
        last: NDArray[np.float64] = self.created.array[: self.count_at(step)].copy()
        # Of several accesses of one record the later assignment stands.
        last[self.access_position.array[:past]] = self.access_time.array[:past]
        return last

    def visible_positions(
        self, count: int, kinds: Sequence[RecordKind], person: AgentId
    ) -> NDArray[np.int64]:
        """Where those of the first ``count`` records are that are of ``kinds`` (all when
        empty), for ``person`` (empty: whoever asks) and not gone."""
        keep = self.until.array[:count] != -np.inf
        if kinds:
            keep &= np.array([kind in kinds for kind in RECORD_KINDS])[self.kind.array[:count]]
        if person:
            keep &= self.audience_mask(count, (person,))
        return np.flatnonzero(keep).astype(np.int64)

    def audience_mask(self, count: int, listeners: Sequence[AgentId]) -> NDArray[np.bool_]:
        """Whether each of the first ``count`` records may be told to all ``listeners``."""
        # As ``visible`` says, without a call for each of many audiences.
        wanted = set(listeners)
        heard = [not people or wanted.issubset(people) for people in self.audiences]
        found: NDArray[np.bool_] = np.array(heard)[self.audience.array[:count]]
        return found

    @property
    def lexical(self) -> LexicalIndex:
        """The words of the records; read only by what asks for them."""
        if self._lexical is None:
            from .lexical_index import LexicalIndex

            self._lexical = LexicalIndex()
        return self._lexical

    def contains_word(self, word: str) -> NDArray[np.bool_]:
        """Whether each record's text holds ``word``."""
        column = self._word_columns.setdefault(word, Column(np.bool_))
        start = len(column)
        column.extend(
            [word in self.records[place].text for place in range(start, len(self.records))]
        )
        return column.array

    def cosines(
        self, places: NDArray[np.int64], vector: NDArray[np.float32] | None
    ) -> NDArray[np.float64]:
        """Cosine of ``vector`` with the records at ``visible_positions``; 0 without an
        embedding."""
        found = np.zeros(len(places))
        if vector is None or not self.vectors.rows:
            return found
        rows = self.vector_row.array[places]
        have = rows >= 0
        found[have] = self.vectors.cosines(vector, rows[have])
        return found


def _duplicate_key(record: Record) -> int:
    """A number of 64 bits for what a record says, who says it and for whom."""
    whole = "\x00".join((record.text, record.who, *record.audience))
    return int.from_bytes(blake2b(whole.encode(), digest_size=8).digest(), "big", signed=True)


def _expiry(record: Record) -> float:
    """When a record ceases to be recalled, in seconds."""
    if record.source and is_erased(record):
        return -np.inf
    return np.inf if record.until is None else to_seconds(record.until)
