"""Recovering what is intact of a damaged memory file into a new file."""

from __future__ import annotations

import base64
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate
from pathlib import Path

from ...core import AgentId, DenizensError, MemoryFault, canonical, digest_text
from ...store import Store, WriterLock, chain_digest, connect_read_only, database_files
from .audit_log import AUDIT_CHAIN, AuditEntry, parse_audit_entry, write_audit_entry
from .auxiliary_logs import AUXILIARY_LOGS
from .memory_tables import prepare_store
from .record_checks import RawRow, RecordExamination, examine_records
from .record_codec import DAMAGED, blank_record
from .record_table import (
    ACCESS_CHAIN,
    RECORD_CHAIN,
    StoredRecord,
    append_accesses,
    append_records,
    write_unlabelled_counts,
)
from .snapshots import SNAPSHOT_TABLES, drop_damaged_snapshots
from .tool_call_log import ToolCallLog

_MEMORY_TABLES = ("memory_records", "memory_touches", "memory_heads", "memory_log")
_STORE_TABLES = ("header", "parts", "texts")


@dataclass(frozen=True, slots=True)
class RecoveredLog:
    """The readable lines of an agent's audit log, and how many were lost."""

    entries: tuple[AuditEntry, ...]
    lost: int


class DamagedFile:
    """A damaged file, opened for reading only, row by row without its checks."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises MemoryFault if it is no SQLite file any more."""
        try:
            self._connection = connect_read_only(path)
            # Text that is not UTF-8 any more is returned as bytes.
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
        header = {}
        for key, value, digest in self.rows("header", ("key", "value", "digest")):
            if (
                isinstance(value, str)
                and isinstance(key, str)
                and chain_digest(key, value) == digest
            ):
                header[key] = json.loads(value)
        return header

    def rows(self, table: str, columns: Sequence[str], agent: AgentId = "") -> Iterator[RawRow]:
        """The readable rows of a table, skipping damaged pages."""
        if table not in self._tables:
            return
        names = ", ".join(columns)
        filtered = " AND agent = ?" if agent else ""
        args = (agent,) if agent else ()
        if "WITHOUT ROWID" in str(self._tables[table]).upper():
            where = " WHERE agent = ?" if agent else ""
            yield from self._rows_by_key(table, f"SELECT {names} FROM {table}{where}", args)
            return
        last, leap = -1, 1
        top = self._last_rowid(table)
        while last < top:
            try:
                for row in self._connection.execute(
                    f"SELECT rowid, {names} FROM {table} NOT INDEXED "
                    f"WHERE rowid > ?{filtered} ORDER BY rowid",
                    (last, *args),
                ):
                    last, leap = row[0], 1
                    yield row[1:]
                return
            except (sqlite3.Error, UnicodeDecodeError):
                last, leap = last + leap, 2 * leap

    def _rows_by_key(self, table: str, sql: str, args: Sequence[str]) -> Iterator[RawRow]:
        """The rows of a table WITHOUT ROWID: from both ends up to a damaged page; a row may be
        returned twice."""
        keys = self._connection.execute(f"PRAGMA table_info({table})").fetchall()
        names = [row[1] for row in sorted(keys, key=lambda row: int(row[5])) if row[5]]
        for direction in ("ASC", "DESC"):
            order = ", ".join(f"{name} {direction}" for name in names)
            try:
                yield from self._connection.execute(f"{sql} ORDER BY {order}", args)
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
        """All agents with a record or an entry in the header."""
        known = self._header.get("memory.agents")
        names = set(known) if isinstance(known, list) else set()
        if not names:
            for table in _MEMORY_TABLES[:3]:
                names |= {row[0] for row in self.rows(table, ("agent",))}
        return sorted(name for name in names if isinstance(name, str))

    def unlabelled(self, agent: AgentId) -> int:
        """How many of an agent's first records have no labels; all if that cannot be read, as in
        a file from before labels existed."""
        key, version = "memory.unlabelled", None
        for part, number in self.rows("parts", ("part", "version")):
            version = number if part == "memory" else version
        if isinstance(version, int) and version >= 3 and self._header:
            keys = {row[0] for row in self.rows("header", ("key",))}
            known = self._header.get(key, {} if key not in keys else None)
            if isinstance(known, dict):
                return int(known.get(agent, 0))
        return 1 << 32

    def head_counts(self, agent: AgentId) -> tuple[int, int]:
        """How many records and accesses the agent has according to its head."""
        for row in self.rows("memory_heads", ("records", "touches"), agent):
            if all(isinstance(n, int) and 0 <= n < 1 << 32 for n in row):
                readable = self._count("memory_records", agent)
                # A damaged head must not report millions of losses.
                return (row[0] if row[0] <= 2 * readable + 1000 else 0), row[1]
        return 0, 0

    def _count(self, table: str, agent: AgentId) -> int:
        return sum(1 for _ in self.rows(table, ("1",), agent))

    def audit_log(self, agent: AgentId) -> RecoveredLog:
        """The lines of an agent's audit log up to the first that does not fit."""
        entries: list[AuditEntry] = []
        link, lost = "", 0
        rows = sorted(
            (r for r in self.rows("memory_log", AUDIT_CHAIN.columns, agent)
             if isinstance(r[0], int)),
            key=lambda row: int(row[0]),
        )  # fmt: skip
        for n, step, what, data, stored in rows:
            expected = AUDIT_CHAIN.link(link, agent, (n, step, what, data))
            if lost or n != len(entries) + 1 or expected != stored:
                lost += 1
                continue
            link = expected
            try:
                entries.append(parse_audit_entry(step, what, data))
            except ValueError:
                lost += 1
        heads = self._header.get("memory.log")
        written = heads.get(agent, (0, ""))[0] if isinstance(heads, dict) else 0
        return RecoveredLog(tuple(entries), max(lost, written - len(entries)))

    def copy_other_tables(self, store: Store) -> list[str]:
        """Copy the tables of all other parts; returns a line for each loss."""
        lost = []
        for key, value in self._header.items():
            if not key.startswith(("memory.", "store.")):
                store.put(key, value)
        for digest, text in self.rows("texts", ("digest", "text")):
            if isinstance(text, str) and digest_text(text) == digest:
                store.intern_text(text)
        lost += self._copy_logs(store)
        copied = {
            *_MEMORY_TABLES,
            *_STORE_TABLES,
            *(table for log in AUXILIARY_LOGS for table in log.tables),
        }
        for name, sql in self._tables.items():
            if name in copied or name.startswith("sqlite_") or not sql:
                continue
            store.execute(sql)
            columns = [row[1] for row in self._connection.execute(f"PRAGMA table_info({name})")]
            marks = ", ".join("?" * len(columns))
            store.executemany(
                f"INSERT OR IGNORE INTO {name} VALUES ({marks})", self.rows(name, columns)
            )
            if name in SNAPSHOT_TABLES:
                continue
            how = "as far as it can be read" if name in self._torn else "as it is"
            lost.append(f"table {name}: carried over {how}; check it with its own command")
        for part, version in self.rows("parts", ("part", "version")):
            store.execute("INSERT OR IGNORE INTO parts VALUES (?, ?)", (part, version))
        store.reset_schema_digest()
        lost += drop_damaged_snapshots(store)
        if count := ToolCallLog(store).restore():
            lost.append(f"calls: {count} of them; calls that had begun may be executed again")
        return lost

    def _copy_logs(self, store: Store) -> list[str]:
        """Copy the auxiliary logs line by line, damaged lines as erased ones."""
        lost = []
        for log in AUXILIARY_LOGS:
            lines, heads = log.tables
            if lines in self._tables:
                log.create_tables(store)
            names = {str(row[0]) for table in log.tables for row in self.rows(table, ("agent",))}
            for agent in sorted(names):
                rows = list(self.rows(lines, ("n", "step", "body", "digest"), agent))
                counts = [row[0] for row in self.rows(heads, ("lines",), agent)]
                count = log.restore(store, agent, rows)
                # Lines after the last readable one leave no number.
                written = sum(n for n in counts if isinstance(n, int))
                count += max(0, written - log.size(store, agent))
                if count:
                    lost.append(f"{log.part} of {agent}: {count} lines")
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


