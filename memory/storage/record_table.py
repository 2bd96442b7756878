"""Memories in the store: tables, row digests, hash chains, reading and checking them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from ...core import AgentId, MemoryFault, Record, RecordId, Time, canonical, time_error
from ...store import Damage, Store, chain_digest
from . import audit_log as ledger
from .auxiliary_logs import register_log_checks, rewind_logs
from .record_codec import body_of, read_body
from .tool_call_log import ToolCallLog

PART = "memory"
VERSION = 3
MIGRATIONS = (
    """
    CREATE TABLE memory_records (
        agent TEXT NOT NULL, id INTEGER NOT NULL, step INTEGER NOT NULL, body TEXT NOT NULL,
        vector BLOB, digest TEXT NOT NULL, link TEXT NOT NULL, PRIMARY KEY (agent, id)
    );
    CREATE TABLE memory_touches (
        agent TEXT NOT NULL, n INTEGER NOT NULL, step INTEGER NOT NULL, at TEXT NOT NULL,
        records TEXT NOT NULL, link TEXT NOT NULL, PRIMARY KEY (agent, n)
    );
    CREATE TABLE memory_heads (
        agent TEXT PRIMARY KEY, records INTEGER NOT NULL, link TEXT NOT NULL,
        touches INTEGER NOT NULL, touch_link TEXT NOT NULL
    );
    """,
    ledger.AUDIT_TABLE,
    "",  # Labels are in the records' bodies; which records have none is in the header.
)
_AGENTS = "memory.agents"
_UNLABELLED = "memory.unlabelled"


@dataclass(frozen=True, slots=True)
class ChainHeads:
    """Where an agent's two chains end: how many rows, and the last link."""

    records: int = 0
    link: str = ""
    touches: int = 0
    touch_link: str = ""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One stored record: made at ``step``; ``vector`` are float32 bytes, little-endian. One of
    a file from before there were labels is not ``labelled``."""

    record: Record
    step: int
    vector: bytes | None
    labelled: bool = True


@dataclass(frozen=True, slots=True)
class RecordAccess:
    """Records accessed together at ``step``, at the world's time ``at``."""

    records: tuple[RecordId, ...]
    step: int
    at: Time


def prepare_store(store: Store) -> None:
    """Make the memory tables where they are missing, and have ``store.verify`` check them and
    what is kept beside them."""
    have = store.version(PART)
    # An older file that is only read lacks the log at most, which is empty then.
    version = min(have, VERSION) if have and not store.write else VERSION
    if store.write and 0 < have < VERSION:
        with store.transaction():
            if store.version(PART) < 3:
                counts = {agent: read_heads(store, agent).records for agent in agents_in(store)}
                store.put(_UNLABELLED, counts)
            store.migrate(PART, version, MIGRATIONS[:version], check_memories)
    store.migrate(PART, version, MIGRATIONS[:version], check_memories)
    register_log_checks(store)
    ToolCallLog(store)


def unlabelled_count(store: Store, agent: AgentId) -> int:
    """How many of an agent's first records were written before there were labels."""
    if store.version(PART) < 3:
        return read_heads(store, agent).records
    return int(store.get(_UNLABELLED, {}).get(agent, 0))


def write_unlabelled_count(store: Store, agent: AgentId, count: int) -> None:
    """Say that so many of an agent's first records have no labels."""
    store.put(_UNLABELLED, {**store.get(_UNLABELLED, {}), agent: count})


def agents_in(store: Store) -> tuple[AgentId, ...]:
    """Who has memories in the store, in order of name."""
    return tuple(store.get(_AGENTS, []))


def read_heads(store: Store, agent: AgentId) -> ChainHeads:
    """The ends of an agent's chains; all zero for one who never had memories."""
    row = store.first_row(
        "SELECT records, link, touches, touch_link FROM memory_heads WHERE agent = ?", (agent,)
    )
    if row is None and agent in agents_in(store):
        raise memory_fault(store, agent, "memories were written, none are there")
    return ChainHeads(*row) if row else ChainHeads()


def write_heads(store: Store, agent: AgentId, new: ChainHeads) -> None:
    """Set the ends of an agent's chains."""
    if agent not in (known := agents_in(store)):
        store.put(_AGENTS, sorted({*known, agent}))
    store.execute(
        "INSERT OR REPLACE INTO memory_heads VALUES (?, ?, ?, ?, ?)",
        (agent, new.records, new.link, new.touches, new.touch_link),
    )


def append_records(
    store: Store,
    agent: AgentId,
    rows: Sequence[StoredRecord],
    link: str,
    bodies: Sequence[str] = (),
) -> str:
    """Write records behind the chain's end ``link``; returns the new end. ``bodies`` are
    their canonical JSON where it is there already."""
    lines = []
    texts = bodies or [body_of(row.record) for row in rows]
    for row, body in zip(rows, texts, strict=True):
        mark = content_digest(body, row.vector)
        link = chain_digest(link, record_payload(agent, row.record.id, row.step, mark))
        lines.append((agent, row.record.id, row.step, body, row.vector, mark, link))
    store.executemany("INSERT INTO memory_records VALUES (?, ?, ?, ?, ?, ?, ?)", lines)
    return link


