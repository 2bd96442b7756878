"""Damage to memory files: found, named, set aside; never a crash or a wrong text."""

from __future__ import annotations

import json
import random
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from denizens.core import DenizensError, MemoryFault, Record
from denizens.memory import Memory, export_lines, import_lines, prepare_store
from denizens.memory.storage import repair_file
from denizens.store import Store

NINE = datetime(2023, 2, 13, 9)


def text(name: str, number: int) -> str:
    """What record ``number`` of ``name`` says."""
    return f"{name} saw that number {number} said 'good morning' and went on"


def made(path: Path, count: int = 40) -> Path:
    """Two people's memories with accesses, a thought on evidence and a quarantine."""
    with Store(path) as store:
        for name in ("Bo", "Cy"):
            memory = Memory(store, name)
            for number in range(1, count + 1):
                evidence = (number - 1,) if number % 9 == 0 else ()
                record = Record(
                    id=number,
                    kind="observation",
                    text=text(name, number),
                    created=NINE + timedelta(minutes=number),
                    who="Ada",
                    evidence=evidence,
                )
                memory.add([record], {number: [1.0, number, 2.0, 3.0]}, step=number)
                if number % 5 == 0:
                    memory.mark_accessed([number, number - 1], step=number, at=NINE)
            memory.quarantine("Eve", why="lies")
    return path


def read(path: Path) -> dict[str, dict[int, str]]:
    """Every text that is there, by agent and number."""
    with Store(path, write=False) as store:
        return {
            name: {record.id: record.text for record in Memory(store, name).records()}
            for name in ("Bo", "Cy")
        }


def whole(path: Path) -> bool:
    """Whether the file passes its checks."""
    with Store(path, write=False) as store:
        prepare_store(store)
        return store.verify() == ()


def run(path: Path, *statements: str) -> None:
    """Change a file behind the program's back."""
    raw = sqlite3.connect(path)
    for statement in statements:
        raw.execute(statement)
    raw.commit()
    raw.close()


def test_whole_file_is_left_alone(tmp_path: Path) -> None:
    """Repairing what is whole changes no byte and makes no copy."""
    path = made(tmp_path / "m.db")
    before = path.read_bytes()
    done = repair_file(path)
    assert (done.kept, done.lost, done.original) == (80, (), None)
    assert path.read_bytes() == before
    assert {item.name for item in tmp_path.iterdir()} == {"m.db", "m.db.lock"}


def test_bad_rows_are_set_aside_and_the_rest_kept(tmp_path: Path) -> None:
    """A changed text, a flipped embedding, a removed row and a changed step are each named;
    all other records, accesses and the quarantine survive, and the memory goes on."""
    path = made(tmp_path / "m.db")
    run(
        path,
        "UPDATE memory_records SET body = replace(body, 'good', 'evil') "
        "WHERE agent = 'Bo' AND id = 3",
        "UPDATE memory_records SET vector = x'00000000' WHERE agent = 'Bo' AND id = 7",
        "DELETE FROM memory_records WHERE agent = 'Bo' AND id = 12",
        "UPDATE memory_records SET step = 21 WHERE agent = 'Bo' AND id = 20",
        "DELETE FROM memory_touches WHERE agent = 'Cy' AND n = 2",
    )
    assert not whole(path)
    done = repair_file(path)
    for number in (3, 7, 12, 20):
        assert any(f"Bo: record {number} " in line for line in done.lost), done.lost
    assert any("Cy: 1 lines of the access log" in line for line in done.lost)
    assert done.kept == 76
    assert whole(path)
    kept = read(path)
    bad = {3, 7, 12, 20}
    assert kept["Bo"] == {n: text("Bo", n) for n in range(1, 41) if n not in bad}
    assert kept["Cy"] == {n: text("Cy", n) for n in range(1, 41)}
    with Memory(path, "Bo") as memory:
        assert len(memory) == 40
        assert memory.quarantined == {"Eve"}
        assert memory.audit_log[-1].what == "damaged"
        assert memory.record(9).evidence == (8,)
        with pytest.raises(MemoryFault, match="record 3 is gone"):
            memory.record(3)
        memory.remember("life goes on", at=NINE)
        assert memory.records(last=1)[0].id == 41
    assert done.original
    assert not whole(done.original)
    assert done.aside
    aside = [json.loads(line) for line in done.aside.read_text().splitlines()]
    assert [(line["agent"], line["id"]) for line in aside] == [("Bo", 3), ("Bo", 7), ("Bo", 20)]
    assert "evil" in aside[0]["body"]