@dataclass(frozen=True, slots=True)
class RepairReport:
    """The result of a repair: the number of records ``kept``, a line for each loss, and where the
    ``original`` and the rows set ``aside`` are now (None: nothing was damaged)."""

    kept: int
    lost: tuple[str, ...]
    original: Path | None
    aside: Path | None


def repair_file(path: Path | str) -> RepairReport:
    """Repair a file in place: its intact records are copied to a new file, which replaces it in one
    move when it has passed its checks; the original stays beside it as ``.damaged``.

    A lost record leaves its number, so that evidence of others stays valid. Tables of other parts
    are copied as they are. Raises MemoryFault if nothing can be read.
    """
    path = Path(path)
    if not path.is_file():
        raise MemoryFault(f"{path}: no such file; check the path")
    lock = WriterLock(path)
    try:
        if _is_intact(path):
            return RepairReport(_records_in(path), (), None, None)
        return _rebuild(path)
    finally:
        lock.release()


def _is_intact(path: Path) -> bool:
    try:
        with Store(path, write=False) as store:
            prepare_store(store)
            return not store.verify()
    except (DenizensError, sqlite3.Error, ValueError, TypeError):
        return False


def _records_in(path: Path) -> int:
    with Store(path, write=False) as store:
        row = store.first_row("SELECT count(*) FROM memory_records")
    return int(row[0]) if row else 0


