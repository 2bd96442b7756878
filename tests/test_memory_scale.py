"""Large memories and crowds: the fast ways give what the slow one gives."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from denizens.core import Cue, Record, RecordKind
from denizens.memory import PAPER, Memory, recall_many
from denizens.memory.index import VectorIndex, unit_rows
from denizens.memory.index import quantized_index as codes
from denizens.memory.index.columns import VectorBlocks
from denizens.memory.recall import RecallQuery
from denizens.memory.recall import batch_recall as crowd
from denizens.memory.recall import single_recall as recall
from denizens.memory.recall import single_recall as recalling
from denizens.store import Store
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from numpy.typing import NDArray

NINE = datetime(2023, 2, 13, 9)
KINDS: tuple[RecordKind, ...] = ("observation", "thought")


def talk(count: int, seed: int, columns: int = 24) -> NDArray[np.float32]:
    """Rows that lie together as texts do: around few themes, most alike within one."""
    chance = np.random.default_rng(seed)
    themes = chance.normal(size=(40, columns))
    rows = themes[chance.integers(0, 40, count)] + 0.5 * chance.normal(size=(count, columns))
    return rows.astype(np.float32)


def records(count: int, seed: int, start: int = 1) -> list[Record]:
    """Records of several worths, sources, kinds, audiences and ends."""
    chance = np.random.default_rng(seed)
    return [
        Record(
            id=number,
            kind=KINDS[number % 2],
            text=f"event {number}",
            created=NINE + timedelta(minutes=7 * number),
            who=("Ada", "Eve", "Dan")[number % 3],
            importance=float(chance.integers(1, 11)),
            audience=("Ada",) if number % 11 == 0 else (),
            until=NINE + timedelta(days=1) if number % 13 == 0 else None,
        )
        for number in range(start, start + count)
    ]


def filled(count: int, seed: int, **options: object) -> Memory:
    """A memory of so many, every seventh without an embedding."""
    memory = Memory(":memory:", "Bo", **options)  # type: ignore[arg-type]
    rows = talk(count, seed)
    vectors = {number: row for number, row in enumerate(rows, 1) if number % 7}
    memory.add(records(count, seed), vectors)
    return memory


CUES = st.builds(
    Cue,
    text=st.just("x"),
    at=st.sampled_from([NINE, NINE + timedelta(days=3), NINE + timedelta(days=9000)]),
    limit=st.sampled_from([1, 3, 10, 40]),
    kinds=st.sampled_from([(), ("thought",)]),
    person=st.sampled_from(["", "Ada", "Cy"]),
    since=st.sampled_from([None, NINE + timedelta(hours=30)]),
)


@settings(max_examples=40, deadline=None)
@given(st.integers(30, 900), st.integers(0, 10**6), CUES, st.booleans(), st.booleans())
def test_sifting_equals_scoring_all(
    count: int, seed: int, cue: Cue, trusting: bool, touched: bool
) -> None:
    """Whatever the memory and the cue: the first pass by codes loses nothing, and the hits
    and their scores are those of scoring every record, to the bit."""
    memory = filled(count, seed, trust={} if trusting else {"Eve": 0.3})
    if touched:
        memory.mark_accessed([1, count // 2], step=1, at=NINE + timedelta(days=2))
    query = talk(1, seed + 1)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recalling, "FULL_SCORE_LIMIT", 10**9)
        slow = [memory.recall(cue, query), memory.as_of(0).recall(cue, query)]
        patch.setattr(recalling, "FULL_SCORE_LIMIT", 8)
        fast = [memory.recall(cue, query), memory.as_of(0).recall(cue, query)]
        again = memory.recall(cue, query)
    assert fast == slow
    assert again == slow[0]


def test_sifting_sifts() -> None:
    """Of many records few are scored, so that the test above compares two ways."""
    memory = filled(5000, 1)
    cue = Cue(text="x", at=NINE)
    scene = RecallQuery.for_cue(memory.loader, memory.rules, cue, talk(1, 2)[0], {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recalling, "FULL_SCORE_LIMIT", 8)
        assert len(recalling.score_candidates(scene, 10).positions) < 1000


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 300), st.sampled_from([2, 16, 24, 50]), st.integers(0, 10**6))
def test_codes_are_as_exact_as_they_say(count: int, columns: int, seed: int) -> None:
    """No product of codes is further from the cosine than the bound that comes with it,
    whatever rows are added after the scale was chosen."""
    chance = np.random.default_rng(seed)
    index = VectorIndex()
    for _ in range(3):
        index.extend(chance.standard_cauchy(size=(count, columns)).astype(np.float32))
        query = unit_rows(chance.normal(size=(1, columns)).astype(np.float32))[0]
        rough, off = index.quantized.all_products(query)
        exact = index.cosines(query, np.arange(index.rows))
        assert np.abs(rough - exact).max() <= off


@pytest.fixture
def small_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells from 512 rows on, so that a test reaches them."""
    monkeypatch.setattr(codes, "MIN_ROWS_FOR_CELLS", 512)
    monkeypatch.setattr(recalling, "MIN_ROWS_FOR_CELLS", 512)
    monkeypatch.setattr(codes, "CELL_BATCH", 64)
    monkeypatch.setattr(recalling, "FULL_SCORE_LIMIT", 100)


