"""One agent's memory as arrays: what recall computes on."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import AgentId, Kind, Record, Time
from ..store import Store
from .index import Index
from .table import Row, Touch, read_rows, read_touches

if TYPE_CHECKING:
    from numpy.typing import NDArray

KINDS: tuple[Kind, ...] = ("observation", "utterance", "thought", "plan")
_START = datetime(1970, 1, 1)


def seconds(at: Time) -> float:
    """Seconds of the world's clock since 1970, for arithmetic only."""
    return (at - _START).total_seconds()


class Column:
    """A one-dimensional array that grows at its end."""

    def __init__(self, kind: type[Any]) -> None:
        self._data: NDArray[Any] = np.empty(64, kind)
        self._size = 0

    def append(self, value: float) -> None:
        """Add a value at the end."""
        if self._size == len(self._data):
            self._data = np.concatenate([self._data, np.empty_like(self._data)])
        self._data[self._size] = value
        self._size += 1

    def __len__(self) -> int:
        return self._size

    @property
    def array(self) -> NDArray[Any]:
        """The values; a view that later growth does not reach."""
        return self._data[: self._size]


class Shelf:
    """Records with one column for each number recall needs; place i holds record i + 1.

    Read from the store on first use, and kept up to date by the writer.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.index = Index()
        self.step = Column(np.int64)
        self.created = Column(np.float64)
        self.accessed = Column(np.float64)
        self.importance = Column(np.float64)
        self.kind = Column(np.int8)
        self.row = Column(np.int64)
        self.touched = Column(np.int64)
        self.touch_step = Column(np.int64)
        self.touch_at = Column(np.float64)
        self.lines: list[Touch] = []
        self._words: dict[str, Column] = {}

    @classmethod
    def read(cls, store: Store, agent: AgentId) -> Shelf:
        """All of an agent's memory. Raises MemoryFault when it fails its checks."""
        shelf = cls()
        for row in read_rows(store, agent):
            shelf.add(row)
        for touch in read_touches(store, agent):
            shelf.touch(touch)
        return shelf

    def add(self, row: Row) -> None:
        """Append a record."""
        record = row.record
        self.records.append(record)
        self.step.append(row.step)
        self.created.append(seconds(record.created))
        self.accessed.append(seconds(record.created))
        self.importance.append(record.importance)
        self.kind.append(KINDS.index(record.kind))
        vector = None if row.vector is None else np.frombuffer(row.vector, "<f4")
        self.row.append(-1 if vector is None else self.index.add(vector))

    def touch(self, touch: Touch) -> None:
        """Append to the access log."""
        self.lines.append(touch)
        at = seconds(touch.at)
        for number in touch.records:
            self.touched.append(number - 1)
            self.touch_step.append(touch.step)
            self.touch_at.append(at)
            self.accessed.array[number - 1] = at

    @property
    def last_step(self) -> int:
        """The latest step that wrote here; 0 at first."""
        newest = int(self.step.array[-1]) if len(self.step) else 0
        return max(newest, int(self.touch_step.array[-1]) if len(self.touch_step) else 0)

    def count_at(self, step: int | None) -> int:
        """How many records there were at the end of ``step``."""
        if step is None:
            return len(self.records)
        return int(np.searchsorted(self.step.array, step, side="right"))

    def accessed_at(self, step: int | None) -> NDArray[np.float64]:
        """Last accesses, shape (count_at(step),), in seconds, as of the end of ``step``."""
        if step is None:
            return self.accessed.array
        past = int(np.searchsorted(self.touch_step.array, step, side="right"))
        last: NDArray[np.float64] = self.created.array[: self.count_at(step)].copy()
        # Of several accesses of one record the later assignment stands.
        last[self.touched.array[:past]] = self.touch_at.array[:past]
        return last

    def holds(self, word: str) -> NDArray[np.bool_]:
        """Whether each record's text holds ``word``."""
        column = self._words.setdefault(word, Column(np.bool_))
        for record in self.records[len(column) :]:
            column.append(word in record.text)
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
