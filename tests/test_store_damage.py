"""Files that cannot be used, and the lock of the one writer."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from denizens.core import DenizensError, RunCorrupt, RunError, RunLocked
from denizens.store import Damage, Store


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A closed file with header entries and texts over many pages."""
    path = tmp_path / "run.db"
    with Store(path) as store, store.transaction():
        for n in range(200):
            store.put(f"key{n}", {"n": n})
            store.intern_text(f"prompt {n} " * 20)
    return path


def read_all(store: Store) -> object:
    """Everything a user could see of the fixture's file."""
    texts = sorted(store.interned_text(row[0]) for row in store.rows("SELECT digest FROM texts"))
    return [store.get(f"key{n}") for n in range(200)], texts


@pytest.mark.parametrize("content", [b"hello, this is a shopping list\n" * 9, b"\x00" * 5000, b"x"])
def test_foreign_file_is_refused_untouched(tmp_path: Path, content: bytes) -> None:
    """A file that is no store is raised and left as it is, with nothing beside it."""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"notes\.txt"):
        Store(path)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_other_programs_database_is_refused_untouched(tmp_path: Path) -> None:
    """Another program's SQLite file is not taken over."""
    path = tmp_path / "photos.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE photos (x)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(RunError, match="another program"):
        Store(path)
    assert path.read_bytes() == before


def test_empty_file_and_folder_are_refused(tmp_path: Path) -> None:
    """An empty file is not silently begun anew, and a folder is not a file."""
    path = tmp_path / "run.db"
    path.touch()
    with pytest.raises(RunCorrupt, match="is empty"):
        Store(path)
    with pytest.raises(RunError, match="not a file"):
        Store(tmp_path)


def test_truncated_file_is_refused_untouched(whole: Path) -> None:
    """Cut anywhere, the file is refused for writing and not changed by the attempt."""
    content = whole.read_bytes()
    chance = random.Random(1)
    sizes = [1, 99, 100, 511, 4096, len(content) - 1, len(content) - 4096]
    for size in [*sizes, *(chance.randrange(1, len(content)) for _ in range(20))]:
        whole.write_bytes(content[:size])
        with pytest.raises(RunCorrupt, match=r"run\.db"):
            Store(whole)
        assert whole.read_bytes() == content[:size]


def test_flipped_bit_is_found(whole: Path) -> None:
    """Any bit flipped is refused on opening, reported by verify, or without effect; the
    refused file is left as it is, and no error is a foreign one."""
    content = whole.read_bytes()
    with Store(whole, write=False) as store:
        truth = read_all(store)
    chance = random.Random(2)
    refused = raised = reported = 0
    for _ in range(120):
        place = chance.randrange(len(content) if chance.random() < 0.8 else 4096)
        spoiled = bytearray(content)
        spoiled[place] ^= 1 << chance.randrange(8)
        whole.write_bytes(spoiled)
        try:
            with Store(whole, write=False) as store:
                damage = store.verify()
                assert damage or read_all(store) == truth, f"byte {place}"
                reported += bool(damage)
        except DenizensError as error:
            refused += "run.db" in str(error)
            raised += 1
        assert whole.read_bytes() == bytes(spoiled)
    assert reported > 40
    assert refused == raised > 0


def test_flipped_bit_never_breaks_opening_for_writing(whole: Path) -> None:
    """A writer too gets our error or a store that still works, never a foreign exception."""
    content = whole.read_bytes()
    chance = random.Random(3)
    for _ in range(60):
        spoiled = bytearray(content)
        place = chance.randrange(len(content) if chance.random() < 0.5 else 4096)
        spoiled[place] ^= 1 << chance.randrange(8)
        whole.write_bytes(spoiled)
        try:
            with Store(whole, create=False) as store:
                store.verify()
        except DenizensError:
            assert whole.read_bytes() == bytes(spoiled)


def test_changed_rows_are_reported(whole: Path) -> None:
    """A header entry or text changed behind the program's back is found by verify, and
    reading it raises instead of returning it."""
    raw = sqlite3.connect(whole)
    raw.execute("UPDATE header SET value = '{\"n\":99}' WHERE key = 'key7'")
    mark = raw.execute("SELECT digest FROM texts LIMIT 1").fetchone()[0]
    raw.execute("UPDATE texts SET text = 'forged' WHERE digest = ?", (mark,))
    raw.commit()
    raw.close()
    with Store(whole) as store:
        places = {damage.where for damage in store.verify()}
        assert places == {"header 'key7'", f"text {mark}"}
        with pytest.raises(RunCorrupt, match="key7"):
            store.get("key7")
        with pytest.raises(RunCorrupt, match=mark):
            store.interned_text(mark)


def test_parts_add_their_own_checks(tmp_path: Path) -> None:
    """What a part's check yields is in the result of verify."""
    with Store(tmp_path / "run.db") as store:
        damage = Damage("journal step 3", "is missing")
        store.migrate("journal", 1, ("SELECT 1;",), lambda _: [damage])
        assert store.verify() == (damage,)
        assert str(damage) == "journal step 3: is missing"


def test_second_writer_is_told_who_holds_the_file(whole: Path) -> None:
    """Two writers cannot share a file; readers may; the lock ends with the first writer."""
    with Store(whole):
        with pytest.raises(RunLocked, match=f"process {os.getpid()}"):
            Store(whole)
        with Store(whole, write=False) as reader:
            assert reader.get("key1") == {"n": 1}
    Store(whole).close()


def test_killed_writer_leaves_no_lock(whole: Path) -> None:
    """A writer ended by kill -9 is raised while it lives and does not block the next one."""
    code = (
        "import sys, time\nfrom denizens.store import Store\n"
        "store = Store(sys.argv[1])\nprint('open', flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(whole)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == "open\n"
        with pytest.raises(RunLocked, match=f"process {writer.pid}"):
            Store(whole)
        writer.kill()
    with Store(whole) as store:
        assert store.verify() == ()


def test_a_damaged_name_in_a_table_definition(tmp_path: Path) -> None:
    """A bit flipped in any letter of a table definition is told as damage or harms nothing,
    also where SQLite's own message cannot be read for it."""
    path = tmp_path / "a.db"
    with Store(path) as store:
        store.put("seed", 7)
    whole = path.read_bytes()
    start, end = whole.index(b"CREATE TABLE") - 400, whole.rindex(b"CREATE TABLE") + 100
    told = 0
    for place in range(start, end):
        if not whole[place : place + 1].isalpha():
            continue
        spoiled = bytearray(whole)
        spoiled[place] ^= 0x80
        target = tmp_path / "b.db"
        target.write_bytes(spoiled)
        try:
            with Store(target, write=False) as store:
                told += bool(store.verify())
                assert store.get("seed") == 7
        except RunError:
            told += 1
    assert told > 100
