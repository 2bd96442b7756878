"""Records as bytes: their canonical JSON in one buffer, parsed on demand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

from ...core import Record
from ..storage import read_body, record_adapter
from .growable_arrays import Column

CACHE_SIZE = 512
"""Number of parsed records cached, since successive recalls often return the same ones."""


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
