"""Inspecting a database file before it is opened, and the lock of its one writer."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import IO

from ..core import DenizensError, RunCorrupt, RunError, RunLocked

APPLICATION_ID = 0x44454E5A
"""SQLite's application id of our files, "DENZ"."""

SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises; UnicodeDecodeError if its message contains a damaged name."""

_SIDES = ("-wal", "-shm", "-journal")
"""Endings of SQLite's side files."""

_REMEDY = "copy the file aside and restore it from a backup or a fork; it was left as it is"


def translate_error(error: sqlite3.Error | UnicodeDecodeError, name: str) -> DenizensError | None:
    """The DenizensError for an error of SQLite; None if the statement itself is wrong."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    unread = isinstance(error, UnicodeDecodeError) or "decode to UTF-8" in str(error)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or unread:
        return RunCorrupt(f"{name}: the file is damaged ({error}); {_REMEDY}")
    if code == sqlite3.SQLITE_BUSY:
        return RunLocked(f"{name}: another process is writing it; wait for it or end it")
    if code == sqlite3.SQLITE_FULL:
        return RunError(f"{name}: the disk is full; free some space and go on from the last step")
    if code == sqlite3.SQLITE_READONLY:
        return RunError(f"{name}: is opened for reading only, or the file is write-protected")
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return RunError(f"{name}: cannot be read or written ({error}); check path and permissions")
    return None


def wal_path(path: Path) -> Path:
    """The write-ahead log beside a file."""
    return path.with_name(path.name + "-wal")


def is_database(path: Path) -> bool:
    """Whether a path is an SQLite file, of this or another program, or one of its side files."""
    if path.name.endswith(_SIDES):
        return path.exists() and is_database(path.with_name(path.name.rpartition("-")[0]))
    try:
        with path.open("rb") as file:
            return file.read(16) == b"SQLite format 3\0" or wal_path(path).exists()
    except OSError:
        return False


def database_files(path: Path) -> tuple[Path, ...]:
    """All files of a store: itself, SQLite's side files, and the writer's lock.

    >>> [file.name for file in database_files(Path("run.db"))]
    ['run.db', 'run.db-wal', 'run.db-shm', 'run.db-journal', 'run.db.lock']
    """
    return tuple(path.with_name(path.name + side) for side in ("", *_SIDES, ".lock"))


def change_stamp(path: Path) -> tuple[int, int, bool]:
    """A value that changes whenever a writer opens, closes or writes the file."""
    seen = path.stat()
    return seen.st_mtime_ns, seen.st_size, wal_path(path).exists()


def connect_read_only(path: Path) -> sqlite3.Connection:
    """A connection that cannot write. Without a write-ahead log there is no writer, and the file is
    read without creating SQLite's side files."""
    # The file is opened through SQLite only: closing another handle on it would release the locks
    # of all connections of this process.
    mode = "mode=ro" if wal_path(path).exists() else "mode=ro&immutable=1"
    uri = f"{path.absolute().as_uri()}?{mode}"
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=10, check_same_thread=False
    )
    connection.execute("PRAGMA query_only = 1")
    return connection


def inspect_file(path: Path, *, deep: bool) -> bool:
    """Check an existing file without writing to it; returns whether it has no tables yet.

    ``deep`` also checks its structure. Raises RunCorrupt for a damaged file, RunError for one of
    another program.
    """
    if not path.is_file():
        raise RunError(f"{path}: is not a file; name the file itself, such as run.db")
    size = path.stat().st_size
    if size == 0:
        raise RunCorrupt(f"{path}: is empty; delete it to begin anew, or restore it")
    try:
        connection = connect_read_only(path)
    except SQLITE_ERRORS as error:
        raise RunError(f"{path}: cannot be opened ({error}); check its permissions") from error
    try:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        if tables and application != APPLICATION_ID:
            raise RunError(
                f"{path}: is an SQLite file of another program; name a file made by denizens"
            )
        page = connection.execute("PRAGMA page_size").fetchone()[0]
        if size % page and not wal_path(path).exists():
            raise RunCorrupt(f"{path}: is cut off ({size} bytes); {_REMEDY}")
        if deep and (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise RunCorrupt(f"{path}: the file is damaged ({found}); {_REMEDY}")
        return bool(tables == 0)
    except SQLITE_ERRORS as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_NOTADB:
            raise RunCorrupt(f"{path}: is not a denizens file (no SQLite file at all)") from error
        raise translate_error(error, str(path)) or RunCorrupt(
            f"{path}: the file is damaged ({error}); {_REMEDY}"
        ) from error
    finally:
        connection.close()


class WriterLock:
    """A lock held while a process writes a file, released by the system however it ends."""

    def __init__(self, path: Path) -> None:
        """Lock the file beside ``path``. Raises RunLocked with the process id of the holder."""
        import fcntl

        side = path.with_name(path.name + ".lock")
        try:
            handle: IO[str] = side.open("a+", encoding="ascii")
        except OSError as error:
            raise RunError(
                f"{side}: cannot be written ({error.strerror}); check the folder's permissions"
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            handle.close()
            raise RunLocked(
                f"{path}: process {holder} is writing it; wait for it or end it, "
                "or open the file for reading only"
            ) from error
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        self._handle = handle

    def release(self) -> None:
        """Release the lock. The lock file stays: removing it would be a race."""
        self._handle.close()
