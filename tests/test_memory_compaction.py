"""Folding: old episodes become summaries, nothing is lost, nothing leaks, recall stays small."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from denizens.core import Completion, Cue, Failed, MemoryFault, Record, SettingError
from denizens.memory import Compaction, CompactionBudget, Memory, rewind_memories
from denizens.memory.extractive_summary import central_sentences
from denizens.memory.storage import hidden_ids
from denizens.store import Store
from denizens.tests.support.hashed_embedding import embed_letters
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    pass

START = datetime(2023, 1, 1, 8)
LATER = START + timedelta(days=60)


def live(folding: Compaction, day: int, count: int, **parts: Any) -> list[Record]:
    """A day of records."""
    memory = folding.memory
    records = [
        Record(
            id=memory.next_id + n,
            **{
                "kind": "observation",
                "text": f"On day {day} Ada sold loaf {n} of rye",
                "created": START + timedelta(days=day, minutes=n),
                "importance": 1 + n % 5,
                **parts,
            },
        )
        for n in range(count)
    ]
    memory.add(
        records, dict(zip([r.id for r in records], embed_letters([r.text for r in records])))
    )
    return records


def folding() -> Compaction:
    """Folding of an empty memory."""
    return Compaction(Memory(":memory:", "Bo", embed=embed_letters))


def recalled(folding: Compaction, limit: int = 10_000, text: str = "rye") -> set[int]:
    """The ids recall can give."""
    hits = folding.memory.recall(Cue(text=text, at=LATER, limit=limit, touch=False))
    return {hit.record.id for hit in hits}


def test_a_summary_stands_for_its_records() -> None:
    """A folded episode leaves recall, its summary points to it and takes its time, importance
    and depth; the records stay readable."""
    held = folding()
    records = live(held, 0, 6)
    summary = held.summarise(records, at=LATER)
    assert recalled(held) == {summary.id}
    assert summary.evidence == tuple(record.id for record in records)
    assert (summary.kind, summary.depth, summary.importance) == ("summary", 1, 5)
    assert summary.created == records[-1].created
    assert held.memory.record(1).text in [record.text for record in records]


def test_unfolded_again() -> None:
    """Unfolding brings the very records back and takes the summary out; the log tells both."""
    held = folding()
    records = live(held, 0, 6)
    summary = held.summarise(records, at=LATER, why="test")
    assert held.expand(summary.id, at=LATER) == tuple(records)
    assert recalled(held) == {record.id for record in records}
    (line,) = held.history()
    assert (line.why, line.expanded_at, line.records) == ("test", LATER, summary.evidence)
    with pytest.raises(MemoryFault, match="no summary"):
        held.expand(summary.id, at=LATER)


def test_within_the_budget_oldest_first() -> None:
    """Keeping folds the oldest days until the budget is met, and leaves the fresh alone."""
    held = folding()
    for day in range(10):
        live(held, day, 20)
    at = START + timedelta(days=10)
    summaries = held.compact(CompactionBudget(records=100, fresh_hours=24), at=at)
    assert held.recallable_count(at) <= 100
    assert summaries[0].evidence == tuple(range(1, 21))
    assert set(range(181, 201)) <= recalled(held)
    assert held.compact(CompactionBudget(records=100, fresh_hours=24), at=at) == ()


def test_summaries_fold_too() -> None:
    """When only summaries are left, the oldest of them are folded in turn, and each level can
    be unfolded."""
    held = folding()
    for day in range(30):
        live(held, day, 10)
    held.compact(CompactionBudget(records=12), at=LATER)
    assert held.recallable_count(LATER) <= 12
    upper = [record for record in held.memory.records() if record.depth == 2]
    assert upper
    below = held.expand(upper[-1].id, at=LATER)
    assert {record.kind for record in below} == {"summary"}


def test_at_most_so_many_of_a_day() -> None:
    """A day over its budget keeps its heaviest records; the lightest become one summary."""
    held = folding()
    live(held, 0, 20)
    held.compact(CompactionBudget(records=1000, per_day=6), at=LATER)
    left = [held.memory.record(i) for i in recalled(held)]
    assert len(left) == 6
    kept = [record.importance for record in left if record.kind != "summary"]
    assert min(kept) >= 4


def test_pinned_and_important_stay() -> None:
    """Pinned and weighty records are never folded by a budget, pinned ones not by hand."""
    held = folding()
    pinned = live(held, 0, 3, pinned=True)
    heavy = live(held, 0, 3, importance=9.5)
    live(held, 0, 30)
    held.compact(CompactionBudget(records=10), at=LATER)
    assert {record.id for record in [*pinned, *heavy]} <= recalled(held)
    with pytest.raises(MemoryFault, match="pinned"):
        held.summarise(pinned, at=LATER)


def test_what_may_not_be_folded() -> None:
    """One record, records of different people, and what is folded already are refused."""
    held = folding()
    mine = live(held, 0, 2)
    theirs = live(held, 0, 2, audience=("Cy",))
    with pytest.raises(MemoryFault, match="at least two"):
        held.summarise(mine[:1], at=LATER)
    with pytest.raises(MemoryFault, match="different audiences"):
        held.summarise([*mine, *theirs], at=LATER)
    held.summarise(mine, at=LATER)
    with pytest.raises(MemoryFault, match="compacted already"):
        held.summarise(mine, at=LATER)


def test_bad_budgets() -> None:
    """A budget that cannot be kept is refused when it is made."""
    with pytest.raises(SettingError, match="at least 10"):
        CompactionBudget(records=3)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 49), st.integers(0, 5)), max_size=60), st.integers(10, 30))
def test_no_summary_mixes_people(told: list[tuple[int, int]], budget: int) -> None:
    """Fifty people's canaries: a summary is for those its records are for, its text holds no
    other's canary, and every record is open or folded exactly once."""
    held = folding()
    for n, (owner, day) in enumerate(told):
        who = f"person{owner}"
        text = f"canary-{owner}-x sang {n}"
        live(held, day, 1, audience=(who,) if owner else (), text=text)
    held.compact(CompactionBudget(records=budget), at=LATER)
    for record in held.memory.records(kinds=["summary"]):
        owners = {held.memory.record(i).audience for i in record.evidence}
        assert owners == {record.audience}
        canaries = {word for word in record.text.split() if word.startswith("canary")}
        assert len(canaries) == 1
    folded = [i for fold in held.history() for i in fold.records]
    assert len(folded) == len(set(folded))
    assert recalled(held) | set(folded) == {record.id for record in held.memory.records()}
    assert not recalled(held) & set(folded)


