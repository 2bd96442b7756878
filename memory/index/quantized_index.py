"""Embeddings in 8 bits: a first pass over all rows, or over the cells nearest to a cue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .growable_arrays import VectorBlocks

    Found = tuple[NDArray[np.int64], NDArray[np.float32]]

MIN_ROWS_FOR_CELLS = 1 << 18
"""So many rows are put into cells by likeness; below, one pass over all is fast enough."""
CELL_BATCH = 1024
"""Rows enter cells so many at a time: the same pieces however they were added, so that the
products that choose their cells round alike."""
SLACK = 1e-5


class InvertedLists:
    """FAISS inverted lists of 8-bit codes, filled by number; products with whole lists.

    A code is the row times ``scale``, rounded; so is a query by its own scale. ``max_error`` is
    the largest distance of a row from what its code stands for, by which ``within`` bounds
    how far a product may be off.
    """

    def __init__(self, columns: int, lists: int, scale: float) -> None:
        import faiss

        self.scale = scale
        self.max_error = 0.0
        self._columns = columns
        # FAISS multiplies in whole numbers when the length is a multiple of 16.
        self._padded_columns = -(-columns // 16) * 16
        self._faiss = faiss
        self._quantizer = faiss.IndexFlatIP(self._padded_columns)
        self._index: Any = faiss.IndexIVFScalarQuantizer(
            self._quantizer,
            self._padded_columns,
            lists,
            faiss.ScalarQuantizer.QT_8bit_direct_signed,
            faiss.METRIC_INNER_PRODUCT,
            False,
        )
        self._index.own_fields = False
        # Threads share queries only: sharing the lists of one gains a third on an idle machine,
        # and on a busy one every cue waits 20 ms for the thread that is not let run.
        self._index.parallel_mode = 0
        self._index.is_trained = True

    def add(self, number: int, ids: NDArray[np.int64], rows: NDArray[np.float32]) -> float:
        """Append rows to a list; returns the largest distance of one from its code."""
        codes, off = self.encode(rows)
        self.append(number, ids, codes)
        return off

    def encode(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float]:
        """Codes of shape (n, wide), and the largest distance of a row from its code."""
        whole = np.rint(rows * np.float32(self.scale))
        np.clip(whole, -127, 127, out=whole)
        off = rows - whole * np.float32(1 / self.scale)
        codes = np.full((len(rows), self._padded_columns), 128, np.uint8)
        codes[:, : self._columns] = (whole + 128).astype(np.uint8)
        far = float(np.sqrt(np.vecdot(off, off).max())) if len(rows) else 0.0
        self.max_error = max(self.max_error, far)
        return codes, far

    def append(self, number: int, ids: NDArray[np.int64], codes: NDArray[np.uint8]) -> None:
        """Append codes to a list."""
        pointer = self._faiss.swig_ptr
        ids, codes = np.ascontiguousarray(ids), np.ascontiguousarray(codes)
        self._index.invlists.add_entries(number, len(ids), pointer(ids), pointer(codes))
        self._index.ntotal += len(ids)

    def clear(self, number: int) -> None:
        """Take everything out of a list."""
        self._index.ntotal -= self._index.invlists.list_size(number)
        self._index.invlists.resize(number, 0)

    def products(
        self, queries: NDArray[np.float32], numbers: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """Every query of shape (n, d) with every row of its lists, shape (n, k): where each
        query's answers start (n + 1 places), ids, products, and how far they may be off."""
        high = np.abs(queries).max(axis=1)
        high[high == 0] = 1.0
        scales = (127.0 / high).astype(np.float32)
        whole = np.zeros((len(queries), self._padded_columns), np.float32)
        whole[:, : self._columns] = np.rint(queries * scales[:, None])
        off = queries - whole[:, : self._columns] / scales[:, None]
        missed = np.sqrt(np.vecdot(off, off))
        self._index.nprobe = numbers.shape[1]
        starts, found, ids = self._index.range_search_preassigned(
            whole, -1e30, np.ascontiguousarray(numbers), np.zeros(numbers.shape, np.float32)
        )
        factors = (1.0 / (scales * np.float32(self.scale))).astype(np.float32)
        if len(queries) == 1:
            found *= factors[0]
        else:
            found *= np.repeat(factors, np.diff(starts.astype(np.int64)))
        within = self.max_error + missed * (1 + self.max_error) + SLACK
        return starts.astype(np.int64), ids, found, within.astype(np.float32)


def quantization_scale(rows: NDArray[np.float32]) -> float:
    """The scale at which hardly a number of rows like these is cut off: one row that is cut
    off widens the bound on every product."""
    return 127.0 / max(1e-6, 1.1 * float(np.abs(rows).max()))


