"""Memories on disk: reopening, earlier steps, rollbacks, damage."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from denizens.core import Cue, MemoryFault, Record, RunError
from denizens.memory import (
    Memory,
    export_lines,
    import_lines,
    prepare_store,
    recall_many,
    rewind_memories,
)
from denizens.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

NINE = datetime(2023, 2, 13, 9)
CUE = Cue(text="bread", at=NINE + timedelta(hours=9))


def letters(texts: Sequence[str]) -> NDArray[np.float32]:
    """An embedding without a model: how often each letter comes."""
    rows = [[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts]
    return np.array(rows, np.float32)


def at(step: int) -> datetime:
    """The moment of a step, an hour each."""
    return NINE + timedelta(hours=step)


def live(memory: Memory, steps: range) -> None:
    """Some steps of a life: two records each, and an access of an old one."""
    for step in steps:
        with memory.store.transaction():
            for text in (f"Ada baked bread {step}", f"rain {step}\u2028fell, said 'Bo'"):
                record = Record(
                    id=memory.next_id,
                    kind="observation",
                    text=text,
                    created=at(step),
                    importance=1 + step % 5,
                    who="Ada",
                    place="town:bakery",
                )
                memory.add([record], {record.id: letters([text])[0]}, step=step)
            memory.mark_accessed([1 + step // 2], step=step, at=at(step))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two people's memories of six steps in one file."""
    path = tmp_path / "run.db"
    with Store(path) as store:
        for name in ("Bo", "Cy"):
            live(Memory(store, name), range(6))
    return path


def test_reopened_memory_recalls_the_same(path: Path) -> None:
    """Records, embeddings and last accesses are saved: recall is equal to the bit."""
    live_path = path.with_name("live.db")
    with Store(live_path) as store:
        memory = Memory(store, "Bo")
        live(memory, range(6))
        before = memory.recall(CUE, letters(["bread"])[0])
        digest = memory.digest
    with Memory(path, "Bo", embed=letters) as again:
        assert len(again) == 12
        assert again.next_id == 13
        assert again.recall(CUE) == before
        assert again.digest == digest
        assert [r.id for r in again.records(last=2)] == [11, 12]
        assert again.records(kinds=("thought",)) == ()


def test_recall_writes_nothing(path: Path) -> None:
    """A recall leaves the file's bytes as they are; only touch moves last accesses."""
    with Store(path, write=False) as store:
        memory = Memory(store, "Bo", embed=letters)
        assert memory.recall(CUE) == memory.recall(CUE)
    before = path.read_bytes()
    with Store(path, write=False) as store:
        memory = Memory(store, "Bo", embed=letters)
        memory.recall(CUE)
        with pytest.raises(RunError, match="reading only"):
            memory.mark_accessed([1], step=9, at=at(9))
    assert path.read_bytes() == before


@pytest.mark.parametrize("step", [-1, 0, 3, 5])
def test_as_of_equals_the_memory_then(path: Path, step: int) -> None:
    """A view as of a step recalls to the bit what the memory recalled when it was there."""
    then = Memory(":memory:", "Bo", embed=letters)
    live(then, range(step + 1))
    with Store(path, write=False) as store:
        view = Memory(store, "Bo", embed=letters).as_of(step)
        assert len(view) == len(then) == 2 * (step + 1)
        assert view.recall(CUE) == then.recall(CUE)
        assert view.records() == then.records()
        with pytest.raises(MemoryFault, match="read-only"):
            view.remember("x", at=NINE)
        with pytest.raises(MemoryFault, match="has no record"):
            view.record(len(view) + 1)
        assert len(view.as_of(99)) == len(view)


def test_rewound_copy_equals_the_memory_then(path: Path) -> None:
    """After rewinding, a fork's chains end as they did then, it verifies, and goes on."""
    then = Memory(":memory:", "Bo")
    live(then, range(4))
    with Store(path) as store:
        rewind_memories(store, 3)
        assert store.verify() == ()
        memory = Memory(store, "Bo")
        assert memory.digest == then.digest
        live(memory, range(4, 6))
        live(then, range(4, 6))
        assert memory.digest == then.digest