def test_folds_last_and_follow_the_steps(tmp_path: Path) -> None:
    """Folds are there after reopening; an earlier view and a fork have the records back."""
    file = tmp_path / "bo.db"
    with Store(file) as store:
        held = Compaction(Memory(store, "Bo", embed=embed_letters))
        live(held, 0, 4)
        memory = held.memory
        memory.add([Record(id=5, kind="plan", text="x", created=LATER, pinned=True)], step=2)
        held.summarise(memory.records()[:4], at=LATER)
    with Store(file) as store:
        held = Compaction(Memory(store, "Bo", embed=embed_letters))
        assert recalled(held) == {5, 6}
        assert recalled(Compaction(held.memory.as_of(1))) == {1, 2, 3, 4}
        assert store.verify() == ()
        rewind_memories(store, 1)
        assert recalled(held) == {1, 2, 3, 4}
        assert hidden_ids(store, "Bo") == []


def test_central_sentences() -> None:
    """The summary by rule says what most records say, in their own sentences and order."""
    texts = ["Ada baked rye bread", "Ada sold rye bread", "A goat", "Ada ate rye bread", "Rain"]
    text = central_sentences(texts, embed_letters, count=2)
    assert all(
        sentence.strip(".") + "." in {f"{t}." for t in texts} for sentence in text.split(". ")
    )
    assert "rye bread" in text


def test_a_models_summary_is_checked() -> None:
    """The model's words are taken when they name only what was told; else, and when it fails,
    the central sentences are."""
    held = folding()
    records = live(held, 0, 6)
    said: list[tuple[Any, bool]] = [
        (Completion(text="Ada sold six loaves of rye."), True),
        (Completion(text="Ada met Zebedee in Paris."), False),
        (Completion(text=""), False),
        (Failed(reason="engine", detail="x"), False),
    ]
    for answer, taken in said:
        thought = held.generate_summary(records)
        next(thought)
        with pytest.raises(StopIteration) as end:
            thought.send((answer,))
        text = end.value.value
        assert (text == "Ada sold six loaves of rye.") is taken
        assert taken or text == central_sentences(
            [record.text for record in records], embed_letters
        )


def test_a_month_stays_small() -> None:
    """Thirty days with a budget: what recall scans on the last day is no more than the budget,
    though every record is kept."""
    held = folding()
    sizes = []
    budget = CompactionBudget(records=200, fresh_hours=24)
    for day in range(30):
        live(held, day, 60)
        at = START + timedelta(days=day, hours=15)
        held.compact(budget, at=at)
        sizes.append(held.recallable_count(at))
    assert max(sizes) <= 200
    assert len(held.memory.records(kinds=["observation"])) == 1800
