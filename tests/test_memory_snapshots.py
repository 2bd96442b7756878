"""Snapshots of a memory, and restoring it to any of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from denizens.core import Cue, MemoryFault, Record, RunError
from denizens.memory import Compaction, Documents, Facts, Memory, Notes
from denizens.memory.erasure import erase_person
from denizens.memory.storage import SESSION_LOG
from denizens.store import Store

NOW = datetime(2023, 6, 1, 9)


def say(memory: Memory, text: str, who: str = "Ada", people: tuple[str, ...] = ()) -> int:
    """One line in the memory, with an embedding; its number."""
    number = memory.next_id
    at = NOW + timedelta(minutes=number)
    record = Record(id=number, kind="utterance", text=text, created=at, who=who, audience=people)
    row = np.zeros(4, np.float32)
    row[number % 4] = 1
    memory.add([record], {number: row}, step=number)
    return number


def dump(memory: Memory) -> list[object]:
    """Everything that a memory holds, without the tables of snapshots."""
    store, found = memory.store, list[object]()
    for table in sorted(
        row[0] for row in store.rows("SELECT name FROM sqlite_master WHERE type = 'table'")
    ):
        if table not in ("header", "parts", "memory_snapshots") and not table.endswith("_kept"):
            rows = store.rows(f"SELECT * FROM {table}")
            # A log that was begun since has a head without lines.
            found += [(table, row) for row in sorted(map(repr, rows)) if ", 0, '')" not in row]
    return found


def recalled(memory: Memory, text: str = "bread") -> list[int]:
    """The numbers of the records that are recalled."""
    cue = Cue(text=text, at=NOW + timedelta(days=1), limit=50)
    return sorted(hit.record.id for hit in memory.recall(cue, np.ones(4, np.float32)))


def test_a_memory_is_restored_to_earlier_and_later_saves(tmp_path: Path) -> None:
    """After a restore everything is as it was at the save, and a save that was made after that
    one can be loaded too, again and again, also by another process."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        say(memory, "I bake bread")
        first, state = memory.snapshot("before the duel", at=NOW), dump(memory)
        say(memory, "I lost the bread")
        Facts(memory).assert_fact("Ada", "likes", "rye", at=NOW, sources=[1])
        memory.mark_accessed([1, 2], step=2, at=NOW)
        memory.quarantine("Eve")
        second, later = memory.snapshot("after", at=NOW), dump(memory)
        assert (first.records, second.records) == (1, 2)
        assert memory.restore(first) == first
        assert dump(memory) == state
        assert recalled(memory) == [1]
        assert (memory.quarantined, Facts(memory).find()) == (frozenset(), ())
        say(memory, "I won the bread")
        third, won = memory.snapshot("won", at=NOW), dump(memory)
        assert memory.store.verify() == ()
    with Memory(path, "Bo") as memory:
        assert memory.snapshots() == (first, second, third)
        for snapshot, expected in [(second, later), (first, state), (third, won), (second, later)]:
            memory.restore(snapshot.id)
            assert dump(memory) == expected
            assert memory.store.verify() == ()
        assert recalled(memory) == [1, 2]
        assert memory.quarantined == frozenset(["Eve"])
        assert [str(fact) for fact in Facts(memory).find()] == ["Ada likes rye"]


def test_compacted_and_removed_things_come_back(tmp_path: Path) -> None:
    """Compaction, a removed document, a note and the lines of sessions follow the restore."""
    note = tmp_path / "plan.txt"
    note.write_text("Beds for winter.")
    with Memory(tmp_path / "bo.db", "Bo") as memory:
        numbers = [say(memory, f"Line {n} about bread") for n in range(4)]
        Documents(memory).add(note, at=NOW)
        Notes(memory).write("shopping", "rye", at=NOW, person="Ada")
        before = memory.snapshot()
        Compaction(memory).summarise([memory.record(n) for n in numbers[:3]], at=NOW)
        Documents(memory).remove("plan.txt")
        Notes(memory).remove("shopping", at=NOW, person="Ada")
        line = {"session": "main", "person": "Ada", "event": "line", "at": NOW.isoformat()}
        SESSION_LOG.append(memory.store, "Bo", {**line, "data": {}}, step=9)
        assert recalled(memory) == [4, 6]
        memory.restore(before)
        assert recalled(memory) == [1, 2, 3, 4, 5]
        assert Documents(memory).names() == ("plan.txt",)
        assert Notes(memory).names("Ada") == ["shopping"]
        assert SESSION_LOG.size(memory.store, "Bo") == 0


def test_pictures_are_restored_with_the_memory(tmp_path: Path) -> None:
    """The memory of an agent's pictures goes with its own."""
    with Store(tmp_path / "bo.db") as store:
        memory, pictures = Memory(store, "Bo"), Memory(store, "Bo/images")
        before = memory.snapshot()
        say(pictures, "A loaf")
        memory.restore(before)
        assert len(pictures) == 0