def append_access(store: Store, agent: AgentId, n: int, touch: RecordAccess, link: str) -> str:
    """Write one line of the access log behind ``link``; returns the new end."""
    at, ids = touch.at.isoformat(), canonical(list(touch.records))
    link = chain_digest(link, canonical([agent, n, touch.step, at, ids]))
    store.execute(
        "INSERT INTO memory_touches VALUES (?, ?, ?, ?, ?, ?)",
        (agent, n, touch.step, at, ids, link),
    )
    return link


def read_records(store: Store, agent: AgentId) -> Iterator[StoredRecord]:
    """An agent's records in order, every digest and the chain checked.

    Raises MemoryFault naming the first record that does not fit.
    """
    for row, _ in read_records_with_json(store, agent):
        yield row


def read_records_with_json(store: Store, agent: AgentId) -> Iterator[tuple[StoredRecord, str]]:
    """``read_records``, each with its record's stored JSON."""
    link = ""
    expected = 0
    for found, step, body, vector, mark, kept in store.iter_rows(
        "SELECT id, step, body, vector, digest, link FROM memory_records "
        "WHERE agent = ? ORDER BY id",
        (agent,),
    ):
        expected += 1
        if found != expected:
            raise memory_fault(store, agent, f"record {expected} is missing")
        whole = isinstance(body, str) and (vector is None or isinstance(vector, bytes))
        if not whole or content_digest(body, vector) != mark:
            raise memory_fault(store, agent, f"record {found} does not hash to its digest")
        link = chain_digest(link, record_payload(agent, found, step, mark))
        if link != kept:
            raise memory_fault(store, agent, f"record {found} does not fit the chain of digests")
        yield StoredRecord(_parse_record(store, agent, found, body), step, vector), body
    end = read_heads(store, agent)
    if (end.records, end.link) != (expected, link):
        raise memory_fault(
            store, agent, f"{end.records} records were written, {expected} are there"
        )


def read_records_by_id(store: Store, agent: AgentId, numbers: Sequence[RecordId]) -> list[Record]:
    """The records of these numbers, in order of number, each held against its digest."""
    found: list[Record] = []
    for start in range(0, len(numbers), 500):
        piece = sorted(numbers[start : start + 500])
        marks = ",".join("?" * len(piece))
        rows = store.rows(
            "SELECT id, body, vector, digest FROM memory_records "
            f"WHERE agent = ? AND id IN ({marks}) ORDER BY id",
            (agent, *piece),
        )
        if [row[0] for row in rows] != piece:
            raise memory_fault(
                store, agent, f"some of the records {piece[0]} to {piece[-1]} are missing"
            )
        for number, body, vector, mark in rows:
            if not isinstance(body, str) or content_digest(body, vector) != mark:
                raise memory_fault(store, agent, f"record {number} does not hash to its digest")
            found.append(_parse_record(store, agent, number, body))
    return found


def read_vector(store: Store, agent: AgentId, number: RecordId) -> bytes | None:
    """The embedding of a record (float32 bytes); None where it has none."""
    sql = "SELECT vector FROM memory_records WHERE agent = ? AND id = ?"
    row = store.first_row(sql, (agent, number))
    return None if row is None else row[0]


def _parse_record(store: Store, agent: AgentId, number: RecordId, body: str) -> Record:
    """The record of a body whose digest fits. Raises MemoryFault for what is none: a program
    that did not check what it wrote may have left one."""
    try:
        record = read_body(body)
    except ValueError as error:
        # pydantic's own text goes over many lines.
        why = str(error).splitlines()[1:3] or [str(error)]
        raise memory_fault(
            store, agent, f"record {number} is no record ({'; '.join(map(str.strip, why))})"
        ) from error
    if record.id != number:
        raise memory_fault(store, agent, f"record {number} has another's number")
    return record


def read_accesses(store: Store, agent: AgentId) -> Iterator[RecordAccess]:
    """An agent's access log in order, checked as ``read_records`` checks."""
    link = ""
    expected = 0
    for n, step, at, ids, kept in store.iter_rows(
        "SELECT n, step, at, records, link FROM memory_touches WHERE agent = ? ORDER BY n",
        (agent,),
    ):
        expected += 1
        link = chain_digest(link, canonical([agent, n, step, str(at), str(ids)]))
        if n != expected or link != kept:
            raise memory_fault(
                store, agent, f"line {expected} of the access log is missing or changed"
            )
        yield _parse_access(store, agent, n, (step, at, ids))
    end = read_heads(store, agent)
    if (end.touches, end.touch_link) != (expected, link):
        raise memory_fault(
            store, agent, f"{end.touches} accesses were written, {expected} are there"
        )