def test_rollback_of_the_caller_undoes_the_memory(path: Path) -> None:
    """When the transaction around it fails, the memory forgets what was added in it."""
    with Store(path) as store:
        memory = Memory(store, "Bo", embed=letters)
        before = memory.recall(CUE)

        def interrupted() -> None:
            with store.transaction():
                memory.remember("bread bread bread", at=NINE)
                memory.mark_accessed([1, 2], step=6, at=at(6))
                assert len(memory) == 13
                raise KeyError("interrupted")

        with pytest.raises(KeyError):
            interrupted()
        assert len(memory) == 12
        assert memory.recall(CUE) == before
        assert memory.remember("again", at=NINE).id == 13


def test_two_views_of_one_agent_agree(path: Path) -> None:
    """What one view writes the other sees; another agent's memory does not change."""
    with Store(path) as store:
        one, two, other = Memory(store, "Bo"), Memory(store, "Bo"), Memory(store, "Cy")
        one.remember("news", at=NINE)
        assert two.records(last=1)[0].text == "news"
        assert (len(one), len(two), len(other)) == (13, 13, 12)


def test_many_at_once_equals_one_by_one(path: Path) -> None:
    """Many agents' recalls in one go are those of each alone; shared embedders run once."""
    calls: list[int] = []

    def counted(texts: Sequence[str]) -> NDArray[np.float32]:
        calls.append(len(texts))
        return letters(texts)

    with Store(path) as store:
        memories = [Memory(store, name, embed=counted) for name in ("Bo", "Cy")]
        cues = [CUE, Cue(text="rain", at=at(7), limit=3)]
        requests = list(zip(memories, cues, strict=True))
        together = recall_many(requests)
        assert calls == [2]
        assert together == [memory.recall(cue) for memory, cue in requests]
        assert recall_many(requests, letters(["bread", "rain"])) == together
        assert recall_many([]) == []


def test_evidence_gives_depth() -> None:
    """A thought's depth is one more than the deepest record it rests on."""
    memory = Memory(":memory:", "Bo")
    seen = memory.remember("Ada is up early", at=NINE)
    thought = memory.remember("Ada works hard", at=NINE, kind="thought", evidence=(seen.id,))
    deeper = memory.remember("Ada needs rest", at=NINE, kind="thought", evidence=(1, 2))
    assert (seen.depth, thought.depth, deeper.depth) == (0, 1, 2)
    assert memory.record(3) == deeper


def record(number: int, **fields: object) -> Record:
    """A record with some fields set."""
    given: dict[str, object] = {"kind": "observation", "text": "x", "created": NINE, **fields}
    return Record(id=number, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("records", "vectors", "message"),
    [
        ([record(2)], {}, "should be number 1"),
        ([record(1), record(1)], {}, "should be number 2"),
        ([record(1, importance=0.5)], {}, "importance 0.5"),
        ([record(1, importance=float("nan"))], {}, "importance nan"),
        ([record(1, evidence=(1,))], {}, "evidence"),
        ([record(1, created=datetime.fromisoformat("2023-02-13T09:00+01:00"))], {}, "time zone"),
        ([record(1)], {2: [1.0]}, "not added"),
        ([record(1)], {1: [float("nan")]}, "not finite"),
        ([record(1), record(2)], {1: [1.0, 0.0], 2: [1.0]}, "one embedding model"),
    ],
)
def test_unfit_records_are_refused_whole(
    records: list[Record], vectors: dict[int, list[float]], message: str
) -> None:
    """Each rule for new records has its message, and nothing of the batch is written."""
    memory = Memory(":memory:", "Bo")
    with pytest.raises(MemoryFault, match=message):
        memory.add(records, vectors)
    assert len(memory) == 0


def test_other_models_cue_is_refused(path: Path) -> None:
    """A cue embedded by another model is an error, not a wrong answer."""
    with Memory(path, "Bo") as memory, pytest.raises(MemoryFault, match="another model"):
        memory.recall(CUE, [1.0, 0.0])


def test_steps_only_go_forward(path: Path) -> None:
    """A write before the last step is refused, since a view as of it would change."""
    with Memory(path, "Bo") as memory:
        with pytest.raises(MemoryFault, match="only go forward"):
            memory.add([record(13)], step=4)
        with pytest.raises(MemoryFault, match="unknown records"):
            memory.mark_accessed([99], step=9, at=NINE)


Spoil = Callable[[sqlite3.Connection], object]


