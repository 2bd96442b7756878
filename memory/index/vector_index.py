"""Embeddings of one agent's records: exact cosines, and their first pass in 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .growable_arrays import VectorBlocks
from .quantized_index import QuantizedIndex

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray


class VectorIndex:
    """Rows of one length, scaled to length 1, numbered from 0 as they were added.

    Kept in memory only: built from the store's checked rows, never from an index file. A
    row's cosine does not depend on how many others there are or when they came, so an index
    built row by row equals a rebuilt one to the bit. ``quantized`` are the rows in 8 bits in
    FAISS, which loads when they are first asked for. Of ``kind`` float16 the rows take half
    the memory and cosines are exact to 3 digits.
    """

    def __init__(self, kind: DTypeLike = np.float32) -> None:
        self._kind = kind
        self.blocks = VectorBlocks(kind)
        self._quantized: QuantizedIndex | None = None

    @property
    def columns(self) -> int:
        """Length of a row; 0 while there are none."""
        return self.blocks.columns

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.blocks.size

    @property
    def quantized(self) -> QuantizedIndex:
        """The rows in 8 bits, for a first pass."""
        if self._quantized is None:
            self._quantized = QuantizedIndex(self.blocks)
        return self._quantized

    def subset(self, rows: NDArray[np.int64]) -> VectorIndex:
        """An index of these rows alone, to the bit as they are here."""
        fresh = VectorIndex(self._kind)
        fresh.blocks.columns = self.columns
        if len(rows):
            fresh.blocks.extend(self.blocks.take(rows))
        return fresh

    def add(self, row: NDArray[np.float32]) -> int:
        """Add one row of shape (columns,); returns its number."""
        self.extend(row[None])
        return self.rows - 1

    def extend(self, rows: NDArray[np.float32]) -> None:
        """Add rows of shape (n, columns)."""
        self.blocks.extend(unit_rows(rows))

    def cosines(self, vector: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cosine of ``vector`` with the numbered rows, shape (len(rows),)."""
        if not len(rows):
            return np.empty(0, np.float32)
        query = unit_rows(vector[None])[0]
        if 2 * len(rows) > self.rows:
            found: NDArray[np.float32] = self.blocks.dot(query)[rows]
            return found
        # Row by row, unlike a matrix product, whose blocks round by a row's place.
        picked: NDArray[np.float32] = np.vecdot(self.blocks.take(rows), query)
        return picked

    def nearest(
        self, vectors: NDArray[np.float32], limit: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Cosines and numbers of the nearest rows for each query, both (n, limit), exact;
        equal ones in the order of their numbers."""
        limit = min(limit, self.rows)
        scores, numbers = [], []
        for vector in vectors:
            cosines = self.cosines(vector, np.arange(self.rows))
            order = np.argsort(-cosines, kind="stable")[:limit]
            scores.append(cosines[order])
            numbers.append(order)
        return np.stack(scores), np.stack(numbers)


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of shape (n, d) scaled to length 1; rows of zeros stay as they are.

    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    scaled = np.array(rows, np.float32)
    # In pieces: float64 copies of a large table would triple its memory.
    for start in range(0, len(rows), 4096):
        wide = rows[start : start + 4096].astype(np.float64)
        lengths = np.sqrt(np.vecdot(wide, wide))
        lengths[lengths == 0] = 1.0
        scaled[start : start + 4096] = wide / lengths[:, None]
    return scaled
