"""One agent's memory as arrays: what recall computes on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import KINDS, AgentId, Kind, Record, RecordId, Time
from ..store import Store
from .bodies import Bodies
from .columns import Column
from .encoding import body_of, gone
from .index import Index
from .ledger import read_quarantine
from .origins import Origins, is_among, name_forms
from .table import Row, Touch, fault, read_bodies, read_touches, unlabelled

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from .lexical import Lexical

_NUMBER = {kind: number for number, kind in enumerate(KINDS)}
_START = datetime(1970, 1, 1)
_PIECE = 4096


def seconds(at: Time) -> float:
    """Seconds of the world's clock since 1970, for arithmetic only."""
    # Checked where times come in: here it would be done a million times.
    return (at - _START).total_seconds()


class Shelf:
    """Records with one column for each number recall needs, in order of their numbers.

    Read from the store on first use, and kept up to date by the writer. What recall leaves
    out for long (``dropped``: folded away) is not held, and neither is then the log of
    accesses (``touched``), which only views of the past need: they read it all. ``who`` and
    ``audience`` are numbers into ``sources`` and ``audiences``; ``until`` is infinite for
    what does not expire and minus infinity for what is gone; ``saying`` is equal for records
    of one text, source and audience. ``origins`` are the sources of all records, those not held
    included. ``version`` changes with every
    write, ``memo`` keeps what was computed for it.
    """

    def __init__(self, kind: DTypeLike = np.float32, origins: Origins | None = None) -> None:
        self.records = Bodies()
        self.origins = Origins() if origins is None else origins
        self.index = Index(kind)
        self.number = Column(np.int64)
        self.dropped: NDArray[np.int64] = np.empty(0, np.int64)
        self.hidden: tuple[object, NDArray[np.int64]] = (None, self.dropped)
        self.last_step = 0
        self.step = Column(np.int64)
        self.created = Column(np.float64)
        self.accessed = Column(np.float64)
        self.importance = Column(np.float64)
        self.kind = Column(np.int8)
        self.row = Column(np.int64)
        self.place = Column(np.int64)
        self.who = Column(np.int32)
        self.audience = Column(np.int32)
        self.until = Column(np.float64)
        self.saying = Column(np.int64)
        self.touched = Column(np.int64)
        self.touch_step = Column(np.int64)
        self.touch_at = Column(np.float64)
        self.sources: dict[AgentId, int] = {}
        self.audiences: dict[tuple[AgentId, ...], int] = {(): 0}
        self.first_end = np.inf
        self.quarantined: frozenset[AgentId] = frozenset()
        self.version = 0
        self.memo: dict[object, Any] = {}
        self._words: dict[str, Column] = {}
        self._lexical: Lexical | None = None

    @classmethod
    def read(
        cls,
        store: Store,
        agent: AgentId,
        kind: DTypeLike = np.float32,
        without: Sequence[RecordId] = (),
    ) -> Shelf:
        """An agent's memory, all of it or ``without`` some records. Raises MemoryFault when
        it fails its checks."""
        shelf = cls(kind, Origins(agent, unlabelled(store, agent)))
        out, dropped = set(without), []
        rows = read_bodies(store, agent)
        while piece := list(islice(rows, _PIECE)):
            held = [each for each in piece if each[0].record.id not in out]
            dropped += [row.record.id for row, _ in piece if row.record.id in out]
            shelf.dropped = np.array(dropped, np.int64)
            shelf.origins.extend([row.record for row, _ in piece])
            try:
                shelf.add([row for row, _ in held], [body for _, body in held])
            except ValueError as error:
                raise fault(
                    store,
                    agent,
                    f"embeddings of records up to {piece[-1][0].record.id} do not "
                    f"fit together ({error})",
                ) from error
            shelf.last_step = max(shelf.last_step, piece[-1][0].step)
        for touch in read_touches(store, agent):
            if max(touch.records, default=0) > shelf.total:
                raise fault(store, agent, f"an access of records {touch.records} it has not")
            shelf.touch(touch)
        shelf.quarantined = read_quarantine(store, agent)
        return shelf

    def add(self, rows: Sequence[Row], bodies: Sequence[str] | None = None) -> None:
        """Append records; ``bodies`` are their canonical JSON where it is there already."""
        if not rows:
            return
        records = [row.record for row in rows]
        self.number.extend([record.id for record in records])
        if records[-1].id > len(self.origins):
            self.origins.extend(records)
        self.last_step = max(self.last_step, rows[-1].step)
        made = [seconds(record.created) for record in records]
        texts = bodies or [body_of(record) for record in records]
        self.records.extend([text.encode() for text in texts])
        self.step.extend([row.step for row in rows])
        self.created.extend(made)
        self.accessed.extend(made)
        self.importance.extend([record.importance for record in records])
        self.kind.extend([_NUMBER[record.kind] for record in records])
        sources, audiences = self.sources, self.audiences
        self.who.extend([sources.setdefault(r.who, len(sources)) for r in records])
        self.audience.extend([audiences.setdefault(r.audience, len(audiences)) for r in records])
        self.saying.extend([_saying(record) for record in records])
        ends = [_end(record) for record in records]
        self.first_end = min(self.first_end, *ends)
        self.until.extend(ends)
        self._add_vectors([row.vector for row in rows])
        self.changed()

    def _add_vectors(self, vectors: Sequence[bytes | None]) -> None:
        have = [place for place, vector in enumerate(vectors) if vector is not None]
        start = len(self.row)
        rows = np.full(len(vectors), -1, np.int64)
        rows[have] = np.arange(self.index.rows, self.index.rows + len(have))
        self.row.extend(rows)
        self.place.extend(np.array(have, np.int64) + start)
        if have:
            sizes = {len(vectors[place] or b"") for place in have}
            flat = np.frombuffer(b"".join(vectors[place] or b"" for place in have), "<f4")
            if len(sizes) > 1 or not np.isfinite(flat).all():
                raise ValueError(f"embeddings of {sorted(sizes)} bytes, or not finite")
            self.index.extend(flat.reshape(len(have), -1))

    def touch(self, touch: Touch) -> None:
        """Append to the access log."""
        places = self.places_of(touch.records)
        at = seconds(touch.at)
        self.last_step = max(self.last_step, touch.step)
        if not len(self.dropped):
            self.touched.extend(places)
            self.touch_step.extend([touch.step] * len(places))
            self.touch_at.extend([at] * len(places))
        self.accessed.array[places] = at
        self.changed()

    def distrust(self, who: frozenset[AgentId]) -> None:
        """Whose word is not recalled from now on."""
        self.quarantined = who
        self.changed()

    def suspect(self, count: int) -> NDArray[np.bool_] | None:
        """Whether each of the first ``count`` records rests on the words of somebody who is
        quarantined; None where nobody is."""
        if not self.quarantined:
            return None
        known: NDArray[np.bool_] | None = self.memo.get("suspect")
        if known is None:
            forms = name_forms(self.quarantined)
            known = self.origins.among(self.number.array, forms)
            # Who did something may be a thing, which is nobody's source.
            things = np.array([is_among((who,), forms) for who in self.sources], np.bool_)
            known = self.memo["suspect"] = known | things[self.who.array]
        return known[:count]

    def suspected(self, number: RecordId) -> bool:
        """Whether a record, held here or not, rests on the words of somebody quarantined."""
        return is_among(self.origins.of(number), name_forms(self.quarantined))

    def changed(self) -> None:
        """What was computed no longer holds."""
        self.version += 1
        self.memo.clear()

    def drop(self, places: NDArray[np.int64]) -> None:
        """Hold the records at these places no longer; the others move up."""
        keep = np.ones(len(self.number), np.bool_)
        keep[places] = False
        self.dropped = np.union1d(self.dropped, self.number.array[places])
        self.records.only(np.flatnonzero(keep).tolist())
        rows = self.row.array[keep]
        have = np.flatnonzero(rows >= 0)
        self.index = self.index.only(rows[have])
        for column in (self.number, self.step, self.created, self.accessed, self.importance):
            column.only(keep)
        for column in (self.kind, self.row, self.who, self.audience, self.until, self.saying):
            column.only(keep)
        self.row.array[have] = np.arange(len(have))
        self.place = Column(np.int64)
        self.place.extend(have)
        self.touched, self.touch_step = Column(np.int64), Column(np.int64)
        self.touch_at = Column(np.float64)
        self.first_end = float(self.until.array.min(initial=np.inf))
        self.hidden = (None, self.dropped)
        self._words, self._lexical = {}, None
        self.changed()

    @property
    def total(self) -> int:
        """How many records the memory has, those that are not held included."""
        return len(self.records) + len(self.dropped)

    def places_of(self, numbers: Sequence[RecordId] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Where records of these numbers are; nothing for one that is not held."""
        wanted = np.asarray(numbers, np.int64)
        if not len(self.dropped):
            held: NDArray[np.int64] = wanted[wanted <= len(self.number)] - 1
            return held
        numbered = self.number.array
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

    def latest(self, count: int) -> Time:
        """When the newest of the first ``count`` records was made; the least time for none."""
        if not count:
            return datetime.min
        return _START + timedelta(seconds=float(self.created.array[:count].max()))

    def accessed_at(self, step: int | None) -> NDArray[np.float64]:
        """Last accesses, shape (count_at(step),), in seconds, as of the end of ``step``."""
        if step is None:
            return self.accessed.array
        past = int(np.searchsorted(self.touch_step.array, step, side="right"))
        last: NDArray[np.float64] = self.created.array[: self.count_at(step)].copy()
        # Of several accesses of one record the later assignment stands.
        last[self.touched.array[:past]] = self.touch_at.array[:past]
        return last

    def places(self, count: int, kinds: Sequence[Kind], person: AgentId) -> NDArray[np.int64]:
        """Where those of the first ``count`` records are that are of ``kinds`` (all when
        empty), for ``person`` (empty: whoever asks) and not gone."""
        keep = self.until.array[:count] != -np.inf
        if kinds:
            keep &= np.array([kind in kinds for kind in KINDS])[self.kind.array[:count]]
        if person:
            keep &= self.heard(count, (person,))
        return np.flatnonzero(keep).astype(np.int64)

    def heard(self, count: int, listeners: Sequence[AgentId]) -> NDArray[np.bool_]:
        """Whether each of the first ``count`` records may be told to all ``listeners``."""
        # As ``visible`` says, without a call for each of many audiences.
        wanted = set(listeners)
        heard = [not people or wanted.issubset(people) for people in self.audiences]
        found: NDArray[np.bool_] = np.array(heard)[self.audience.array[:count]]
        return found

    @property
    def lexical(self) -> Lexical:
        """The words of the records; read only by what asks for them."""
        if self._lexical is None:
            from .lexical import Lexical

            self._lexical = Lexical()
        return self._lexical

    def holds(self, word: str) -> NDArray[np.bool_]:
        """Whether each record's text holds ``word``."""
        column = self._words.setdefault(word, Column(np.bool_))
        start = len(column)
        column.extend(
            [word in self.records[place].text for place in range(start, len(self.records))]
        )
        return column.array

    def relevance(
        self, places: NDArray[np.int64], vector: NDArray[np.float32] | None
    ) -> NDArray[np.float64]:
        """Cosine of ``vector`` with the records at ``places``; 0 without an embedding."""
        found = np.zeros(len(places))
        if vector is None or not self.index.rows:
            return found
        rows = self.row.array[places]
        have = rows >= 0
        found[have] = self.index.cosines(vector, rows[have])
        return found


def _saying(record: Record) -> int:
    """A number of 64 bits for what a record says, who says it and for whom."""
    whole = "\x00".join((record.text, record.who, *record.audience))
    return int.from_bytes(blake2b(whole.encode(), digest_size=8).digest(), "big", signed=True)


def _end(record: Record) -> float:
    """When a record ceases to be recalled, in seconds."""
    if record.source and gone(record):
        return -np.inf
    return np.inf if record.until is None else seconds(record.until)