def _parse_access(store: Store, agent: AgentId, n: int, row: tuple[int, str, str]) -> RecordAccess:
    step, at, ids = row
    try:
        touch = RecordAccess(tuple(json.loads(ids)), step, datetime.fromisoformat(at))
        wrong = time_error(touch.at)
        if any(type(number) is not int or number < 1 for number in touch.records):
            wrong = f"{ids:.60} are no record numbers"
    except (ValueError, TypeError, RecursionError) as error:
        wrong = str(error)
    if wrong:
        raise memory_fault(store, agent, f"line {n} of the access log cannot be read ({wrong})")
    return touch


def memory_fault(store: Store, agent: AgentId, what: str) -> MemoryFault:
    """The error for a damaged memory."""
    return MemoryFault(
        f"{store.name}: memory of {agent}: {what}; restore the file from a backup or a "
        "fork, or set the damage aside: denizens memory repair"
    )


def check_memories(store: Store) -> Iterator[Damage]:
    """Damage to anybody's records or access log; the first of each is named. What is called
    whole here can be loaded."""
    known = set(agents_in(store))
    for table in ("memory_heads", "memory_records", "memory_touches", "memory_log"):
        if table == "memory_log" and store.version(PART) < 2:
            continue
        held = {row[0] for row in store.rows(f"SELECT DISTINCT agent FROM {table}")}
        for agent in sorted(map(str, held - known)):
            yield Damage(f"{table} of {agent}", "belongs to nobody on record")
    for agent in sorted(known):
        # Loading goes through all three, so what loads is read no second time.
        if wrong := _load_fault(store, agent):
            yield from list(_checksum_damage(store, agent)) or [Damage(f"memory of {agent}", wrong)]


def _checksum_damage(store: Store, agent: AgentId) -> Iterator[Damage]:
    """What does not fit its checksums among an agent's records, accesses and log."""
    for read in (read_records, read_accesses, ledger.read_audit_log):
        try:
            for _ in read(store, agent):
                pass
        except MemoryFault as error:
            yield Damage(f"memory of {agent}", str(error))
            yield from _record_damage(store, agent) if read is read_records else ()


def _load_fault(store: Store, agent: AgentId) -> str:
    """Why a memory cannot be recalled from; empty when it can."""
    from ..index import MemoryIndex

    try:
        MemoryIndex.read(store, agent)
    except MemoryFault as error:
        return str(error)
    return ""


def _record_damage(store: Store, agent: AgentId) -> Iterator[Damage]:
    """Every record of an agent that is not whole."""
    from .record_checks import examine_records

    rows = store.iter_rows(
        "SELECT id, step, body, vector, digest, link FROM memory_records "
        "WHERE agent = ? ORDER BY id",
        (agent,),
    )
    written = store.first_row("SELECT records FROM memory_heads WHERE agent = ?", (agent,))
    count = written[0] if written and isinstance(written[0], int) else 0
    for number, why in examine_records(agent, rows, (), (count, 0)).damaged[:1000]:
        yield Damage(f"memory of {agent}", f"record {number} {why}")


def rewind_memories(store: Store, step: int) -> None:
    """Forget, for all agents, everything later than the end of ``step``: what a fork does
    with its copy. The chains end where they ended then."""
    prepare_store(store)
    with store.transaction():
        for agent in agents_in(store):
            for table in ("memory_records", "memory_touches"):
                store.execute(f"DELETE FROM {table} WHERE agent = ? AND step > ?", (agent, step))
            records, link = _chain_end(store, agent, "memory_records", "id")
            if unlabelled_count(store, agent) > records:
                write_unlabelled_count(store, agent, records)
            touches, touch_link = _chain_end(store, agent, "memory_touches", "n")
            write_heads(store, agent, ChainHeads(records, link, touches, touch_link))
        ledger.rewind_audit_log(store, step)
        rewind_logs(store, step)
    store.cache.clear()


def _chain_end(store: Store, agent: AgentId, table: str, number: str) -> tuple[int, str]:
    row = store.first_row(
        f"SELECT {number}, link FROM {table} WHERE agent = ? ORDER BY {number} DESC LIMIT 1",
        (agent,),
    )
    return (int(row[0]), str(row[1])) if row else (0, "")


def content_digest(body: str, vector: bytes | None) -> str:
    """The digest of a record's row: of its body and its embedding."""
    state = blake2b(body.encode(), digest_size=16)
    # A separator no JSON text can hold, so that body and vector cannot trade bytes.
    state.update(b"\x00" if vector is None else b"\x00\x01" + vector)
    return state.hexdigest()


def record_payload(agent: AgentId, number: int, step: int, mark: str) -> str:
    """What a record's link adds to the chain."""
    # Unambiguous without the cost of JSON: only the last part may hold a space.
    return f"{number} {step} {mark} {agent}"


def unique_ids(records: Sequence[RecordId]) -> tuple[RecordId, ...]:
    """The ids once each, in the order in which they first come."""
    return tuple(dict.fromkeys(records))
