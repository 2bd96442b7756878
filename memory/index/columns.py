"""Storage that grows at its end: columns of numbers, blocks of embeddings, buffered records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ...core import Record
from ..storage import read_body, record_adapter

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

BLOCK_ROWS = 1 << 16
"""Rows in a block of embeddings: growth copies one block at most (100 MB of 384 numbers)."""

CACHE_SIZE = 512
"""Number of parsed records cached, since successive recalls often return the same ones."""


class Column:
    """A one-dimensional array that grows at its end."""

    def __init__(self, kind: type[Any]) -> None:
        self._data: NDArray[Any] = np.empty(64, kind)
        self._size = 0

    def extend(self, values: Sequence[float] | NDArray[Any]) -> None:
        """Add values at the end."""
        size = self._size + len(values)
        if size > len(self._data):
            grown = np.empty(max(64, size, 2 * len(self._data)), self._data.dtype)
            grown[: self._size] = self.array
            self._data = grown
        self._data[self._size : size] = values
        self._size = size

    def keep_only(self, keep: NDArray[np.bool_]) -> None:
        """Remove the values where ``keep``, of shape (len(self),), is False."""
        self._data = self.array[keep]
        self._size = len(self._data)

    def __len__(self) -> int:
        return self._size

    @property
    def array(self) -> NDArray[Any]:
        """The values; a view that does not grow with the column."""
        return self._data[: self._size]


class VectorBlocks:
    """Embeddings of one length, numbered from 0 as they were added."""

    def __init__(self, kind: DTypeLike = np.float32) -> None:
        self.columns = 0
        self.size = 0
        self._kind = kind
        self._blocks: list[NDArray[Any]] = []

    def extend(self, rows: NDArray[np.float32]) -> None:
        """Add rows of shape (n, columns) at the end."""
        self.columns = self.columns or rows.shape[1]
        while len(rows):
            free = self._reserve(len(rows))
            inside = self.size % BLOCK_ROWS
            self._blocks[-1][inside : inside + free] = rows[:free]
            self.size += min(free, len(rows))
            rows = rows[free:]

    def _reserve(self, wanted: int) -> int:
        """How many of ``wanted`` further rows fit into the last block, which is grown or created as
        needed."""
        inside = self.size % BLOCK_ROWS
        if inside == 0 and len(self._blocks) * BLOCK_ROWS <= self.size:
            size = min(BLOCK_ROWS, max(64, wanted)) if not self._blocks else BLOCK_ROWS
            self._blocks.append(np.empty((size, self.columns), self._kind))
        block = self._blocks[-1]
        if len(block) < BLOCK_ROWS and inside + wanted > len(block):
            size = min(BLOCK_ROWS, max(inside + wanted, 2 * len(block)))
            grown = np.empty((size, self.columns), self._kind)
            grown[:inside] = block[:inside]
            self._blocks[-1] = block = grown
        return min(wanted, len(block) - inside)

    def slice(self, start: int, stop: int) -> NDArray[np.float32]:
        """The rows in [start, stop) as float32; read-only."""
        parts = []
        while start < stop:
            end = min(stop, (start // BLOCK_ROWS + 1) * BLOCK_ROWS)
            inside = start % BLOCK_ROWS
            parts.append(self._blocks[start // BLOCK_ROWS][inside : inside + end - start])
            start = end
        if not parts:
            return np.empty((0, self.columns), np.float32)
        rows = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return rows.astype(np.float32, copy=False)

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The rows of these numbers as float32, shape (len(rows), columns)."""
        if self.size <= BLOCK_ROWS:
            block = self._blocks[0] if self._blocks else np.empty((0, self.columns), np.float32)
            return block.take(rows, axis=0).astype(np.float32, copy=False)
        taken = np.empty((len(rows), self.columns), np.float32)
        block_of = rows // BLOCK_ROWS
        for number in np.unique(block_of):
            mine = block_of == number
            taken[mine] = self._blocks[number][rows[mine] % BLOCK_ROWS]
        return taken

    def dot(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """The dot products of ``vector`` with all rows, shape (size,)."""
        products = np.empty(self.size, np.float32)
        for start in range(0, self.size, BLOCK_ROWS):
            stop = min(self.size, start + BLOCK_ROWS)
            # Row by row: a matrix product rounds depending on a row's position in its blocks.
            np.vecdot(self.slice(start, stop), vector, out=products[start:stop])
        return products


class RecordBuffer(Sequence[Record]):
    """An agent's records in order, a few hundred bytes each instead of a Python object."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._ends = Column(np.int64)
        self._ends.extend([0])
        self._cache: dict[int, Record] = {}

    def extend(self, bodies: Sequence[bytes]) -> None:
        """Append bodies in canonical JSON, UTF-8."""
        sizes = np.array([len(body) for body in bodies], np.int64)
        self._ends.extend(np.cumsum(sizes) + len(self._data))
        self._data += b"".join(bodies)

    def keep_only(self, positions: Sequence[int]) -> None:
        """Remove the records at other positions; the rest move up."""
        bodies = [self.body(position) for position in positions]
        self._data, self._ends = bytearray(), Column(np.int64)
        self._ends.extend([0])
        self._cache.clear()
        self.extend(bodies)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def body(self, position: int) -> bytes:
        """The bytes of the record at a position, from 0."""
        ends = self._ends.array
        return bytes(self._data[ends[position] : ends[position + 1]])

    def get(self, position: int) -> Record:
        """The record at a position, from the cache if it is there."""
        record = self._cache.get(position)
        if record is None:
            if len(self._cache) >= CACHE_SIZE:
                self._cache.clear()
            record = self._cache[position] = read_body(self.body(position))
        return record

    def get_many(self, positions: Sequence[int]) -> list[Record]:
        """The records at some positions, each as from ``get``."""
        cache = self._cache
        missing = [position for position in positions if position not in cache]
        if missing:
            if len(cache) + len(missing) > CACHE_SIZE:
                cache.clear()
                missing = list(positions)
            ends, parse, data = self._ends.array, record_adapter().validate_json, self._data
            starts, stops = ends[missing].tolist(), ends[np.array(missing) + 1].tolist()
            for position, start, stop in zip(missing, starts, stops):
                cache[position] = parse(data[start:stop])
        return [cache[position] for position in positions]

    @overload
    def __getitem__(self, position: int) -> Record: ...
    @overload
    def __getitem__(self, position: slice) -> list[Record]: ...
    def __getitem__(self, position: int | slice) -> Record | list[Record]:
        if isinstance(position, slice):
            return [self.get(i) for i in range(*position.indices(len(self)))]
        return self.get(range(len(self))[position])

    def __iter__(self) -> Iterator[Record]:
        for position in range(len(self)):
            # Not cached: an iteration over all records would evict the others.
            yield self._cache.get(position) or read_body(self.body(position))
