"""Mending a damaged file: what is whole goes into a new file, the rest is set aside."""

from __future__ import annotations

import base64
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ..core import AgentId, DenizensError, MemoryFault, Record, canonical
from ..store import Store, WriterLock, database_files
from . import ledger
from .checking import RawRow, RecordExamination, examine_records
from .encoding import DAMAGED
from .salvage import DamagedFile
from .table import (
    ChainHeads,
    StoredRecord,
    append_access,
    append_records,
    prepare_store,
    write_heads,
    write_unlabelled_count,
)

_RECORD_COLUMNS = ("id", "step", "body", "vector", "digest", "link")
_ACCESS_COLUMNS = ("n", "step", "at", "records", "link")


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What a repair kept and lost: ``kept`` records, a line for each thing ``lost``, and
    where the ``original`` and the rows set ``aside`` are now (None: nothing was wrong)."""

    kept: int
    lost: tuple[str, ...]
    original: Path | None
    aside: Path | None


def repair_file(path: Path | str) -> RepairReport:
    """Mend a file in place: its whole records go into a new one, which replaces it at once
    when it has passed its checks; the original stays beside it as ``.damaged``.

    A record that is lost leaves its number, so that what rests on others still does. Tables
    of other parts are carried over as they are. Raises MemoryFault when nothing can be read.
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
        with DamagedFile(path) as wreck, Store(new) as store:
            prepare_store(store)
            with store.transaction():
                kept, lines = _copy_memories(wreck, store, lost)
                lost += wreck.copy_other_tables(store)
        with Store(new, write=False) as store:
            prepare_store(store)
            # Parts not known here are carried unseen; only what is ours must be whole.
            if left := [str(d) for d in store.verify()]:
                raise MemoryFault(f"{path}: cannot be mended ({left[0]}); it was left as it is")
        aside.write_text("".join(canonical(line) + "\n" for line in lines), encoding="utf-8")
        return RepairReport(kept, tuple(lost), _swap_in(path, new), aside)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise MemoryFault(f"{path}: nothing can be read ({error}); it was left as it is") from error
    finally:
        for file in database_files(new):
            file.unlink(missing_ok=True)


def _swap_in(path: Path, new: Path) -> Path:
    """Put the new file in the old one's place in one move; returns where the old one is."""
    original = _free_path(path, ".damaged")
    os.link(path, original)
    for side in ("-wal", "-shm"):
        log = path.with_name(path.name + side)
        if log.exists():
            # A log of the old file would be taken for the new one's.
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
    """What has been left beside a file with its words in it: originals of repairs with their
    logs, rows set aside, backups, and what a killed process had half written."""
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
    wreck: DamagedFile, store: Store, lost: list[str]
) -> tuple[int, list[dict[str, object]]]:
    kept, lines = 0, []
    for agent in wreck.agents():
        records = sorted(wreck.rows("memory_records", _RECORD_COLUMNS, agent), key=_row_order)
        touches = sorted(wreck.rows("memory_touches", _ACCESS_COLUMNS, agent), key=_row_order)
        found = examine_records(agent, records, touches, wreck.head_counts(agent))
        _write_records(store, agent, found)
        if old := min(wreck.unlabelled(agent), found.count):
            write_unlabelled_count(store, agent, old)
        kept += len(found.intact)
        lost += [f"memory of {agent}: record {number} {why}" for number, why in found.damaged]
        if found.lost_touches:
            lost.append(f"memory of {agent}: {found.lost_touches} lines of the access log")
        bad = {number for number, _ in found.damaged}
        lines += [_aside_line(agent, row) for row in records if row[0] in bad]
        log = wreck.audit_log(agent)
        for entry in log.entries:
            ledger.write_audit_entry(store, agent, entry)
        if log.lost:
            lost.append(f"memory of {agent}: {log.lost} lines of its log")
        if found.damaged:
            last = max((row.step for row in found.intact.values()), default=0)
            data = {"records": [[number, why] for number, why in sorted(found.damaged)]}
            ledger.write_audit_entry(store, agent, ledger.AuditEntry(last, "damaged", data))
    return kept, lines


def _row_order(row: RawRow) -> tuple[bool, int]:
    return (not isinstance(row[0], int), row[0] if isinstance(row[0], int) else 0)


def _write_records(store: Store, agent: AgentId, found: RecordExamination) -> None:
    rows = list(_with_blanks(found))
    link = append_records(store, agent, rows, "")
    touch_link, step = "", 0
    for n, touch in enumerate(found.touches, 1):
        step = max(step, touch.step)
        forward = replace(touch, step=step)
        touch_link = append_access(store, agent, n, forward, touch_link)
    write_heads(store, agent, ChainHeads(len(rows), link, len(found.touches), touch_link))


def _with_blanks(found: RecordExamination) -> Iterator[StoredRecord]:
    """The whole rows, and one that says so for each that is lost."""
    step, at = 0, datetime(1970, 1, 1)
    for number in range(1, found.count + 1):
        row = found.intact.get(number)
        if row is None:
            row = StoredRecord(blank_record(number, at, DAMAGED), step, None)
        step, at = row.step, row.record.created
        yield row


def blank_record(number: int, at: datetime, why: str) -> Record:
    """What stands for a record of which only the number is left."""
    return Record(id=number, kind="observation", text="", created=at, source=why)


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