def test_every_bad_row_is_named_by_verify(tmp_path: Path) -> None:
    """Not only the first of many."""
    path = made(tmp_path / "m.db")
    run(path, "UPDATE memory_records SET body = '{}' WHERE agent = 'Cy' AND id IN (2, 30, 40)")
    with Store(path, write=False) as store:
        prepare_store(store)
        lines = [str(damage) for damage in store.verify()]
    for number in (2, 30, 40):
        assert any(f"record {number} " in line for line in lines), lines


def test_flipped_bits_are_found_or_harmless(tmp_path: Path) -> None:
    """Any bit flipped: refused, reported or without effect, and after a repair every text
    that is left is a right one."""
    path = made(tmp_path / "m.db", 120)
    content, truth = path.read_bytes(), read(path)
    chance = random.Random(5)
    found = mended = 0
    for turn in range(50):
        spoiled = bytearray(content)
        spoiled[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        target = tmp_path / f"{turn}.db"
        target.write_bytes(spoiled)
        try:
            good = whole(target)
            assert not good or read(target) == truth
        except DenizensError:
            good = False
        if good:
            continue
        found += 1
        if not mendable(target):
            assert target.read_bytes() == bytes(spoiled)
            continue
        assert whole(target)
        left = read_known(target)
        assert all(truth[name][n] == said for name, n, said in left)
        mended += len(left) > 0
    assert found > 15
    assert mended > found // 2


def mendable(path: Path) -> bool:
    """Whether a repair succeeds; if not, it says of which file."""
    try:
        repair_file(path)
    except MemoryFault as error:
        if path.name not in str(error):
            raise
        return False
    return True


def read_known(path: Path) -> list[tuple[str, int, str]]:
    """Every text of whoever is there."""
    with Store(path, write=False) as store:
        prepare_store(store)
        names = store.get("memory.agents", [])
        return [(n, r.id, r.text) for n in names for r in Memory(store, n).records()]


def test_removed_rows_are_found(tmp_path: Path) -> None:
    """Whichever row of whichever memory table is removed, verify says so."""
    path = made(tmp_path / "m.db", 12)
    content = path.read_bytes()
    raw = sqlite3.connect(path)
    rows = [
        (table, row[0])
        for table in ("memory_records", "memory_touches", "memory_heads", "memory_log")
        for row in raw.execute(f"SELECT rowid FROM {table}")
    ]
    raw.close()
    for table, row in rows:
        path.write_bytes(content)
        run(path, f"DELETE FROM {table} WHERE rowid = {row}")
        assert not whole(path), (table, row)


def test_repair_that_fails_leaves_the_file(tmp_path: Path) -> None:
    """What cannot be read at all is refused, untouched, with nothing left beside it."""
    path = tmp_path / "m.db"
    path.write_bytes(b"SQLite format 3\x00" + b"\x07" * 9000)
    before = path.read_bytes()
    with pytest.raises(MemoryFault, match=r"m\.db"):
        repair_file(path)
    assert path.read_bytes() == before
    assert {item.name for item in tmp_path.iterdir()} == {"m.db", "m.db.lock"}
    with pytest.raises(MemoryFault, match="no such file"):
        repair_file(tmp_path / "other.db")


def test_other_tables_are_carried_over(tmp_path: Path) -> None:
    """What another part keeps in the file is there after a repair, and said to be."""
    path = made(tmp_path / "m.db")
    with Store(path) as store:
        store.migrate("songs", 1, ("CREATE TABLE songs (title TEXT);",))
        store.execute("INSERT INTO songs VALUES ('Greensleeves')")
        mark = store.intern_text("a long prompt")
        store.put("tempo", 96)
    run(path, "DELETE FROM memory_records WHERE agent = 'Bo' AND id = 5")
    done = repair_file(path)
    assert any("songs" in line for line in done.lost)
    with Store(path) as store:
        store.migrate("songs", 1, ("CREATE TABLE songs (title TEXT);",))
        assert store.rows("SELECT title FROM songs") == [("Greensleeves",)]
        assert (store.interned_text(mark), store.get("tempo")) == ("a long prompt", 96)


def test_lines_carry_the_log(tmp_path: Path) -> None:
    """Exported and imported, quarantines and lost records come along."""
    path = made(tmp_path / "m.db")
    run(path, "DELETE FROM memory_records WHERE agent = 'Bo' AND id = 5")
    repair_file(path)
    lines = tmp_path / "bo.jsonl"
    with Store(path, write=False) as store:
        memory = Memory(store, "Bo")
        export_lines(memory, lines)
        copy = Memory(":memory:", "Bo")
        import_lines(copy, lines)
        assert copy.digest == memory.digest
        assert copy.audit_log == memory.audit_log
        assert copy.quarantined == {"Eve"}
        assert copy.records() == memory.records()
