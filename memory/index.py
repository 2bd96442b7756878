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
        self._matrix: NDArray[np.float32] = np.empty((0, 0), np.float32)

    def add(self, row: NDArray[np.float32]) -> int:
        """Add one row of shape (columns,); returns its number."""
        self.columns = self.columns or len(row)
        self._waiting.append(row)
        self.rows += 1
        return self.rows - 1

    def cosines(self, vector: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cosine of ``vector`` with the numbered rows, shape (len(rows),)."""
        self._settle()
        if not len(rows):
            return np.empty(0, np.float32)
        # Row by row, unlike a matrix product, whose blocks round by a row's place; and
        # over FAISS's own storage, since scaling needs every candidate's cosine.
        found: NDArray[np.float32]
        found = np.vecdot(self._matrix[: int(rows.max()) + 1], units(vector[None])[0])
        return found[rows]

    def nearest(
        self, vectors: NDArray[np.float32], limit: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Cosines and numbers of the nearest rows for each query, both (n, limit)."""
        self._settle()
        found: tuple[NDArray[np.float32], NDArray[np.int64]]
        found = self._faiss.search(units(vectors), min(limit, self.rows))
        return found

    def _settle(self) -> None:
        if not self._waiting:
            return
        import faiss

        if self._faiss is None:
            self._faiss = faiss.IndexFlatIP(self.columns)
        self._faiss.add(units(np.stack(self._waiting)))
        self._waiting.clear()
        size = self.rows * self.columns
        # Growth may have moved the storage, so the view is taken anew.
        flat = faiss.rev_swig_ptr(self._faiss.get_xb(), size)
        self._matrix = flat.reshape(self.rows, self.columns)


def units(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of shape (n, d) scaled to length 1; rows of zeros stay as they are.

    >>> units(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)).tolist()
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
