"""The index: FAISS in memory, exact, the same however it was built; and fast."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from denizens.core import Cue, Record
from denizens.memory import Memory
from denizens.memory.index import VectorIndex
from denizens.store import Store
from hypothesis import given, settings
from hypothesis import strategies as st

NINE = datetime(2023, 2, 13, 9)


def batch(start: int, size: int, rng: np.random.Generator) -> list[Record]:
    """Records with numbers from ``start``."""
    return [
        Record(
            id=number,
            kind="observation",
            text=f"event {number}",
            created=NINE + timedelta(minutes=number),
            importance=float(rng.integers(1, 11)),
        )
        for number in range(start, start + size)
    ]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=8),
    st.integers(0, 10**6),
)
def test_incremental_equals_rebuilt(steps: list[tuple[int, bool]], seed: int) -> None:
    """Added in any batches, with recalls (which build the index) in between, some without
    embeddings: recall equals that of a memory rebuilt from the file, to the bit."""
    rng = np.random.default_rng(seed)
    cue = Cue(text="x", at=NINE + timedelta(days=1), limit=99)
    query = rng.normal(size=24).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bo.db"
        with Memory(path, "Bo") as memory:
            for step, (size, look) in enumerate(steps):
                records = batch(memory.next_id, size, rng)
                vectors = {
                    record.id: rng.normal(size=24).astype(np.float32)
                    for record in records
                    if rng.random() < 0.8
                }
                memory.add(records, vectors, step=step)
                if look:
                    memory.recall(cue, query)
            grown = memory.recall(cue, query)
        with Memory(path, "Bo") as rebuilt:
            assert rebuilt.recall(cue, query) == grown
            assert len(grown) == sum(size for size, _ in steps)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 200), st.integers(0, 10**6))
def test_cosine_does_not_depend_on_the_neighbours(size: int, seed: int) -> None:
    """A row's cosine is the same to the bit alone and at any place among others."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(size, 384)).astype(np.float32)
    query = rng.normal(size=384).astype(np.float32)
    whole, alone = VectorIndex(), VectorIndex()
    for row in rows:
        whole.add(row)
    place = int(rng.integers(size))
    alone.add(rows[place])
    cosines = whole.cosines(query, np.arange(size))
    assert cosines[place] == alone.cosines(query, np.array([0]))[0]
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(query)
    np.testing.assert_allclose(cosines, rows @ query / lengths, atol=1e-6)


def test_nearest_is_exact() -> None:
    """FAISS's search finds the rows that the cosines say are nearest; zeros are harmless."""
    rng = np.random.default_rng(5)
    index = VectorIndex()
    for row in [*rng.normal(size=(300, 16)).astype(np.float32), np.zeros(16, np.float32)]:
        index.add(row)
    queries = rng.normal(size=(4, 16)).astype(np.float32)
    scores, found = index.nearest(queries, 10)
    for query, row in zip(queries, found, strict=True):
        cosines = index.cosines(query, np.arange(301))
        assert row.tolist() == np.argsort(-cosines, kind="stable")[:10].tolist()
    assert scores.shape == found.shape == (4, 10)
    assert index.cosines(queries[0], np.array([300]))[0] == 0


def test_recall_is_fast() -> None:
    """Ten out of 10,000 memories in well under what is noticed (generous: 50 ms), and the
    recall equals brute force."""
    rng = np.random.default_rng(6)
    records = batch(1, 10_000, rng)
    rows = rng.normal(size=(10_000, 384)).astype(np.float32)
    with Store(":memory:") as store:
        memory = Memory(store, "Bo")
        memory.add(records, {record.id: row for record, row in zip(records, rows, strict=True)})
        cue = Cue(text="x", at=NINE + timedelta(days=9))
        hits = memory.recall(cue, rows[77])
        took = []
        for _ in range(9):
            start = time.perf_counter()
            memory.recall(cue, rows[77])
            took.append(time.perf_counter() - start)
    assert sorted(took)[4] < 0.05

    def scale(
        values: np.ndarray[tuple[int], np.dtype[np.float64]],
    ) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        low, high = values.min(), values.max()
        return np.asarray((values - low) / (high - low))

    hours = np.array([(cue.at - record.created).total_seconds() / 3600 for record in records])
    cosine = rows @ rows[77] / np.linalg.norm(rows, axis=1) / np.linalg.norm(rows[77])
    importance = np.array([record.importance for record in records])
    score = scale(0.995**hours) + scale(importance) + scale(cosine.astype(np.float64))
    assert [hit.record.id for hit in hits] == (np.argsort(-score)[:10] + 1).tolist()
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(score)[::-1][:10], atol=1e-5)


def test_importing_memory_is_light() -> None:
    """The package loads neither numpy nor FAISS nor torch until something is recalled."""
    code = (
        "import sys, denizens.memory, denizens.store\n"
        "print([m for m in ('numpy', 'faiss', 'torch', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
