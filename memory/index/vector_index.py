"""Embeddings of one agent's records, with exact cosines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .columns import VectorBlocks
from .quantized_index import QuantizedIndex

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray


class VectorIndex:
    """Rows of one length, scaled to length 1, numbered from 0 in the order in which they were
    added.

    Kept in RAM only and built from the store's checked rows, never from an index file. A row's
    cosine depends neither on the number of other rows nor on when they were added, so an index
    built row by row equals a rebuilt one bit by bit. Rows of ``kind`` float16 take half the memory;
    their cosines are exact to 3 digits.
    """

    def __init__(self, kind: DTypeLike = np.float32) -> None:
        self._kind = kind
        self.blocks = VectorBlocks(kind)
        self._quantized: QuantizedIndex | None = None

    @property
    def columns(self) -> int:
        """The length of a row; 0 while there is none."""
        return self.blocks.columns

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.blocks.size

    @property
    def quantized(self) -> QuantizedIndex:
        """The rows in 8 bits, for a first pass; FAISS is imported on first use."""
        if self._quantized is None:
            self._quantized = QuantizedIndex(self.blocks)
        return self._quantized

    def subset(self, rows: NDArray[np.int64]) -> VectorIndex:
        """An index of these rows alone, unchanged."""
        index = VectorIndex(self._kind)
        index.blocks.columns = self.columns
        if len(rows):
            index.blocks.extend(self.blocks.take(rows))
        return index

    def add(self, row: NDArray[np.float32]) -> int:
        """Add one row of shape (columns,); returns its number."""
        self.extend(row[None])
        return self.rows - 1

    def extend(self, rows: NDArray[np.float32]) -> None:
        """Add rows of shape (n, columns)."""
        self.blocks.extend(unit_rows(rows))

    def cosines(self, vector: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cosines of ``vector`` with the rows of these numbers, shape (len(rows),)."""
        if not len(rows):
            return np.empty(0, np.float32)
        query = unit_rows(vector[None])[0]
        if 2 * len(rows) > self.rows:
            every: NDArray[np.float32] = self.blocks.dot(query)[rows]
            return every
        # Row by row: a matrix product rounds depending on a row's position in its blocks.
        cosines: NDArray[np.float32] = np.vecdot(self.blocks.take(rows), query)
        return cosines

    def nearest(
        self, vectors: NDArray[np.float32], limit: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Cosines and numbers of the nearest rows for each of n vectors, both of shape (n, limit),
        ties by number."""
        limit = min(limit, self.rows)
        scores, numbers = [], []
        for vector in vectors:
            cosines = self.cosines(vector, np.arange(self.rows))
            order = np.argsort(-cosines, kind="stable")[:limit]
            scores.append(cosines[order])
            numbers.append(order)
        return np.stack(scores), np.stack(numbers)


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of shape (n, d) scaled to length 1; zero rows stay zero.

    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    scaled = np.array(rows, np.float32)
    # In parts: a float64 copy of a large table would triple its memory.
    for start in range(0, len(rows), 4096):
        wide = rows[start : start + 4096].astype(np.float64)
        lengths = np.sqrt(np.vecdot(wide, wide))
        lengths[lengths == 0] = 1.0
        scaled[start : start + 4096] = wide / lengths[:, None]
    return scaled
