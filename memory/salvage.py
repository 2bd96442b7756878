"""Reading what can be read of a damaged file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core import AgentId, MemoryFault, digest_text
from ..store import Store, chain_digest, connect_read_only
from .callbook import ToolCallLog
from .checking import RawRow
from .ledger import AuditEntry, audit_payload, parse_audit_entry
from .logbook import AUXILIARY_LOGS

_MEMORY_TABLES = ("memory_records", "memory_touches", "memory_heads", "memory_log")
_STORE_TABLES = ("header", "parts", "texts")


@dataclass(frozen=True, slots=True)
class RecoveredLog:
    """The readable lines of an agent's log, and how many are not."""

    entries: tuple[AuditEntry, ...]
    lost: int


class DamagedFile:
    """A damaged file, opened for reading only, in the raw."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises MemoryFault when it is no SQLite file any more."""
        try:
            self._connection = connect_read_only(path)
            # Text that is no text any more is looked at as bytes.
            self._connection.text_factory = _decoded
            self._tables = {
                str(row[0]): row[1]
                for row in self._connection.execute(
                    "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
                )
            }
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise MemoryFault(
                f"{path}: cannot be read at all ({error}); restore it from a backup"
            ) from error
        self._torn: set[str] = set()
        self._header = self._read_header()

    def _read_header(self) -> dict[str, object]:
        found = {}
        for key, value, mark in self.rows("header", ("key", "value", "digest")):
            if isinstance(value, str) and isinstance(key, str) and chain_digest(key, value) == mark:
                found[key] = json.loads(value)
        return found

    def rows(self, table: str, columns: Sequence[str], agent: AgentId = "") -> Iterator[RawRow]:
        """The rows of a table that can be read, skipping over broken pages."""
        if table not in self._tables:
            return
        names = ", ".join(columns)
        filtered = " AND agent = ?" if agent else ""
        given = (agent,) if agent else ()
        if "WITHOUT ROWID" in str(self._tables[table]).upper():
            where = " WHERE agent = ?" if agent else ""
            yield from self._rows_by_key(table, f"SELECT {names} FROM {table}{where}", given)
            return
        last, leap = -1, 1
        top = self._last_rowid(table)
        while last < top:
            try:
                for row in self._connection.execute(
                    f"SELECT rowid, {names} FROM {table} NOT INDEXED "
                    f"WHERE rowid > ?{filtered} ORDER BY rowid",
                    (last, *given),
                ):
                    last, leap = row[0], 1
                    yield row[1:]
                return
            except (sqlite3.Error, UnicodeDecodeError):
                last, leap = last + leap, 2 * leap

    def _rows_by_key(self, table: str, sql: str, given: Sequence[str]) -> Iterator[RawRow]:
        """The rows of a table that goes by its key alone: from both its ends up to a broken
        page; a row may come twice."""
        keys = self._connection.execute(f"PRAGMA table_info({table})").fetchall()
        names = [row[1] for row in sorted(keys, key=lambda row: int(row[5])) if row[5]]
        for way in ("ASC", "DESC"):
            order = ", ".join(f"{name} {way}" for name in names)
            try:
                yield from self._connection.execute(f"{sql} ORDER BY {order}", given)
                return
            except (sqlite3.Error, UnicodeDecodeError):
                self._torn.add(table)

    def _last_rowid(self, table: str) -> int:
        try:
            row = self._connection.execute(f"SELECT max(rowid) FROM {table}").fetchone()
            return min(int(row[0] or 0), 1 << 40)
        except (sqlite3.Error, ValueError, TypeError):
            return 1 << 24

    def agents(self) -> list[AgentId]:
        """Everybody of whom there is a record or a word in the header."""
        known = self._header.get("memory.agents")
        names = set(known) if isinstance(known, list) else set()
        if not names:
            for table in _MEMORY_TABLES[:3]:
                names |= {row[0] for row in self.rows(table, ("agent",))}
        return sorted(name for name in names if isinstance(name, str))

    def unlabelled(self, agent: AgentId) -> int:
        """How many of an agent's first records have no labels; where that cannot be read, as
        in a file from before there were labels, all."""
        key, version = "memory.unlabelled", None
        for part, number in self.rows("parts", ("part", "version")):
            version = number if part == "memory" else version
        if isinstance(version, int) and version >= 3 and self._header:
            held = {row[0] for row in self.rows("header", ("key",))}
            known = self._header.get(key, {} if key not in held else None)
            if isinstance(known, dict):
                return int(known.get(agent, 0))
        return 1 << 32

    def head_counts(self, agent: AgentId) -> tuple[int, int]:
        """How many records and accesses the agent's head says there are."""
        for row in self.rows("memory_heads", ("records", "touches"), agent):
            if all(isinstance(n, int) and 0 <= n < 1 << 32 for n in row):
                readable = self._count("memory_records", agent)
                # A head that is itself damaged must not make up millions of losses.
                return (row[0] if row[0] <= 2 * readable + 1000 else 0), row[1]
        return 0, 0

    def _count(self, table: str, agent: AgentId) -> int:
        return sum(1 for _ in self.rows(table, ("1",), agent))

    def audit_log(self, agent: AgentId) -> RecoveredLog:
        """The lines of an agent's log up to the first that does not fit."""
        entries: list[AuditEntry] = []
        link, lost = "", 0
        rows = sorted(
            (r for r in self.rows("memory_log", ("n", "step", "what", "data", "link"), agent)
             if isinstance(r[0], int)),
            key=lambda row: int(row[0]),
        )  # fmt: skip
        for n, step, what, data, kept in rows:
            mark = chain_digest(link, audit_payload(agent, n, step, str(what), str(data)))
            if lost or n != len(entries) + 1 or mark != kept:
                lost += 1
                continue
            link = mark
            try:
                entries.append(parse_audit_entry(step, what, data))
            except ValueError:
                lost += 1
        ends = self._header.get("memory.log")
        known = ends.get(agent, (0, ""))[0] if isinstance(ends, dict) else 0
        return RecoveredLog(tuple(entries), max(lost, known - len(entries)))

    def copy_other_tables(self, store: Store) -> list[str]:
        """Copy what other parts keep in the file; returns a line for each loss."""
        lost = []
        for key, value in self._header.items():
            if not key.startswith(("memory.", "store.")):
                store.put(key, value)
        for mark, text in self.rows("texts", ("digest", "text")):
            if isinstance(text, str) and digest_text(text) == mark:
                store.intern_text(text)
        lost += self._copy_logs(store)
        done = {
            *_MEMORY_TABLES,
            *_STORE_TABLES,
            *(table for book in AUXILIARY_LOGS for table in book.tables),
        }
        for name, sql in self._tables.items():
            if name in done or name.startswith("sqlite_") or not sql:
                continue
            store.execute(sql)
            columns = [row[1] for row in self._connection.execute(f"PRAGMA table_info({name})")]
            places = ", ".join("?" * len(columns))
            store.executemany(
                f"INSERT OR IGNORE INTO {name} VALUES ({places})", self.rows(name, columns)
            )
            how = "as far as it can be read" if name in self._torn else "as it is"
            lost.append(f"table {name}: carried over {how}; check it with its own command")
        for part, version in self.rows("parts", ("part", "version")):
            store.execute("INSERT OR IGNORE INTO parts VALUES (?, ?)", (part, version))
        store.reset_schema_digest()
        if count := ToolCallLog(store).restore():
            lost.append(f"calls: {count} of them; what had begun may be made again")
        return lost

    def _copy_logs(self, store: Store) -> list[str]:
        """Copy claims, documents, folds and notes line by line; what is damaged is as if erased."""
        lost = []
        for book in AUXILIARY_LOGS:
            lines, heads = book.tables
            if lines in self._tables:
                book.create_tables(store)
            names = {str(row[0]) for row in self.rows(lines, ("agent",))}
            for agent in sorted(names | {str(row[0]) for row in self.rows(heads, ("agent",))}):
                rows = list(self.rows(lines, ("n", "step", "body", "digest"), agent))
                ends = [row[0] for row in self.rows(heads, ("lines",), agent)]
                count = book.restore(store, agent, rows)
                # Those behind the last one that can be read leave no number.
                written = sum(n for n in ends if isinstance(n, int))
                count += max(0, written - book.size(store, agent))
                if count:
                    lost.append(f"{book.part} of {agent}: {count} lines")
        return lost

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> DamagedFile:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()


def _decoded(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