@pytest.mark.usefixtures("small_cells")
def test_grown_cells_equal_rebuilt_ones(tmp_path: Path) -> None:
    """Added in uneven batches with recalls in between, across the sizes at which cells are
    made and made anew: approximate recall equals that of the reopened file, to the bit."""
    path = tmp_path / "bo.db"
    cue = Cue(text="x", at=NINE + timedelta(days=2), rules="paper-approx")
    chance = np.random.default_rng(3)
    queries = talk(20, 9)
    with Memory(path, "Bo") as memory:
        rows = talk(3000, 4)
        sizes = []
        while memory.next_id <= 3000:
            size = int(chance.integers(1, 200))
            start = memory.next_id
            batch = records(min(size, 3001 - start), start, start)
            memory.add(batch, {r.id: rows[r.id - 1] for r in batch if r.id % 5})
            memory.recall(cue, queries[0])
            sizes.append(memory.index.vectors.quantized.cells)
        assert {0, 44, 90} == set(sizes)
        grown = [memory.recall(cue, query) for query in queries]
    with Memory(path, "Bo") as rebuilt:
        assert [rebuilt.recall(cue, query) for query in queries] == grown


@pytest.mark.usefixtures("small_cells")
def test_approximate_recall_finds_the_best() -> None:
    """In cells, at least .98 of the ten best by the exact rules are found, also when masked
    and when all are equally important and old; what is not admitted is never found."""
    memory = filled(4000, 5)
    flat = Memory(":memory:", "Bo")
    alike = [replace(r, importance=1.0, created=NINE) for r in records(4000, 5)]
    flat.add(alike, dict(enumerate(talk(4000, 5), 1)))
    shares = []
    for number, query in enumerate(talk(12, 6)):
        for one, person in ((memory, ""), (memory, "Cy"), (flat, "")):
            cue = Cue(text="x", at=NINE + timedelta(days=3 + number), person=person)
            found = one.recall(replace(cue, rules="paper-approx"), query)
            exact = {hit.record.id for hit in one.recall(cue, query)}
            shares.append(len(exact & {hit.record.id for hit in found}) / len(exact))
            assert not person or all(hit.record.audience == () for hit in found)
    assert np.mean(shares) >= 0.98


def test_approximate_rules_are_exact_while_small() -> None:
    """Below the size of cells paper-approx is paper."""
    memory = filled(500, 7)
    query = talk(1, 8)[0]
    cue = Cue(text="x", at=NINE)
    assert memory.recall(replace(cue, rules="paper-approx"), query) == memory.recall(cue, query)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.lists(CUES, min_size=24, max_size=40))
def test_crowd_equals_one_by_one(seed: int, cues: list[Cue]) -> None:
    """Minds of several sizes and trusts, several cues for one of them, some masked, while
    memories grow: together each is answered what it is answered alone, to the bit."""
    chance = np.random.default_rng(seed)
    with Store(":memory:") as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(crowd, "MIN_REQUESTS", 8)
        memories = []
        for number in range(12):
            size = int(chance.integers(100, 400))
            trust = {"Eve": 0.5} if number % 4 == 0 else None
            memory = Memory(store, f"mind {number}", trust=trust)
            memory.add(records(size, seed + number), dict(enumerate(talk(size, number), 1)))
            memories.append(memory)
        requests = [(memories[n % 12], cue) for n, cue in enumerate(cues)]
        for turn in range(2):
            rows = talk(len(requests), seed + turn)
            alone = [memory.recall(cue, row) for (memory, cue), row in zip(requests, rows)]
            assert recall_many(requests, rows) == alone
            memories[1].add(records(9, 1, memories[1].next_id), {})
            more = records(30, 2, memories[2].next_id)
            memories[2].add(more, {r.id: row for r, row in zip(more, talk(30, 77))})
        assert any(key[0] == "memory pool" for key in store.cache if isinstance(key, tuple))


def test_blocks_hold_rows_across_their_borders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows in many blocks come back by number, by range and in products as in one array."""
    monkeypatch.setattr("denizens.memory.index.columns.BLOCK_ROWS", 128)
    chance = np.random.default_rng(0)
    whole = chance.normal(size=(1000, 8)).astype(np.float32)
    rows = VectorBlocks()
    start = 0
    while start < 1000:
        size = int(chance.integers(1, 300))
        rows.extend(whole[start : start + size])
        start += size
    picked = chance.integers(0, 1000, 200)
    assert (rows.take(picked) == whole[picked]).all()
    assert (rows.slice(100, 700) == whole[100:700]).all()
    assert (rows.dot(whole[3]) == np.vecdot(whole, whole[3])).all()


def test_compact_memory_takes_half() -> None:
    """Embeddings as float16: cosines right to three digits, and stored whole."""
    rows = talk(300, 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bo.db"
        with Memory(path, "Bo", compact=True) as small:
            small.add(records(300, 1), dict(enumerate(rows, 1)))
            near = small.recall(Cue(text="x", at=NINE), rows[5])
            assert small.index.vectors.blocks.slice(0, 9).dtype == np.float32
        with Memory(path, "Bo") as exact:
            far = exact.recall(Cue(text="x", at=NINE), rows[5])
    assert [hit.score for hit in near] == pytest.approx([hit.score for hit in far], abs=2e-3)


def test_bar_is_never_above_the_nth_score() -> None:
    """The shortcut for the n-th highest score never exceeds it, ties and all."""
    chance = np.random.default_rng(1)
    for _ in range(300):
        scores = chance.integers(0, 50, chance.integers(1, 2000)).astype(np.float32)
        limit = int(chance.integers(1, 60))
        nth = np.sort(scores)[::-1][min(limit, len(scores)) - 1]
        assert recalling._score_threshold(scores, limit) <= nth
    assert PAPER.approximate is False
    assert recall is recalling
