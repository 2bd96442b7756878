"""Embeddings in 8 bits: a first pass over all rows, or over the cells nearest to a query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .columns import VectorBlocks

    Ints = NDArray[np.int64]
    Singles = NDArray[np.float32]

MIN_ROWS_FOR_CELLS = 1 << 18
"""From this number on rows are clustered into cells; below, one pass over all is fast enough."""
CELL_BATCH = 1024
"""Rows enter cells in batches of this size, the same batches however they were added, so that
the products that choose their cells round alike."""
SLACK = 1e-5
"""Added to error bounds for rounding."""


class InvertedLists:
    """FAISS inverted lists of 8-bit codes, and products of queries with whole lists.

    A code is the row times ``scale``, rounded; a query is coded by a scale of its own.
    ``max_error`` is the largest distance of a row from its decoded code, which bounds the error of
    products.
    """

    def __init__(self, columns: int, lists: int, scale: float) -> None:
        import faiss

        self.scale = scale
        self.max_error = 0.0
        self._columns = columns
        # FAISS uses integer arithmetic if the length is a multiple of 16.
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
        # Threads divide queries only: dividing the lists of one query is a third faster on an idle
        # machine, but on a busy one every query waits 20 ms for a thread that is not scheduled.
        self._index.parallel_mode = 0
        self._index.is_trained = True

    def add(self, number: int, ids: Ints, rows: Singles) -> None:
        """Append rows to a list."""
        scaled = np.rint(rows * np.float32(self.scale))
        np.clip(scaled, -127, 127, out=scaled)
        error = rows - scaled * np.float32(1 / self.scale)
        codes = np.full((len(rows), self._padded_columns), 128, np.uint8)
        codes[:, : self._columns] = (scaled + 128).astype(np.uint8)
        if len(rows):
            self.max_error = max(self.max_error, float(np.sqrt(np.vecdot(error, error).max())))
        pointer = self._faiss.swig_ptr
        ids = np.ascontiguousarray(ids)
        self._index.invlists.add_entries(number, len(ids), pointer(ids), pointer(codes))
        self._index.ntotal += len(ids)

    def clear(self, number: int) -> None:
        """Remove all rows of a list."""
        self._index.ntotal -= self._index.invlists.list_size(number)
        self._index.invlists.resize(number, 0)

    def products(self, queries: Singles, numbers: Ints) -> tuple[Ints, Ints, Singles, Singles]:
        """The products of queries, shape (n, d), with all rows of their lists (``numbers``, shape
        (n, k)): offsets of each query's results, shape (n + 1,), row ids, products, and each
        query's error bound."""
        largest = np.abs(queries).max(axis=1)
        largest[largest == 0] = 1.0
        scales = (127.0 / largest).astype(np.float32)
        coded = np.zeros((len(queries), self._padded_columns), np.float32)
        coded[:, : self._columns] = np.rint(queries * scales[:, None])
        error = queries - coded[:, : self._columns] / scales[:, None]
        query_errors = np.sqrt(np.vecdot(error, error))
        self._index.nprobe = numbers.shape[1]
        offsets, products, ids = self._index.range_search_preassigned(
            coded, -1e30, np.ascontiguousarray(numbers), np.zeros(numbers.shape, np.float32)
        )
        offsets = offsets.astype(np.int64)
        factors = (1.0 / (scales * np.float32(self.scale))).astype(np.float32)
        if len(queries) == 1:
            products *= factors[0]
        else:
            products *= np.repeat(factors, np.diff(offsets))
        bounds = self.max_error + query_errors * (1 + self.max_error) + SLACK
        return offsets, ids, products, bounds.astype(np.float32)


def quantization_scale(rows: Singles) -> float:
    """A scale at which almost no number of rows like these is clipped: a clipped row widens the
    error bound of every product."""
    return 127.0 / max(1e-6, 1.1 * float(np.abs(rows).max()))