def flipped(row: bytes) -> bytes:
    """One bit of an embedding changed."""
    return row[:5] + bytes([row[5] ^ 1]) + row[6:]


def flip_vector(raw: sqlite3.Connection) -> None:
    """Change one bit of one embedding."""
    where = "FROM memory_records WHERE agent = 'Bo' AND id = 3"
    (blob,) = raw.execute(f"SELECT vector {where}").fetchone()
    raw.execute(
        "UPDATE memory_records SET vector = ? WHERE agent = 'Bo' AND id = 3", (flipped(blob),)
    )


def statement(sql: str) -> Spoil:
    """Damage done by one statement."""
    return lambda raw: raw.execute(sql)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (flip_vector, "record 3"),
        (statement("UPDATE memory_records SET body = replace(body, 'Ada', 'Eve')"), "record 1"),
        (statement("DELETE FROM memory_records WHERE agent = 'Bo' AND id = 5"), "record 5"),
        (
            statement("DELETE FROM memory_records WHERE agent = 'Bo' AND id = 12"),
            "record 12 is missing",
        ),
        (statement("UPDATE memory_records SET step = step + 1 WHERE id = 12"), "chain"),
        (statement("DELETE FROM memory_touches WHERE n = 2"), "access log"),
        (statement("DELETE FROM memory_touches WHERE n = 6"), "line 6 of the access log"),
        (statement("UPDATE memory_touches SET at = '2023-02-13T09:00:01' WHERE n = 1"), "log"),
        (statement("DELETE FROM memory_heads"), "written"),
    ],
)
def test_damage_is_found_and_named(path: Path, spoil: Spoil, message: str) -> None:
    """A flipped bit, a missing, changed or cut-off row: verify names it, and the memory is
    not opened as if nothing were."""
    raw = sqlite3.connect(path)
    spoil(raw)
    raw.commit()
    raw.close()
    with Store(path, write=False) as store:
        prepare_store(store)
        found = [str(damage) for damage in store.verify()]
        assert any("memory of Bo" in line and message in line for line in found), found
        with pytest.raises(MemoryFault, match="memory of Bo"):
            Memory(store, "Bo")


def test_vanished_agent_is_found(path: Path) -> None:
    """Deleting every trace of one agent's memory does not pass for never having been."""
    raw = sqlite3.connect(path)
    for table in ("memory_records", "memory_touches", "memory_heads"):
        raw.execute(f"DELETE FROM {table} WHERE agent = 'Cy'")
    raw.commit()
    raw.close()
    with Store(path, write=False) as store:
        prepare_store(store)
        assert any("Cy" in str(damage) for damage in store.verify())


def test_broken_file_is_a_memory_fault(tmp_path: Path) -> None:
    """A chatbot's damaged memory file is named in an error of ours."""
    path = tmp_path / "bo.db"
    path.write_bytes(b"SQLite format 3\x00" + b"\x07" * 5000)
    with pytest.raises(MemoryFault, match=r"bo\.db"):
        Memory(path, "Bo")


def test_lines_carry_a_memory_whole(path: Path, tmp_path: Path) -> None:
    """Exported and imported again, a memory has equal digests, records and recalls."""
    target = tmp_path / "bo.jsonl"
    with Store(path, write=False) as store:
        memory = Memory(store, "Bo", embed=letters)
        assert export_lines(memory, target) == 18
        copy = Memory(":memory:", "Bo", embed=letters)
        assert import_lines(copy, target) == 18
        assert copy.digest == memory.digest
        assert copy.recall(CUE) == memory.recall(CUE)
        assert export_lines(memory.as_of(2), target) == 9
        with pytest.raises(MemoryFault, match="into a new one"):
            import_lines(copy, target)


def test_broken_line_imports_nothing(path: Path, tmp_path: Path) -> None:
    """A damaged export names its line and leaves the memory empty."""
    target = tmp_path / "bo.jsonl"
    with Store(path, write=False) as store:
        export_lines(Memory(store, "Bo"), target)
    lines = target.read_text(encoding="utf-8").split("\n")
    lines[6] = lines[6][:-9]
    target.write_text("\n".join(lines), encoding="utf-8")
    memory = Memory(":memory:", "Bo")
    with pytest.raises(MemoryFault, match="line 7"):
        import_lines(memory, target)
    assert len(memory) == 0
