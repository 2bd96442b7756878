"""What is folded away leaves RAM too, and nothing else about a memory changes by that."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from denizens.core import Cue, Hit, Record
from denizens.memory import Compaction, CompactionBudget, Memory, recall_many, rewind_memories
from denizens.memory.index import index_loader as holding
from denizens.store import Store
from denizens.tests.support.hashed_embedding import embed_letters
from hypothesis import given, settings
from hypothesis import strategies as st

START = datetime(2023, 1, 1, 8)
QUESTIONS = ("Which loaf of rye did Ada sell?", "Who was at the mill on day 2?", "Eve lies")


def records(memory: Memory, day: int, count: int, whose: str = "Ada") -> list[Record]:
    """A day's records, those of every third for Cy alone."""
    return [
        Record(
            id=memory.next_id + n,
            kind="utterance" if n % 2 else "observation",
            text=f"On day {day} {whose} sold loaf {n} of rye at the mill",
            created=START + timedelta(days=day, minutes=n),
            importance=1 + n % 5,
            who=whose,
            episode=f"talk {day}" if n % 4 else "",
        )
        for n in range(count)
    ]


def add(memory: Memory, made: Sequence[Record], step: int = 0) -> None:
    """Written with embeddings, every fifth without one."""
    rows = embed_letters([record.text for record in made])
    memory.add(made, {r.id: row for r, row in zip(made, rows) if r.id % 5}, step=step)


def asked(memory: Memory, at: datetime) -> list[tuple[Hit, ...]]:
    """What recall gives for a few cues by all kinds of rules."""
    found = []
    for text in QUESTIONS:
        for rules in ("paper", "hybrid", "reverie"):
            cue = Cue(text=text, at=at, limit=7, rules=rules, around=1, touch=False)
            found.append(memory.recall(cue, embed_letters([text])[0]))
    return found


@contextmanager
def holding_all() -> Iterator[None]:
    """Memories read meanwhile hold everything and leave hidden records out by a mask."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(holding, "UNLOAD_SLACK", 10**9)
        patch.setattr(holding, "hidden_ids", lambda *_: ())
        yield


DEEDS = st.lists(
    st.tuples(st.sampled_from(["day", "fold", "unfold", "trust", "touch"]), st.integers(0, 99)),
    min_size=3,
    max_size=10,
)


@settings(max_examples=25, deadline=None)
@given(DEEDS)
def test_recall_is_as_if_all_were_held(deeds: list[tuple[str, int]]) -> None:
    """Days are lived, folded and unfolded, a source is quarantined and released, records are
    touched: after each deed recall equals, to the bit, that of a reader who holds every record
    and masks the folded ones, and that of one who opens the file anew; rows held stay few."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(holding, "UNLOAD_SLACK", 2)
        path = Path(folder) / "bo.db"
        with Memory(path, "Bo", embed=embed_letters) as memory:
            folding = Compaction(memory)
            for day, (deed, number) in enumerate(deeds):
                at = START + timedelta(days=day, hours=20)
                do(folding, deed, number, day, at)
                found = asked(memory, at)
                shelf = memory.index
                open_now = folding.recallable_count(at)
                assert len(shelf.records) <= 1.2 * open_now + 3 + shut(memory)
                assert len(shelf.records) == len(shelf.record_id) == len(shelf.last_access)
                assert shelf.vectors.rows == int((shelf.vector_row.array >= 0).sum())
                with Store(path, write=False) as store:
                    assert asked(Memory(store, "Bo"), at) == found
                with holding_all(), Store(path, write=False) as store:
                    assert asked(Memory(store, "Bo"), at) == found


def do(folding: Compaction, deed: str, number: int, day: int, at: datetime) -> None:
    """One deed."""
    memory = folding.memory
    if deed == "day" or not len(memory):
        add(memory, records(memory, day, 6 + number % 20, ("Ada", "Eve")[number % 2]), day)
    elif deed == "fold":
        folding.compact(CompactionBudget(records=10 + number, fresh_hours=0), at=at)
    elif deed == "unfold":
        made = [fold for fold in folding.history() if fold.expanded_at is None]
        if made:
            folding.expand(made[number % len(made)].summary, at=at)
    elif deed == "touch":
        memory.mark_accessed([1 + number % len(memory)], step=day, at=at)
    elif memory.quarantined:
        memory.release("Eve")
    else:
        memory.quarantine("Eve")


def shut(memory: Memory) -> int:
    """Records that are held and not open for another reason than a fold: a quarantine."""
    return sum(memory.stored_record(int(n)).who == "Eve" for n in memory.index.record_id.array)