class QuantizedIndex:
    """One agent's rows in 8 bits, updated as rows are added: in one list below
    ``MIN_ROWS_FOR_CELLS`` rows, above in cells around the centroids of a k-means over the first of
    them. The number of cells and the rows they are trained on depend on the number of rows alone,
    so an index that grew equals a rebuilt one.
    """

    def __init__(self, rows: VectorBlocks) -> None:
        self._rows = rows
        self._lists: InvertedLists | None = None
        self._added = 0
        self._stage = 0
        self._assigned = 0
        self._centroids: Singles = np.empty((0, 0), np.float32)

    @property
    def cells(self) -> int:
        """The number of cells; 0 while there are few rows."""
        return len(self._centroids)

    def all_products(self, query: Singles) -> tuple[Singles, float]:
        """The products of a query of length 1 with all rows, and their error bound."""
        lists = self._updated_lists()
        numbers = np.arange(self.cells + 1)
        _, ids, products, bounds = lists.products(query[None], numbers[None])
        if not self.cells:
            return products, float(bounds[0])
        ordered = np.empty(self._rows.size, np.float32)
        ordered[ids] = products
        return ordered, float(bounds[0])

    def nearest_cells(self, query: Singles, probes: int) -> tuple[tuple[Ints, Singles], float]:
        """The ids and products of the rows in the ``probes`` cells nearest to the query and of
        those in no cell yet, and the error bound of the products."""
        lists = self._updated_lists()
        similarity = self._centroids @ query
        probes = min(probes, len(similarity))
        nearest = np.argpartition(-similarity, probes - 1)[:probes]
        numbers = np.append(nearest, self.cells)
        _, ids, products, bounds = lists.products(query[None], numbers[None])
        return (ids, products), float(bounds[0])

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
            self._centroids = np.empty((0, columns), np.float32)
            return
        import faiss

        count = 2 * int(stage**0.5)
        sample = self._rows.take(np.arange(0, stage, max(1, stage // (count * 48))))
        kmeans = faiss.Kmeans(
            columns,
            count,
            niter=6,
            seed=1,
            spherical=True,
            min_points_per_centroid=1,
            max_points_per_centroid=1000,
        )
        kmeans.train(sample)
        self._centroids = np.ascontiguousarray(kmeans.centroids, np.float32)
        self._lists = InvertedLists(columns, count + 1, quantization_scale(sample))

    def _append_flat(self, lists: InvertedLists) -> None:
        for start in range(self._added, self._rows.size, 4096):
            stop = min(self._rows.size, start + 4096)
            lists.add(0, np.arange(start, stop), self._rows.slice(start, stop))
        self._added = self._rows.size

    def _append_to_cells(self, lists: InvertedLists) -> None:
        """Assign complete batches to their cells; the rest goes to a list that is always
        searched."""
        lists.clear(self.cells)
        start, stop = self._assigned, self._rows.size // CELL_BATCH * CELL_BATCH
        cells = np.empty(stop - start, np.int32)
        for batch in range(start, stop, CELL_BATCH):
            similarity = self._rows.slice(batch, batch + CELL_BATCH) @ self._centroids.T
            cells[batch - start : batch - start + CELL_BATCH] = np.argmax(similarity, axis=1)
        # Cell by cell, so that each list grows only once.
        order = np.argsort(cells, kind="stable")
        cuts = np.flatnonzero(np.diff(cells[order])) + 1
        for members in np.split(order, cuts) if len(order) else ():
            ids = members + start
            lists.add(int(cells[members[0]]), ids, self._rows.take(ids))
        self._assigned = stop
        if stop < self._rows.size:
            rest = np.arange(stop, self._rows.size)
            lists.add(self.cells, rest, self._rows.slice(stop, self._rows.size))
        self._added = self._rows.size


def _cell_stage(size: int) -> int:
    """The number of rows at which cells were last trained: ``MIN_ROWS_FOR_CELLS`` times a power
    of 4; 0 below."""
    if size < MIN_ROWS_FOR_CELLS:
        return 0
    stage = MIN_ROWS_FOR_CELLS
    while stage * 4 <= size:
        stage *= 4
    return stage
