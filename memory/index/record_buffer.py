"""Records as bytes: their canonical JSON end to end, made objects of when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

from ...core import Record
from ..storage import read_body, record_adapter
from .growable_arrays import Column

CACHE_SIZE = 512
"""Objects kept of those lately asked for, so that a mind that goes on about one thing does
not read the same bytes again."""


class RecordBuffer(Sequence[Record]):
    """An agent's records in order, a few hundred bytes each instead of an object."""

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

    def keep_only(self, places: Sequence[int]) -> None:
        """Leave out the records at other places; the rest move up."""
        bodies = [self.body(place) for place in places]
        self._data, self._ends = bytearray(), Column(np.int64)
        self._ends.extend([0])
        self._cache.clear()
        self.extend(bodies)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def body(self, place: int) -> bytes:
        """The bytes of the record at a place, from 0."""
        ends = self._ends.array
        return bytes(self._data[ends[place] : ends[place + 1]])

    def get(self, place: int) -> Record:
        """The record at a place, kept as an object for a while."""
        record = self._cache.get(place)
        if record is None:
            if len(self._cache) >= CACHE_SIZE:
                self._cache.clear()
            record = self._cache[place] = read_body(self.body(place))
        return record

    def get_many(self, places: Sequence[int]) -> list[Record]:
        """The records at some places, each as ``get`` gives it."""
        have = self._cache
        lacking = [place for place in places if place not in have]
        if lacking:
            if len(have) + len(lacking) > CACHE_SIZE:
                have.clear()
                lacking = list(places)
            ends, read, data = self._ends.array, record_adapter().validate_json, self._data
            starts, stops = ends[lacking].tolist(), ends[np.array(lacking) + 1].tolist()
            for place, start, stop in zip(lacking, starts, stops):
                have[place] = read(data[start:stop])
        return [have[place] for place in places]

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> list[Record]: ...
    def __getitem__(self, place: int | slice) -> Record | list[Record]:
        if isinstance(place, slice):
            return [self.get(i) for i in range(*place.indices(len(self)))]
        return self.get(range(len(self))[place])

    def __iter__(self) -> Iterator[Record]:
        for place in range(len(self)):
            # Not kept: who goes through all of them would only push out the others.
            yield self._cache.get(place) or read_body(self.body(place))
