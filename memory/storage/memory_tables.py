"""The memory part of a store: its schema, its checks, rewinding it to an earlier step."""

from __future__ import annotations

from collections.abc import Iterator

from ...core import AgentId, MemoryFault
from ...store import Damage, Store
from .audit_log import AUDIT_CHAIN, AUDIT_TABLE, read_audit_log
from .auxiliary_logs import AUXILIARY_LOGS
from .record_checks import examine_records
from .record_table import (
    ACCESS_CHAIN,
    MEMORY_PART,
    RECORD_CHAIN,
    agents_in,
    read_accesses,
    read_records,
    unlabelled_count,
    write_unlabelled_counts,
)
from .snapshots import drop_damaged_snapshots, register_snapshot_check
from .tool_call_log import ToolCallLog

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
    AUDIT_TABLE,
    "",  # Labels are in the records' bodies; which records have none is in the header.
)


def prepare_store(store: Store) -> None:
    """Create the memory tables if they are missing, and register the checks of these tables, of
    the auxiliary logs, snapshots and the tool-call log for ``store.verify``."""
    have = store.version(MEMORY_PART)
    # An older file opened for reading only lacks the audit log at most, which is empty then.
    version = min(have, VERSION) if have and not store.write else VERSION
    if store.write and 0 < have < VERSION:
        with store.transaction():
            if store.version(MEMORY_PART) < 3:
                counts = {agent: RECORD_CHAIN.head(store, agent)[0] for agent in agents_in(store)}
                write_unlabelled_counts(store, counts)
            store.migrate(MEMORY_PART, version, MIGRATIONS[:version], check_memories)
    store.migrate(MEMORY_PART, version, MIGRATIONS[:version], check_memories)
    for log in AUXILIARY_LOGS:
        log.register_check(store)
    register_snapshot_check(store)
    ToolCallLog(store)


def rewind_memories(store: Store, step: int) -> None:
    """Delete, for all agents, everything later than the end of ``step``, with the snapshots that
    have it: what a fork does with its copy of the file."""
    prepare_store(store)
    with store.transaction():
        for chain in (RECORD_CHAIN, ACCESS_CHAIN, AUDIT_CHAIN):
            chain.truncate(store, step)
        for agent in agents_in(store):
            count, _ = RECORD_CHAIN.head(store, agent)
            if unlabelled_count(store, agent) > count:
                write_unlabelled_counts(store, {agent: count})
        for log in AUXILIARY_LOGS:
            log.truncate(store, step)
        drop_damaged_snapshots(store)
    store.cache.clear()


def check_memories(store: Store) -> Iterator[Damage]:
    """Damage to any agent's records, access log or audit log. A memory without damage can be
    loaded."""
    known = agents_in(store)
    chains = (
        RECORD_CHAIN,
        ACCESS_CHAIN,
        *((AUDIT_CHAIN,) if store.version(MEMORY_PART) >= 2 else ()),
    )
    heads = {str(row[0]) for row in store.rows("SELECT agent FROM memory_heads")}
    for agent in sorted(heads.difference(known)):
        yield Damage(f"memory_heads of {agent}", "belongs to nobody on record")
    # A source may be quarantined before the first record is written.
    audited = AUDIT_CHAIN.agents(store)
    for chain in chains:
        for agent in chain.orphans(store, {*known, *(audited if chain is AUDIT_CHAIN else ())}):
            yield Damage(f"{chain.table} of {agent}", "belongs to nobody on record")
    for agent in sorted({*known, *audited}):
        reads = (read_records, read_accesses, read_audit_log)
        for read in reads if agent in known else (read_audit_log,):
            try:
                for _ in read(store, agent):
                    pass
            except MemoryFault as error:
                yield Damage(f"memory of {agent}", str(error))
                yield from _damaged_records(store, agent) if read is read_records else ()


def _damaged_records(store: Store, agent: AgentId) -> Iterator[Damage]:
    """Every damaged record of an agent."""
    rows = store.iter_rows(
        f"SELECT {', '.join(RECORD_CHAIN.columns)} FROM memory_records WHERE agent = ? ORDER BY id",
        (agent,),
    )
    head = store.first_row("SELECT records FROM memory_heads WHERE agent = ?", (agent,))
    count = head[0] if head and isinstance(head[0], int) else 0
    for number, why in examine_records(agent, rows, (), (count, 0)).damaged[:1000]:
        yield Damage(f"memory of {agent}", f"record {number} {why}")