def month(folder: Path, days: int = 8, each: int = 60) -> Memory:
    """Lived and folded every night, with a budget of two days."""
    memory = Memory(folder / "bo.db", "Bo", embed=embed_letters)
    for day in range(days):
        add(memory, records(memory, day, each), step=day)
        at = START + timedelta(days=day, hours=20)
        memory.mark_accessed([memory.next_id - 1], step=day, at=at)
        Compaction(memory).compact(CompactionBudget(records=2 * each, fresh_hours=0), at=at)
        asked(memory, at)
    return memory


def test_rows_held_stay_flat(tmp_path: Path) -> None:
    """Of eight days as much is held as the budget and the slack allow: records, columns,
    embeddings, words; everything can still be read by number, in order, as exported."""
    with month(tmp_path) as memory:
        shelf, bound = memory.index, 120 + holding.UNLOAD_SLACK + 20
        assert len(memory) == shelf.record_count > 480
        assert len(shelf.records) <= bound
        assert shelf.vectors.rows <= bound
        assert len(shelf.lexical) <= bound
        assert [record.id for record in memory.records()] == list(range(1, len(memory) + 1))
        assert [record.id for record in memory.records(last=3)] == [
            *range(len(memory) - 2, len(memory) + 1)
        ]
        every = memory.records(kinds=("utterance",), last=300)
        assert every == tuple(r for r in memory.records() if r.kind == "utterance")[-300:]
        assert memory.record(1).text == "On day 0 Ada sold loaf 0 of rye at the mill"
        held = {int(n) for n in shelf.record_id.array}
        assert 1 not in held
        memory.mark_accessed([1], step=20, at=START + timedelta(days=30))
        for fold in Compaction(memory).history():
            Compaction(memory).expand(fold.summary, at=START + timedelta(days=30))
        asked(memory, START + timedelta(days=30))
        assert 1 in {int(n) for n in memory.index.record_id.array}
        assert (
            memory.index.last_access.array[0]
            == (START + timedelta(days=30) - datetime(1970, 1, 1)).total_seconds()
        )


def test_the_past_is_whole(tmp_path: Path) -> None:
    """A view as of an earlier step recalls what was folded since, with the accesses of then,
    as a fork of that step does; the file verifies, its digest is that of a run that never
    took anything down."""
    with month(tmp_path) as memory:
        at = START + timedelta(days=2, hours=20)
        past = memory.as_of(2)
        found = asked(past, at)
        assert len(past) < len(memory)
        assert memory.store.verify() == ()
        with holding_all():
            (tmp_path / "plain").mkdir()
            with month(tmp_path / "plain") as plain:
                assert plain.digest == memory.digest
                assert len(plain.index.records) == len(plain)
                assert asked(plain.as_of(2), at) == found
        rewind_memories(memory.store, 2)
        assert asked(memory, at) == found


def test_a_pool_follows_what_is_taken_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many minds asked together, before and after one of them folds and unfolds: the very
    answers each gives alone."""
    monkeypatch.setattr("denizens.memory.recall.batch_recall.MIN_REQUESTS", 2)
    monkeypatch.setattr("denizens.memory.recall.batch_recall.MIN_RECORDS", 8)
    with Store(tmp_path / "town.db") as store:
        minds = [Memory(store, name) for name in ("Ada", "Bo", "Cy")]
        for mind in minds:
            made = records(mind, 0, 90)
            mind.add(made, dict(zip([r.id for r in made], embed_letters([r.text for r in made]))))
        at = START + timedelta(days=9)
        requests = [(mind, Cue(text="rye", at=at, limit=5)) for mind in minds]
        rows = embed_letters(["loaf 3 of rye", "loaf 7", "Ada sold loaf 80"])

        def agree() -> list[tuple[Hit, ...]]:
            together = recall_many(requests, rows)
            assert together == [mind.recall(cue, row) for (mind, cue), row in zip(requests, rows)]
            return together

        before = agree()
        fold = Compaction(minds[1], embed_letters)
        summary = fold.summarise(minds[1].records()[:85], at=at)
        assert agree() != before
        assert len(minds[1].index.records) < 10
        fold.expand(summary.id, at=at)
        assert agree()[1] == before[1]
        assert any(isinstance(key, tuple) and key[0] == "memory pool" for key in _keys(store))


def _keys(store: Store) -> list[Any]:
    return list(store.cache)


def test_no_numbers_are_lost_on_the_way() -> None:
    """Places and numbers agree when some records are not held."""
    with tempfile.TemporaryDirectory() as folder, month(Path(folder), days=4) as memory:
        shelf = memory.index
        numbers = shelf.record_id.array
        assert (np.diff(numbers) > 0).all()
        assert (shelf.positions_of(numbers) == np.arange(len(numbers))).all()
        assert len(shelf.positions_of(shelf.unloaded)) == 0
        assert [record.id for record in shelf.records] == numbers.tolist()
