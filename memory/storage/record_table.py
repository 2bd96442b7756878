"""The tables of records and of accesses: rows, hash chains, reading with checks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from itertools import islice

import numpy as np

from ...core import AgentId, MemoryFault, Record, RecordId, Time, canonical, time_error
from ...store import ChainedLog, Store
from .record_codec import body_of, read_body

MEMORY_PART = "memory"
IMAGES_SUFFIX = "/images"
"""The pictures of an agent are a memory of their own, named as the agent with this ending."""
_AGENTS = "memory.agents"
_UNLABELLED = "memory.unlabelled"
_READ_BATCH = 4096


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One stored record, written at ``step``; ``vector`` is its embedding as little-endian
    float32 bytes. ``labelled`` is False for records of files from before labels existed."""

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


class _MemoryChain(ChainedLog):
    """One of the two chains whose heads share the table ``memory_heads``."""

    def fault(self, store: Store, agent: AgentId, what: str) -> MemoryFault:
        return memory_fault(store, agent, what)

    def agents(self, store: Store) -> tuple[AgentId, ...]:
        return agents_in(store)

    def head(self, store: Store, agent: AgentId) -> tuple[int, str]:
        count, link = super().head(store, agent)
        if not count and agent in agents_in(store):
            sql = "SELECT 1 FROM memory_heads WHERE agent = ?"
            if store.first_row(sql, (agent,)) is None:
                raise self.fault(store, agent, "memories were written, none are there")
        return count, link

    def set_head(self, store: Store, agent: AgentId, count: int, link: str) -> None:
        if agent not in (known := agents_in(store)):
            store.put(_AGENTS, sorted({*known, agent}))
        store.execute("INSERT OR IGNORE INTO memory_heads VALUES (?, 0, '', 0, '')", (agent,))
        store.execute(
            f"UPDATE memory_heads SET {self._count_column} = ?, {self._link_column} = ? "
            "WHERE agent = ?",
            (count, link, agent),
        )


def content_digest(body: object, vector: object) -> str:
    """The digest of a record's body and embedding; empty for values that no record has."""
    if not isinstance(body, str) or not (vector is None or isinstance(vector, bytes)):
        return ""
    state = blake2b(body.encode(), digest_size=16)
    # A separator that no JSON text holds, so that no byte can move between body and vector.
    state.update(b"\x00" if vector is None else b"\x00\x01" + vector)
    return state.hexdigest()


RECORD_CHAIN = _MemoryChain(
    "memory_records",
    ("body", "vector"),
    heads=("memory_heads", "records", "link"),
    row_name="record {}",
    number="id",
    digest=content_digest,
)
ACCESS_CHAIN = _MemoryChain(
    "memory_touches",
    ("at", "records"),
    heads=("memory_heads", "touches", "touch_link"),
    row_name="line {} of the access log",
)


def memory_fault(store: Store, agent: AgentId, what: str) -> MemoryFault:
    """The error for a damaged memory."""
    return MemoryFault(
        f"{store.name}: memory of {agent}: {what}; restore the file from a backup or a "
        "fork, or set the damage aside: denizens memory repair"
    )


def agents_in(store: Store) -> tuple[AgentId, ...]:
    """The agents that have a memory in the store, in order of name."""
    return tuple(store.get(_AGENTS, []))


def unlabelled_count(store: Store, agent: AgentId) -> int:
    """How many of an agent's first records were written before labels existed."""
    if store.version(MEMORY_PART) < 3:
        return RECORD_CHAIN.head(store, agent)[0]
    return int(store.get(_UNLABELLED, {}).get(agent, 0))


def write_unlabelled_counts(store: Store, counts: dict[AgentId, int]) -> None:
    """Set how many of each agent's first records have no labels."""
    store.put(_UNLABELLED, {**store.get(_UNLABELLED, {}), **counts})


# -- writing ----------------------------------------------------------------------------


def append_records(
    store: Store, agent: AgentId, rows: Sequence[StoredRecord], bodies: Sequence[str] = ()
) -> None:
    """Write records after the agent's last one. ``bodies`` are their canonical JSON, if already
    made."""
    bodies = bodies or [body_of(row.record) for row in rows]
    pairs = zip(rows, bodies, strict=True)
    RECORD_CHAIN.append(store, agent, [(row.step, body, row.vector) for row, body in pairs])