def test_what_was_erased_stays_erased(tmp_path: Path) -> None:
    """Nothing that a person had erased is in any snapshot: not in the file, and not after a
    restore; what others said is."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        say(memory, "I bake bread", "Cy")
        say(memory, "My canary is XYZZY-77", "Ada")
        Facts(memory).assert_fact("Ada", "keeps", "XYZZY-77", at=NOW, sources=[2])
        Facts(memory).assert_fact("Cy", "bakes", "bread", at=NOW, sources=[1])
        old = memory.snapshot("with XYZZY-77 of Ada", state={"plan": "Ask Ada for XYZZY-77"})
        empty = memory.snapshot("other")
        say(memory, "XYZZY-77 is gone", "Ada")
        memory.restore(empty)
        say(memory, "Bread is sold", "Cy")
        last = memory.snapshot("last", state={"plan": "rest"})
        memory.restore(old)
        memory.restore(last)
    done = erase_person(path, "Ada", now=NOW, mentions=True)
    assert (done.records, done.found) == ({"Bo": 1}, 0)
    for file in tmp_path.iterdir():
        assert b"XYZZY" not in file.read_bytes()
    with Memory(path, "Bo") as memory:
        assert memory.store.verify() == ()
        assert [one.label for one in memory.snapshots()] == ["", "other", "last"]
        assert [one.state for one in memory.snapshots()] == [None, None, {"plan": "rest"}]
        for snapshot in memory.snapshots():
            memory.restore(snapshot)
            assert memory.store.verify() == ()
            assert recalled(memory)[0] == 1
            assert "Ada" not in repr(memory.records())
            assert [str(fact) for fact in Facts(memory).find()] == ["Cy bakes bread"]
        assert recalled(memory) == [1, 3]


def test_an_erasure_keeps_what_replaces_a_line_in_every_state(tmp_path: Path) -> None:
    """Where an erasure writes a line anew, a snapshot that has the old line gets its own."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        say(memory, "Rye came", "Cy")
        facts = Facts(memory)
        ids = [facts.assert_fact("Cy", "likes", what, at=NOW) for what in ("rye", "oats")]
        for number in ids:
            facts.retract(number, at=NOW, why="Ada said so")
        memory.snapshot("early")
        say(memory, "Oats came", "Cy")
    erase_person(path, "Ada", now=NOW, mentions=True)
    assert b"Ada said" not in path.read_bytes()
    with Memory(path, "Bo") as memory:
        assert Facts(memory).find() == ()
        memory.restore(memory.snapshots()[0])
        assert Facts(memory).find() == ()
        assert len(memory) == 1


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        ("UPDATE memory_snapshots SET body = replace(body, 'first', 'wurst')", "checksum"),
        ("DELETE FROM memory_records_kept WHERE id = 3", "is missing"),
        ("UPDATE memory_records_kept SET body = replace(body, 'lost', 'sold')", "digest"),
        ("UPDATE memory_records_kept SET step = 7 WHERE id = 3", "chain"),
        ("UPDATE memory_touches_kept SET at = '2023-06-02T09:00:00'", "chain"),
        ("DELETE FROM memory_snapshots", "there is none"),
    ],
)
def test_a_damaged_snapshot_is_refused(tmp_path: Path, harm: str, why: str) -> None:
    """A snapshot with a changed or missing row is named and refused, and the memory is left as it
    was; it can be deleted."""
    path = tmp_path / "bo.db"
    with Memory(path, "Bo") as memory:
        say(memory, "I bake bread")
        start = memory.snapshot("start")
        say(memory, "I lost the bread")
        say(memory, "It is lost")
        memory.mark_accessed([3], step=3, at=NOW)
        lost = memory.snapshot("first")
        memory.restore(start)
        memory.store.execute(harm)
        before = dump(memory)
        with pytest.raises(MemoryFault, match=why) as error:
            memory.restore(lost.id)
        assert "left as it is" in str(error.value)
        assert "\n" not in str(error.value)
        assert dump(memory) == before
        if "there is none" not in why:
            assert memory.store.verify() != ()
            memory.delete_snapshot(lost.id)
            assert memory.store.verify() == ()
            memory.restore(start)
            assert memory.store.rows("SELECT * FROM memory_records_kept") == []


def test_a_deleted_snapshot_leaves_nothing(tmp_path: Path) -> None:
    """The rows that only a deleted snapshot needed are deleted; its number is not given again."""
    with Memory(tmp_path / "bo.db", "Bo") as memory:
        say(memory, "I bake bread")
        first = memory.snapshot()
        say(memory, "A secret")
        second = memory.snapshot()
        memory.restore(first)
        assert memory.store.rows("SELECT id FROM memory_records_kept") == [(2,)]
        memory.delete_snapshot(second)
        assert memory.store.rows("SELECT id FROM memory_records_kept") == []
        assert memory.snapshot().id == 3


def test_snapshots_that_cannot_be_are_refused(tmp_path: Path) -> None:
    """Of the past, of another memory, of a run, and in a file opened for reading only."""
    path = tmp_path / "bo.db"
    with Store(path) as store:
        bo, cy = Memory(store, "Bo"), Memory(store, "Cy")
        taken = bo.snapshot()
        refusals: tuple[Callable[[], object], ...] = (
            lambda: bo.as_of(0).snapshot(),
            lambda: cy.restore(taken),
            lambda: bo.restore(9),
            lambda: bo.restore("start"),  # type: ignore[arg-type]
            lambda: bo.snapshot(at=NOW.replace(tzinfo=UTC)),
        )
        for refused in refusals:
            with pytest.raises(MemoryFault):
                refused()
        store.put("start", {})
        with pytest.raises(MemoryFault, match="fork the run"):
            bo.restore(taken)
        store.put("start", None)
    with Store(path, write=False) as store:
        assert len(Memory(store, "Bo").snapshots()) == 1
        with pytest.raises(RunError, match="reading only"):
            Memory(store, "Bo").restore(1)


def test_a_restore_is_rolled_back_with_its_transaction(tmp_path: Path) -> None:
    """A restore inside a transaction that fails leaves the memory, and what is recalled."""
    with Memory(tmp_path / "bo.db", "Bo") as memory:
        start = memory.snapshot()
        say(memory, "I bake bread")
        before, generation = dump(memory), memory.generation

        def fail() -> None:
            with memory.store.transaction():
                memory.restore(start)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert (dump(memory), memory.generation) == (before, generation)
        assert recalled(memory) == [1]
        memory.restore(start)
        assert memory.generation == generation + 1
