"""The store: one SQLite file for runs and memories."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from ..core import (
    ContextLock,
    Json,
    RunCorrupt,
    RunError,
    RunLocked,
    atomic_path,
    canonical,
    check_arguments,
    digest_text,
)
from .checksums import Damage, header_digest, schema_digest, store_damage
from .database_file import (
    APPLICATION_ID,
    SQLITE_ERRORS,
    WriterLock,
    change_stamp,
    connect_read_only,
    inspect_file,
    translate_error,
)

_TABLES = """
CREATE TABLE header (key TEXT PRIMARY KEY, value TEXT NOT NULL, digest TEXT NOT NULL);
CREATE TABLE parts (part TEXT PRIMARY KEY, version INTEGER NOT NULL);
CREATE TABLE texts (digest TEXT PRIMARY KEY, text TEXT NOT NULL);
"""
_SCHEMA = "store.schema"

_INHERITED_CONNECTIONS: list[object] = []
"""Connections of the parent of a forked process: closing them would release the parent's locks."""

DamageCheck = Callable[["Store"], Iterable[Damage]]


class Store:
    """One SQLite file: write-ahead log, every commit synced to disk, one writer at a time.

    A file is inspected before it is opened for writing, so that a damaged one is refused and not
    changed. ``:memory:`` is a store that ends with the process. Rows are tuples.

    All threads of the process that opened it may use it, one at a time: a thread that needs it for
    more than a statement or a transaction holds its ``owner`` (``with store.owner:``), the others
    wait. A forked process gets RunError and opens a store of its own.

    >>> with Store(":memory:") as store:
    ...     store.put("seed", 7)
    ...     store.get("seed")
    7
    """

    @check_arguments
    def __init__(self, path: Path | str, *, write: bool = True, create: bool = True) -> None:
        """Open ``path``; a missing file is created if ``write`` and ``create`` are set.

        Raises RunError (missing, of another program, written by a newer version), RunCorrupt
        (damaged) or RunLocked (another writer).
        """
        self.name = str(path)
        self.path = None if self.name == ":memory:" else Path(path)
        self.write = write
        self.cache: dict[Hashable, Any] = {}
        """What parts cache of this file; cleared whenever it may be out of date (after a rollback,
        or another process's commit if this one only reads)."""
        self.owner = ContextLock(self.name)
        self._depth = 0
        self._closed = False
        self._undo: list[tuple[int, Callable[[], None]]] = []
        self._checks: dict[str, DamageCheck] = {}
        self._lock: WriterLock | None = None
        self._stamp: tuple[int, int, bool] | None = None
        self._version = 0
        new = self._inspect(create)
        if self.path and write:
            self._lock = WriterLock(self.path)
        try:
            self._open(new)
        except BaseException:
            self.close()
            raise

    def _inspect(self, create: bool) -> bool:
        if self.path is None:
            return True
        try:
            os.lstat(self.path.parent / (self.path.name + "-journal"))
        except FileNotFoundError:
            pass
        except (ValueError, OSError) as fault:  # A NUL, a lone surrogate, a name too long.
            reason = getattr(fault, "strerror", None) or fault
            raise RunError(f"{self.name!r}: is no path of a file ({reason}); check it") from fault
        if not self.path.exists():
            if not (self.write and create):
                raise RunError(f"{self.path}: no such file; check the path")
            if not self.path.parent.is_dir():
                raise RunError(f"{self.path}: its folder does not exist; create the folder first")
            return True
        empty = inspect_file(self.path, deep=self.write)
        if empty and not (self.write and create):
            raise RunCorrupt(f"{self.path}: holds nothing yet; delete it to begin anew")
        return empty

    def _open(self, new: bool) -> None:
        if self.path and not self.write:
            self._connection = connect_read_only(self.path)
            self._stamp = change_stamp(self.path)
        else:
            target = str(self.path.absolute()) if self.path else ":memory:"
            self._connection = sqlite3.connect(
                target, isolation_level=None, timeout=10, check_same_thread=False
            )
            self.execute("PRAGMA journal_mode = WAL")
            self.execute("PRAGMA synchronous = FULL")
        # Another writer may have created the tables between inspection and lock.
        if new and not self.has_table("header"):
            with self.transaction():
                self.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                self._script(_TABLES)
                self.put(_SCHEMA, schema_digest(self._connection))
        self._check_schema()

    def _check_schema(self) -> None:
        try:
            fits = self.get(_SCHEMA) == schema_digest(self._connection)
        except (*SQLITE_ERRORS, json.JSONDecodeError) as error:
            raise RunCorrupt(
                f"{self.name}: the file is damaged ({error}); restore it from a backup"
            ) from error
        if not fits:
            raise RunCorrupt(
                f"{self.name}: the file's table definitions are damaged; restore it from a backup"
            )

    # -- statements -----------------------------------------------------------------

    def execute(self, sql: str, args: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run one statement; outside a transaction it commits by itself."""
        with self.owner:
            return self._run(sql, args)

    def _run(self, sql: str, args: Sequence[object]) -> sqlite3.Cursor:
        self.refresh()
        try:
            return self._connection.execute(sql, args)
        except SQLITE_ERRORS as error:
            self._fail(error)

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> sqlite3.Cursor:
        """Run one statement for every row, inside a transaction."""
        with self.transaction():
            try:
                return self._connection.executemany(sql, rows)
            except SQLITE_ERRORS as error:
                self._fail(error)

    def rows(self, sql: str, args: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self.owner:
            cursor = self._run(sql, args)
            try:
                return cursor.fetchall()
            except SQLITE_ERRORS as error:
                self._fail(error)

    def iter_rows(self, sql: str, args: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a query as they are read, for tables too large for RAM."""
        cursor = self.execute(sql, args)
        try:
            while piece := cursor.fetchmany(1024):
                yield from piece
        except SQLITE_ERRORS as error:
            self._fail(error)
        finally:
            if not self._closed:
                cursor.close()

    def first_row(self, sql: str, args: Sequence[object] = ()) -> tuple[Any, ...] | None:
        """The first row of a query, or None."""
        with self.owner:
            cursor = self._run(sql, args)
            try:
                row: tuple[Any, ...] | None = cursor.fetchone()
            except SQLITE_ERRORS as error:
                self._fail(error)
            # An unfinished cursor would keep a read transaction open.
            cursor.close()
            return row

    def has_table(self, name: str) -> bool:
        """Whether the file has a table of that name."""
        return self.first_row("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)) is not None

    def _fail(self, error: sqlite3.Error | UnicodeDecodeError) -> NoReturn:
        if self._closed:
            raise RunError(f"{self.name}: was closed; open it again") from error
        raise translate_error(error, self.name) or error

    def refresh(self) -> None:
        """If this store only reads, follow the writer in another process: clear caches that are out
        of date, and reopen a file that is now being written."""
        if self.path is None or self.write or self._closed:
            return
        with self.owner:
            self._reload_if_changed(self.path)

    def _reload_if_changed(self, path: Path) -> None:
        now = change_stamp(path)
        if now != self._stamp:
            self._connection.close()
            self._connection = connect_read_only(path)
            self._stamp = now
            self.cache.clear()
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._version = version
            self.cache.clear()

    # -- transactions ---------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction: commits at the end, rolls back on any exception.

        An inner transaction is a savepoint: what it wrote is undone if it fails, and is durable
        only once the outer one commits.
        """
        if not self.write:
            raise RunError(f"{self.name}: is opened for reading only; open it for writing")
        with self.owner:
            yield from self._transaction()

    def on_rollback(self, undo: Callable[[], None]) -> None:
        """Call ``undo`` if the open transaction, or an outer one, is rolled back: for state outside
        the file that must be rolled back with it. Does nothing outside a transaction."""
        if self._depth:
            self._undo.append((self._depth, undo))

    def _transaction(self) -> Iterator[None]:
        level = self._depth
        self.execute(f"SAVEPOINT level{level}" if level else "BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
            self.execute(f"RELEASE level{level}" if level else "COMMIT")
        except BaseException:
            self.cache.clear()
            # SQLite itself has rolled back after errors such as a full disk.
            if self._connection.in_transaction:
                if level:
                    self._connection.execute(f"ROLLBACK TO level{level}")
                    self._connection.execute(f"RELEASE level{level}")
                else:
                    self._connection.execute("ROLLBACK")
            while self._undo and self._undo[-1][0] > level:
                self._undo.pop()[1]()
            raise
        finally:
            self._depth -= 1
            if not level:
                self._undo.clear()

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._depth > 0

    # -- header and texts -----------------------------------------------------------

    def get(self, key: str, default: Json = None) -> Json:
        """The header's value under ``key``. Raises RunCorrupt if its checksum does not fit."""
        row = self.first_row("SELECT value, digest FROM header WHERE key = ?", (key,))
        if row is None:
            return default
        value, mark = row
        if not isinstance(value, str) or header_digest(key, value) != mark:
            raise RunCorrupt(
                f"{self.name}: header '{key}' is damaged; restore the file from a backup"
            )
        return json.loads(value)

    def put(self, key: str, value: Json) -> None:
        """Set the header's value under ``key``."""
        text = canonical(value)
        self.execute(
            "INSERT INTO header (key, value, digest) VALUES (?, ?, ?) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value, digest = excluded.digest",
            (key, text, header_digest(key, text)),
        )

    def intern_text(self, text: str) -> str:
        """Store a text once, however often it occurs; returns its digest."""
        mark = digest_text(text)
        self.execute("INSERT OR IGNORE INTO texts (digest, text) VALUES (?, ?)", (mark, text))
        return mark

    def interned_text(self, digest: str) -> str:
        """The text of a digest from ``intern_text``. Raises RunCorrupt if it is missing or
        changed."""
        row = self.first_row("SELECT text FROM texts WHERE digest = ?", (digest,))
        if row is None or not isinstance(row[0], str) or digest_text(row[0]) != digest:
            state = "missing" if row is None else "damaged"
            raise RunCorrupt(
                f"{self.name}: text {digest} is {state}; restore the file from a backup"
            )
        return row[0]

    # -- parts ----------------------------------------------------------------------

    def migrate(
        self, part: str, version: int, migrations: Sequence[str], check: DamageCheck | None = None
    ) -> None:
        """Migrate the tables of ``part`` to ``version``.

        ``migrations[i]`` is the SQL from version i to i + 1 (0: no tables). ``verify`` will run
        ``check``. Raises RunError if the file is newer than the code, or older and opened for
        reading only.
        """
        if check:
            self._checks[part] = check
        have = self.version(part)
        if have > version:
            raise RunError(
                f"{self.name}: its '{part}' tables are of version {have}, this program knows "
                f"{version}; upgrade denizens"
            )
        if have == version:
            return
        if not self.write:
            raise RunError(
                f"{self.name}: its '{part}' tables are of version {have}, {version} is needed; "
                "open the file for writing once"
            )
        with self.transaction():
            for step in migrations[have:version]:
                self._script(step)
            self.execute("INSERT OR REPLACE INTO parts VALUES (?, ?)", (part, version))
            self.put(_SCHEMA, schema_digest(self._connection))

    def reset_schema_digest(self) -> None:
        """Accept the present table definitions, after tables were copied from another file."""
        self.put(_SCHEMA, schema_digest(self._connection))

    def scrub(self) -> None:
        """Write the file anew and truncate its log, so that nothing of a deleted row is left in
        either. Raises RunLocked while another process reads the file, which keeps old pages."""
        if self._depth:
            raise RunError(f"{self.name}: cannot be scrubbed inside a transaction")
        self.execute("PRAGMA secure_delete = 1")
        self.execute("VACUUM")
        ((busy, *_),) = self.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise RunLocked(
                f"{self.name}: another process is reading it and keeps deleted rows on disk; end "
                "it and do the same again"
            )

    def version(self, part: str) -> int:
        """The schema version of a part; 0 if the file has none of its tables."""
        row = self.first_row("SELECT version FROM parts WHERE part = ?", (part,))
        return int(row[0]) if row else 0

    def _script(self, sql: str) -> None:
        # executescript would commit the open transaction.
        statement = ""
        for line in sql.splitlines(keepends=True):
            statement += line
            if sqlite3.complete_statement(statement):
                self.execute(statement)
                statement = ""
        if statement.strip():
            self.execute(statement)

    # -- the whole file -------------------------------------------------------------

    def verify(self) -> tuple[Damage, ...]:
        """All damage to the file: to its structure, header, texts and parts; empty if there is
        none."""
        found: list[Damage] = []
        try:
            found.extend(store_damage(self._connection))
            for check in self._checks.values():
                found.extend(check(self))
        except (*SQLITE_ERRORS, RunError) as error:
            found.append(Damage("file", str(error)))
        return tuple(found)

    def copy_to(self, path: Path | str) -> None:
        """Write a consistent copy to a new file. Raises RunError if it exists."""
        target = Path(path)
        if target.exists():
            raise RunError(f"{target}: exists already; choose another name for the copy")
        if self._depth:
            raise RunError(f"{self.name}: cannot be copied inside a transaction")
        try:
            with atomic_path(target) as part, closing(sqlite3.connect(part)) as copy:
                self.refresh()
                self._connection.backup(copy)
                # One file without a log, which would not be moved with it.
                copy.execute("PRAGMA journal_mode = DELETE")
        except SQLITE_ERRORS as error:
            self._fail(error)

    def close(self) -> None:
        """Close the file and release its lock; may be called twice."""
        connection = getattr(self, "_connection", None)
        if self.owner.is_forked:
            # Closing it would release the parent's locks, and might checkpoint its log.
            _INHERITED_CONNECTIONS.append((connection, self._lock))
            self._lock = None
            return
        if connection is not None:
            connection.close()
            self._closed = True
        self.cache.clear()
        if self._lock:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