class QuantizedIndex:
    """One agent's rows in 8 bits, kept up with them: in one list while there are less
    than ``MIN_ROWS_FOR_CELLS``, above in cells around the centres of a k-means over the first
    of them. How many cells and from which rows depends on the number of rows alone, so an
    index that grew equals a rebuilt one.
    """

    def __init__(self, rows: VectorBlocks) -> None:
        self._rows = rows
        self._lists: InvertedLists | None = None
        self._added = 0
        self._stage = 0
        self._assigned = 0
        self._centres: NDArray[np.float32] = np.empty((0, 0), np.float32)

    @property
    def cells(self) -> int:
        """How many cells there are; 0 while the rows are few."""
        return len(self._centres)

    def all_products(self, query: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
        """Products of a query of length 1 with all rows, and how far they may be off."""
        lists = self._updated_lists()
        numbers = np.arange(self.cells + 1)
        _, ids, found, within = lists.products(query[None], numbers[None])
        products = np.empty(self._rows.size, np.float32)
        if not self.cells:
            return found, float(within[0])
        products[ids] = found
        return products, float(within[0])

    def nearest_cells(self, query: NDArray[np.float32], probes: int) -> tuple[Found, float]:
        """Numbers and products of the rows in the ``probes`` cells nearest to the query and
        of those in no cell yet, and how far the products may be off."""
        lists = self._updated_lists()
        like = self._centres @ query
        probes = min(probes, len(like))
        numbers = np.append(np.argpartition(-like, probes - 1)[:probes], self.cells)
        _, ids, found, within = lists.products(query[None], numbers[None])
        return (ids, found), float(within[0])

    def _updated_lists(self) -> InvertedLists:
        stage = _cell_stage(self._rows.size)
        if self._lists is None or stage != self._stage:
            self._rebuild(stage)
        assert self._lists is not None
        if self._added < self._rows.size:
            if stage:
                self._append_to_cells(self._lists)
            else:
                self._append_flat(self._lists)
        return self._lists

    def _rebuild(self, stage: int) -> None:
        size, columns = self._rows.size, self._rows.columns
        self._stage, self._added, self._assigned = stage, 0, 0
        if not stage:
            sample = self._rows.slice(0, min(size, 16384))
            self._lists = InvertedLists(columns, 1, quantization_scale(sample))
            self._centres = np.empty((0, columns), np.float32)
            return
        import faiss

        count = 2 * int(stage**0.5)
        sample = self._rows.take(np.arange(0, stage, max(1, stage // (count * 48))))
        means = faiss.Kmeans(
            columns,
            count,
            niter=6,
            seed=1,
            spherical=True,
            min_points_per_centroid=1,
            max_points_per_centroid=1000,
        )
        means.train(sample)
        self._centres = np.ascontiguousarray(means.centroids, np.float32)
        self._lists = InvertedLists(columns, count + 1, quantization_scale(sample))

    def _append_flat(self, lists: InvertedLists) -> None:
        for start in range(self._added, self._rows.size, 4096):
            stop = min(self._rows.size, start + 4096)
            lists.add(0, np.arange(start, stop), self._rows.slice(start, stop))
        self._added = self._rows.size

    def _append_to_cells(self, lists: InvertedLists) -> None:
        """Whole pieces go to their cells, the rest waits in a list that is always seen."""
        lists.clear(self.cells)
        start, stop = self._assigned, self._rows.size // CELL_BATCH * CELL_BATCH
        cell = np.empty(stop - start, np.int32)
        for piece in range(start, stop, CELL_BATCH):
            like = self._rows.slice(piece, piece + CELL_BATCH) @ self._centres.T
            cell[piece - start : piece - start + CELL_BATCH] = np.argmax(like, axis=1)
        # Cell by cell, so that a list grows once, however many rows there are.
        order = np.argsort(cell, kind="stable")
        cuts = np.flatnonzero(np.diff(cell[order])) + 1
        for members in np.split(order, cuts) if len(order) else ():
            ids = members + start
            lists.add(int(cell[members[0]]), ids, self._rows.take(ids))
        self._assigned = stop
        if stop < self._rows.size:
            rest = np.arange(stop, self._rows.size)
            lists.add(self.cells, rest, self._rows.slice(stop, self._rows.size))
        self._added = self._rows.size


def _cell_stage(size: int) -> int:
    """The number of rows the cells were last made at: ``MIN_ROWS_FOR_CELLS`` times a power of 4."""
    if size < MIN_ROWS_FOR_CELLS:
        return 0
    stage = MIN_ROWS_FOR_CELLS
    while stage * 4 <= size:
        stage *= 4
    return stage
