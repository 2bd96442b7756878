"""The store as a file: pragmas, transactions, header, texts, parts, copies."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from denizens.core import RunCorrupt, RunError
from denizens.store import Store, chain_digest

TABLE = "CREATE TABLE notes (n INTEGER PRIMARY KEY, text TEXT);"


def notes(store: Store) -> list[str]:
    """The texts in the test's own table."""
    return [row[0] for row in store.rows("SELECT text FROM notes ORDER BY n")]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A new file with one part of one table."""
    store = Store(tmp_path / "run.db")
    store.migrate("notes", 1, (TABLE,))
    return store


def write(store: Store, text: str) -> None:
    """One row."""
    store.execute("INSERT INTO notes (text) VALUES (?)", (text,))


def test_every_commit_is_synced(store: Store) -> None:
    """A commit that was acknowledged is on the disk: synchronous FULL (2), write-ahead log."""
    assert store.first_row("PRAGMA synchronous") == (2,)
    assert store.first_row("PRAGMA journal_mode") == ("wal",)


def test_a_reopened_file_is_synced_too(store: Store) -> None:
    """The pragmas do not depend on the file being new."""
    store.close()
    with Store(str(store.path)) as again:
        assert again.first_row("PRAGMA synchronous") == (2,)
        assert again.first_row("PRAGMA journal_mode") == ("wal",)


def test_header_outlives_the_process(store: Store) -> None:
    """What is put under a key is there after reopening; the default only where nothing is."""
    store.put("settings", {"seed": 1, "name": "Lärche"})
    store.put("settings", {"seed": 2, "name": "Lärche"})
    store.close()
    assert store.path
    with Store(store.path) as again:
        assert again.get("settings") == {"seed": 2, "name": "Lärche"}
        assert again.get("none", 5) == 5


def test_transaction_is_all_or_nothing(store: Store) -> None:
    """An exception undoes everything written since the transaction began."""
    write(store, "before")

    def interrupted() -> None:
        with store.transaction():
            write(store, "inside")
            store.put("step", 1)
            raise KeyError("interrupted")

    with pytest.raises(KeyError):
        interrupted()
    assert notes(store) == ["before"]
    assert store.get("step") is None
    assert not store.in_transaction


def test_inner_transaction_lasts_only_with_the_outer(store: Store) -> None:
    """A finished inner transaction is undone when the outer one fails."""

    def interrupted() -> None:
        with store.transaction():
            with store.transaction():
                write(store, "inner")
            raise KeyError("interrupted")

    with pytest.raises(KeyError):
        interrupted()
    assert notes(store) == []


def test_failed_inner_transaction_leaves_the_outer(store: Store) -> None:
    """When an inner one fails and that is handled, only its own writes are undone."""

    def refused() -> None:
        with store.transaction():
            write(store, "inner")
            raise KeyError("refused")

    with store.transaction():
        write(store, "outer")
        for _ in range(2):
            with pytest.raises(KeyError):
                refused()
        write(store, "after")
    assert notes(store) == ["outer", "after"]


def test_rollback_empties_the_cache(store: Store) -> None:
    """What parts keep in memory does not survive a rollback, so it cannot go stale."""
    store.cache["x"] = 1
    with pytest.raises(KeyError), store.transaction():
        raise KeyError
    assert store.cache == {}


def test_text_is_kept_once(store: Store) -> None:
    """Equal texts share a row and a digest; every text comes back to the letter."""
    one, two = store.intern_text("a prompt\n\x00é"), store.intern_text("another")
    assert store.intern_text("a prompt\n\x00é") == one != two
    assert store.interned_text(one) == "a prompt\n\x00é"
    assert store.first_row("SELECT count(*) FROM texts") == (2,)
    with pytest.raises(RunCorrupt, match="missing"):
        store.interned_text("0" * 32)


def test_migrations_run_once_and_in_order(store: Store) -> None:
    """Reopening with a higher version runs the missing steps only, and keeps the rows."""
    write(store, "old")
    store.close()
    assert store.path
    with Store(store.path) as again:
        again.migrate("notes", 2, (TABLE, "ALTER TABLE notes ADD COLUMN mood TEXT DEFAULT 'calm';"))
        assert again.rows("SELECT text, mood FROM notes") == [("old", "calm")]
        assert again.version("notes") == 2
    with Store(store.path) as third:
        third.migrate("notes", 2, ())


def test_failed_migration_changes_nothing(store: Store) -> None:
    """A migration that breaks off leaves the tables of the version before."""
    with pytest.raises(sqlite3.OperationalError):
        store.migrate("other", 2, ("CREATE TABLE a (x);", "CREATE TABLE a (x);"))
    assert store.version("other") == 0
    assert store.rows("SELECT name FROM sqlite_master WHERE name = 'a'") == []


def test_newer_file_asks_for_an_upgrade(store: Store) -> None:
    """A file written by a newer version is refused with the remedy, not misread."""
    store.migrate("notes", 2, (TABLE, "SELECT 1;"))
    with pytest.raises(RunError, match=r"version 2.*upgrade denizens"):
        store.migrate("notes", 1, (TABLE,))


def test_older_file_read_only_names_the_remedy(store: Store) -> None:
    """A reader cannot migrate; it says that a writer must."""
    store.close()
    assert store.path
    with (
        Store(store.path, write=False) as reader,
        pytest.raises(RunError, match="open the file for writing once"),
    ):
        reader.migrate("notes", 2, (TABLE, "SELECT 1;"))


def test_reading_leaves_no_trace(store: Store) -> None:
    """A read-only store changes no byte and leaves no file beside the one it read."""
    write(store, "seen")
    store.close()
    assert store.path
    folder = store.path.parent
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with Store(store.path, write=False) as reader:
        assert notes(reader) == ["seen"]
        assert reader.verify() == ()
        with pytest.raises(RunError, match="reading only"), reader.transaction():
            pass
        with pytest.raises(RunError, match="reading only"):
            reader.put("x", 1)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_reader_follows_a_writer(store: Store) -> None:
    """A reader opened before, during or after a write sees what was committed last."""
    assert store.path
    store.close()
    with Store(store.path, write=False) as reader:
        assert notes(reader) == []
        with Store(store.path) as writer:
            write(writer, "one")
            assert notes(reader) == ["one"]
            reader.cache["x"] = 1
            with writer.transaction():
                write(writer, "two")
                assert notes(reader) == ["one"]
            assert notes(reader) == ["one", "two"]
            assert reader.cache == {}
        assert notes(reader) == ["one", "two"]


@pytest.mark.parametrize("options", [{"create": False}, {"write": False}])
def test_missing_file_is_not_made(tmp_path: Path, options: dict[str, bool]) -> None:
    """Opening what must exist names the path and makes nothing."""
    with pytest.raises(RunError, match=r"absent\.db"):
        Store(tmp_path / "absent.db", **options)
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_is_named(tmp_path: Path) -> None:
    """A path into a folder that is not there says which."""
    with pytest.raises(RunError, match="folder"):
        Store(tmp_path / "no" / "run.db")


def test_copy_is_whole_and_separate(store: Store) -> None:
    """A copy holds everything committed, verifies, and does not follow the original."""
    assert store.path
    write(store, "one")
    target = store.path.with_name("fork.db")
    store.copy_to(target)
    write(store, "two")
    with Store(target) as fork:
        assert notes(fork) == ["one"]
        assert fork.verify() == ()
    with pytest.raises(RunError, match="exists already"):
        store.copy_to(target)
    with pytest.raises(RunError, match="transaction"), store.transaction():
        store.copy_to(store.path.with_name("third.db"))
    assert sorted(path.suffix for path in store.path.parent.glob("third*")) == []


def test_chain_depends_on_every_link() -> None:
    """Changing, dropping or swapping a row changes the end of the chain."""

    def end(*rows: str) -> str:
        link = ""
        for row in rows:
            link = chain_digest(link, row)
        return link

    ends = {end("a", "b", "c"), end("a", "c"), end("b", "a", "c"), end("a", "b", "d"), end("ab")}
    assert len(ends) == 5
    assert end("a", "b", "c") == end("a", "b", "c")


@pytest.mark.parametrize("name", ["half\ud83d.db", "nul\0.db", "long" * 100 + ".db", "a.db/b.db"])
def test_what_is_no_path_is_refused(tmp_path: Path, name: str) -> None:
    """A name that no file can have is our error, and nothing is made."""
    (tmp_path / "a.db").write_bytes(b"")
    with pytest.raises(RunError):
        Store(tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == ["a.db"]
