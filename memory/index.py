"""Embeddings of one agent's records, searched in memory with FAISS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Index:
    """Rows of one length in a FAISS ``IndexFlatIP``, numbered from 0 as they were added.

    Kept in memory only: built from the store's checked rows, never from an index file.
    FAISS loads at the first search. A row's cosine does not depend on how many others there
    are or when they came, so an index built row by row equals a rebuilt one to the bit.
    """

    def __init__(self) -> None:
        self.columns = 0
        self.rows = 0
        self._waiting: list[NDArray[np.float32]] = []
        self._faiss: Any = None

    def add(self, row: NDArray[np.float32]) -> int:
        """Add one row of shape (columns,); returns its number."""
        self.columns = self.columns or len(row)
        self._waiting.append(unit(row))
        self.rows += 1
        return self.rows - 1

    def cosines(self, vector: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cosine of ``vector`` with the numbered rows, shape (len(rows),)."""
        import faiss

        index = self._index()
        found = np.empty(len(rows), np.float32)
        if len(rows):
            query = np.ascontiguousarray(unit(vector))
            labels = np.ascontiguousarray(rows, np.int64)
            index.compute_distance_subset(
                1, faiss.swig_ptr(query), len(labels), faiss.swig_ptr(found), faiss.swig_ptr(labels)
            )
        return found

    def nearest(
        self, vectors: NDArray[np.float32], limit: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Cosines and numbers of the nearest rows for each query, both (n, limit)."""
        queries = np.stack([unit(vector) for vector in vectors])
        found: tuple[NDArray[np.float32], NDArray[np.int64]]
        found = self._index().search(queries, min(limit, self.rows))
        return found

    def _index(self) -> Any:
        import faiss

        if self._faiss is None:
            self._faiss = faiss.IndexFlatIP(self.columns)
        if self._waiting:
            self._faiss.add(np.stack(self._waiting))
            self._waiting.clear()
        return self._faiss


def unit(row: NDArray[np.float32]) -> NDArray[np.float32]:
    """The row scaled to length 1; a row of zeros stays as it is."""
    # Summed in float64 so that the length does not depend on the order of summation.
    length = float(np.sqrt(np.dot(row.astype(np.float64), row.astype(np.float64))))
    return (row / np.float32(length)).astype(np.float32) if length else row.astype(np.float32)