def _rebuild(path: Path) -> RepairReport:
    new = path.with_name(f"{path.name}.part{os.getpid()}")
    aside = _free_path(path, ".aside.jsonl")
    lost: list[str] = []
    try:
        with DamagedFile(path) as damaged, Store(new) as store:
            prepare_store(store)
            with store.transaction():
                kept, lines = _copy_memories(damaged, store, lost)
                lost += damaged.copy_other_tables(store)
        with Store(new, write=False) as store:
            prepare_store(store)
            # Tables of unknown parts are copied unchecked; only those of memory must be intact.
            if left := [str(d) for d in store.verify()]:
                raise MemoryFault(f"{path}: cannot be repaired ({left[0]}); it was left as it is")
        aside.write_text("".join(canonical(line) + "\n" for line in lines), encoding="utf-8")
        return RepairReport(kept, tuple(lost), _swap_in(path, new), aside)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise MemoryFault(f"{path}: nothing can be read ({error}); it was left as it is") from error
    finally:
        for file in database_files(new):
            file.unlink(missing_ok=True)


def _swap_in(path: Path, new: Path) -> Path:
    """Replace the old file by the new one in one move; returns where the old one is."""
    original = _free_path(path, ".damaged")
    os.link(path, original)
    for side in ("-wal", "-shm"):
        log = path.with_name(path.name + side)
        if log.exists():
            # SQLite would apply a log of the old file to the new one.
            shutil.copy2(log, original.with_name(original.name + side))
            log.unlink()
    with new.open("rb") as handle:
        os.fsync(handle.fileno())
    os.replace(new, path)
    folder = os.open(path.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return original


def repair_leftovers(path: Path | str) -> tuple[Path, ...]:
    """Files beside a memory file that may hold its texts: originals of repairs with their logs,
    rows set aside, backups, and partial files of killed processes."""
    path = Path(path)
    endings = (".damaged", ".aside.jsonl", ".bak", ".part")
    starts = tuple(path.name + ending for ending in endings)
    return tuple(sorted(item for item in path.parent.iterdir() if item.name.startswith(starts)))


def _free_path(path: Path, ending: str) -> Path:
    number = 1
    target = path.with_name(path.name + ending)
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}{ending}{number}")
    return target


def _copy_memories(
    damaged: DamagedFile, store: Store, lost: list[str]
) -> tuple[int, list[dict[str, object]]]:
    """Copy all intact records; returns how many, and the lines to set aside. ``lost`` gets a line
    for each loss."""
    kept, aside = 0, []
    for agent in damaged.agents():
        records = sorted(
            damaged.rows("memory_records", RECORD_CHAIN.columns, agent), key=_row_order
        )
        accesses = sorted(
            damaged.rows("memory_touches", ACCESS_CHAIN.columns, agent), key=_row_order
        )
        examined = examine_records(agent, records, accesses, damaged.head_counts(agent))
        _write_records(store, agent, examined)
        if unlabelled := min(damaged.unlabelled(agent), examined.count):
            write_unlabelled_counts(store, {agent: unlabelled})
        kept += len(examined.intact)
        lost += [f"memory of {agent}: record {number} {why}" for number, why in examined.damaged]
        if examined.lost_accesses:
            lost.append(f"memory of {agent}: {examined.lost_accesses} lines of the access log")
        numbers = {number for number, _ in examined.damaged}
        aside += [_aside_line(agent, row) for row in records if row[0] in numbers]
        log = damaged.audit_log(agent)
        for entry in log.entries:
            write_audit_entry(store, agent, entry)
        if log.lost:
            lost.append(f"memory of {agent}: {log.lost} lines of its audit log")
        if examined.damaged:
            last = max((row.step for row in examined.intact.values()), default=0)
            data = {"records": [[number, why] for number, why in sorted(examined.damaged)]}
            write_audit_entry(store, agent, AuditEntry(last, "damaged", data))
    return kept, aside


def _row_order(row: RawRow) -> tuple[bool, int]:
    return (not isinstance(row[0], int), row[0] if isinstance(row[0], int) else 0)


def _write_records(store: Store, agent: AgentId, examined: RecordExamination) -> None:
    append_records(store, agent, list(_with_blanks(examined)))
    steps = accumulate((access.step for access in examined.accesses), max)
    accesses = [replace(access, step=step) for access, step in zip(examined.accesses, steps)]
    append_accesses(store, agent, accesses)


def _with_blanks(examined: RecordExamination) -> Iterator[StoredRecord]:
    """The intact rows, and a blank one for each that is lost."""
    step, at = 0, datetime(1970, 1, 1)
    for number in range(1, examined.count + 1):
        row = examined.intact.get(number)
        if row is None:
            row = StoredRecord(blank_record(number, at, DAMAGED), step, None)
        step, at = row.step, row.record.created
        yield row


def _aside_line(agent: AgentId, row: RawRow) -> dict[str, object]:
    number, step, body, vector, digest, link = row
    text = body if isinstance(body, str) else repr(body)
    packed = base64.b64encode(vector).decode() if isinstance(vector, bytes) else None
    return {
        "agent": agent,
        "id": number,
        "step": step if isinstance(step, int) else repr(step),
        "body": text.encode("utf-8", "replace").decode(),
        "vector": packed,
        "digest": str(digest),
        "link": str(link),
    }