def append_accesses(store: Store, agent: AgentId, accesses: Sequence[RecordAccess]) -> None:
    """Write lines after the end of the agent's access log."""
    ACCESS_CHAIN.append(
        store,
        agent,
        [
            (access.step, access.at.isoformat(), canonical(list(access.records)))
            for access in accesses
        ],
    )


# -- reading ----------------------------------------------------------------------------


def read_records(store: Store, agent: AgentId) -> Iterator[StoredRecord]:
    """An agent's records in order. Raises MemoryFault naming the first that does not fit."""
    return (row for batch in read_record_batches(store, agent) for row, _ in batch)


def read_record_batches(store: Store, agent: AgentId) -> Iterator[list[tuple[StoredRecord, str]]]:
    """``read_records`` in batches, each record with its stored JSON; embeddings are of one
    length and finite."""
    columns = 0
    rows = RECORD_CHAIN.read(store, agent)
    while batch := [
        (StoredRecord(_parse_record(store, agent, number, body), step, vector), body)
        for number, step, body, vector in islice(rows, _READ_BATCH)
    ]:
        vectors = [row.vector for row, _ in batch if row.vector is not None]
        columns = columns or (len(vectors[0]) if vectors else 0)
        if not _fit_together(vectors, columns):
            last = batch[-1][0].record.id
            raise memory_fault(
                store,
                agent,
                f"embeddings of records up to {last} differ in length or hold "
                "numbers that are not finite",
            )
        yield batch


def _fit_together(vectors: Sequence[bytes], size: int) -> bool:
    """Whether all are finite float32 rows of ``size`` bytes."""
    if any(len(vector) != size for vector in vectors) or size % 4 or (vectors and not size):
        return False
    return bool(np.isfinite(np.frombuffer(b"".join(vectors), "<f4")).all())


def read_records_by_id(store: Store, agent: AgentId, numbers: Sequence[RecordId]) -> list[Record]:
    """The records of these numbers, in order of number, each checked against its digest."""
    records: list[Record] = []
    for start in range(0, len(numbers), 500):
        wanted = sorted(numbers[start : start + 500])
        marks = ",".join("?" * len(wanted))
        rows = store.rows(
            "SELECT id, body, vector, digest FROM memory_records "
            f"WHERE agent = ? AND id IN ({marks}) ORDER BY id",
            (agent, *wanted),
        )
        if [row[0] for row in rows] != wanted:
            raise memory_fault(
                store, agent, f"some of the records {wanted[0]} to {wanted[-1]} are missing"
            )
        for number, body, vector, digest in rows:
            if content_digest(body, vector) != digest:
                raise memory_fault(store, agent, f"record {number} does not hash to its digest")
            records.append(_parse_record(store, agent, number, body))
    return records


def read_vector(store: Store, agent: AgentId, number: RecordId) -> bytes | None:
    """The embedding of a record (float32 bytes); None if it has none."""
    sql = "SELECT vector FROM memory_records WHERE agent = ? AND id = ?"
    row = store.first_row(sql, (agent, number))
    return None if row is None else row[0]


def _parse_record(store: Store, agent: AgentId, number: RecordId, body: str) -> Record:
    """The record of a body whose digest fits. Raises MemoryFault for an invalid one, which a
    program that did not check what it wrote may have left."""
    try:
        record = read_body(body)
    except ValueError as error:
        # pydantic's own text goes over many lines.
        reasons = str(error).splitlines()[1:3] or [str(error)]
        raise memory_fault(
            store, agent, f"record {number} is no record ({'; '.join(map(str.strip, reasons))})"
        ) from error
    if record.id != number:
        raise memory_fault(store, agent, f"record {number} has the number of another")
    return record


def read_accesses(store: Store, agent: AgentId) -> Iterator[RecordAccess]:
    """An agent's access log in order, checked like ``read_records``."""
    count, _ = RECORD_CHAIN.head(store, agent)
    for number, step, at, ids in ACCESS_CHAIN.read(store, agent):
        try:
            access = RecordAccess(tuple(json.loads(ids)), step, datetime.fromisoformat(at))
            wrong = time_error(access.at)
            if any(
                type(record) is not int or not 1 <= record <= count for record in access.records
            ):
                wrong = f"{ids:.60} are no numbers of its {count} records"
        except (ValueError, TypeError, RecursionError) as error:
            wrong = str(error)
        if wrong:
            raise memory_fault(
                store, agent, f"line {number} of the access log cannot be read ({wrong})"
            )
        yield access
