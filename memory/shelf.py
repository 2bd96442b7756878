"""One agent's memory as arrays: what recall computes on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import AgentId, Kind, Record, Time
from ..store import Store
from .index import Index
from .table import Row, Touch, read_rows, read_touches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .lexical import Lexical

KINDS: tuple[Kind, ...] = ("observation", "utterance", "thought", "plan", "document", "summary")
_START = datetime(1970, 1, 1)


def seconds(at: Time) -> float:
    """Seconds of the world's clock since 1970, for arithmetic only."""
    return (at - _START).total_seconds()


class Column:
    """A one-dimensional array that grows at its end."""

    def __init__(self, kind: type[Any]) -> None:
        self._data: NDArray[Any] = np.empty(64, kind)
        self._size = 0

    def extend(self, values: Sequence[float]) -> None:
        """Add values at the end."""
        size = self._size + len(values)
        if size > len(self._data):
            grown = np.empty(max(size, 2 * len(self._data)), self._data.dtype)
            grown[: self._size] = self.array
            self._data = grown
        self._data[self._size : size] = values
        self._size = size

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
        self._words: dict[str, Column] = {}
        self._lexical: Lexical | None = None

    @classmethod
    def read(cls, store: Store, agent: AgentId) -> Shelf:
        """All of an agent's memory. Raises MemoryFault when it fails its checks."""
        shelf = cls()
        shelf.add(list(read_rows(store, agent)))
        for touch in read_touches(store, agent):
            shelf.touch(touch)
        return shelf

    def add(self, rows: Sequence[Row]) -> None:
        """Append records."""
        made = [seconds(row.record.created) for row in rows]
        self.records.extend(row.record for row in rows)
        self.step.extend([row.step for row in rows])
        self.created.extend(made)
        self.accessed.extend(made)
        self.importance.extend([row.record.importance for row in rows])
        self.kind.extend([KINDS.index(row.record.kind) for row in rows])
        self.row.extend(
            [
                -1 if row.vector is None else self.index.add(np.frombuffer(row.vector, "<f4"))
                for row in rows
            ]
        )

    def touch(self, touch: Touch) -> None:
        """Append to the access log."""
        places = [number - 1 for number in touch.records]
        at = seconds(touch.at)
        self.touched.extend(places)
        self.touch_step.extend([touch.step] * len(places))
        self.touch_at.extend([at] * len(places))
        self.accessed.array[places] = at

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
        column.extend([word in record.text for record in self.records[len(column) :]])
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
