"""Snapshots of a memory, to which it can be restored, and the rows that only snapshots need.

Every log of a memory is a chain of digests, so its last link stands for all of its rows: a snapshot
is the head of each log. When a memory is restored, the rows that leave its logs and that a snapshot
needs are moved to a table beside each log, and found there by their links when it is restored
again. All logs together are therefore a tree, of which the memory is one branch and each snapshot
another.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from ...core import (
    AgentId,
    Json,
    MemoryFault,
    Time,
    canonical,
    digest_text,
    replace_surrogates,
    time_error,
)
from ...store import ChainedLog, Damage, Store
from .audit_log import AUDIT_CHAIN
from .auxiliary_logs import AUXILIARY_LOGS
from .record_table import (
    ACCESS_CHAIN,
    RECORD_CHAIN,
    unlabelled_count,
    write_unlabelled_counts,
)
from .tool_call_log import ToolCallLog

SNAPSHOT_PART = "snapshots"
BEGUN_KEY = "agent.begun"
"""Key in the store's header, with the agent's name: whether its initial memories were added."""
_COUNT_KEY = "snapshots.count"
_GENERATION_KEY = "snapshots.generation"
_LINKED = "step INTEGER NOT NULL, {}, link TEXT NOT NULL, parent TEXT NOT NULL"
_AUXILIARY_COLUMNS = "body TEXT, digest TEXT NOT NULL"
_KEPT_COLUMNS = {
    "memory_records": ("id", "body TEXT NOT NULL, vector BLOB, digest TEXT NOT NULL"),
    "memory_touches": ("n", "at TEXT NOT NULL, records TEXT NOT NULL"),
    "memory_log": ("n", "what TEXT NOT NULL, data TEXT NOT NULL"),
    **{log.tables[0]: ("n", _AUXILIARY_COLUMNS) for log in AUXILIARY_LOGS},
}
KEPT_TABLES = {table: f"{table}_kept" for table in _KEPT_COLUMNS}
"""For the table of each log the one with the rows that only snapshots need; ``parent`` is the link
of the row before."""
SNAPSHOT_TABLE = "memory_snapshots"
SNAPSHOT_TABLES = frozenset({SNAPSHOT_TABLE, *KEPT_TABLES.values()})
_MIGRATIONS = (
    f"""
    CREATE TABLE {SNAPSHOT_TABLE} (
        agent TEXT NOT NULL, id INTEGER NOT NULL, body TEXT NOT NULL, digest TEXT NOT NULL,
        PRIMARY KEY (agent, id)
    );
    """
    + "".join(
        f"CREATE TABLE {table}_kept (agent TEXT NOT NULL, {number} INTEGER NOT NULL, "
        f"{_LINKED.format(columns)}, PRIMARY KEY (agent, link));\n"
        for table, (number, columns) in _KEPT_COLUMNS.items()
    ),
)
Heads: TypeAlias = dict[str, list[Any]]
"""For the table of each log: how many rows it has, and the last link."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state of a memory to which it can be restored. ``id`` is its number, which is never given
    again; ``records`` is how many records the memory has in it; ``state`` is what was saved with
    it."""

    agent: AgentId
    id: int
    label: str
    at: Time
    records: int
    state: Json = None


def snapshot_chains() -> tuple[ChainedLog, ...]:
    """The logs that a snapshot covers."""
    return (RECORD_CHAIN, ACCESS_CHAIN, AUDIT_CHAIN, *(log.chain for log in AUXILIARY_LOGS))


def register_snapshot_check(store: Store) -> bool:
    """Register the check of snapshots for ``store.verify``; returns whether there are tables."""
    have = store.version(SNAPSHOT_PART)
    store.migrate(SNAPSHOT_PART, 1 if have else 0, _MIGRATIONS, check_snapshots)
    return have > 0


def memory_generation(store: Store, agent: AgentId) -> int:
    """How often records of the agent were taken back: restored, corrected or forgotten."""
    return int(store.get(f"{_GENERATION_KEY}.{agent}", 0))


def next_generation(store: Store, agent: AgentId) -> None:
    """Count that records of the agent were taken back."""
    store.put(f"{_GENERATION_KEY}.{agent}", memory_generation(store, agent) + 1)


# -- taking, listing and deleting snapshots ------------------------------------------------


def take_snapshot(
    store: Store, agents: tuple[AgentId, ...], label: str, at: Time, state: Json
) -> Snapshot:
    """Write a snapshot of the memory of ``agents[0]``, with those of the others (its pictures)."""
    owner = agents[0]
    with store.transaction():
        store.migrate(SNAPSHOT_PART, 1, _MIGRATIONS, check_snapshots)
        number = int(store.get(f"{_COUNT_KEY}.{owner}", 0)) + 1
        store.put(f"{_COUNT_KEY}.{owner}", number)
        body = {
            "label": label,
            "at": at.isoformat(),
            "heads": {agent: _current_heads(store, agent) for agent in agents},
            "unlabelled": {agent: unlabelled_count(store, agent) for agent in agents},
            "begun": bool(store.get(f"{BEGUN_KEY}.{owner}")),
            "suspended": sorted(_suspended(store, owner).items()),
            "state": state,
        }
        _write(store, owner, number, body)
    return read_snapshot(store, owner, number)


def read_snapshots(store: Store, agent: AgentId) -> tuple[Snapshot, ...]:
    """The snapshots of an agent's memory, oldest first. Raises MemoryFault for a damaged one."""
    return tuple(_snapshot(agent, number, body) for number, body in _bodies(store, agent))


def read_snapshot(store: Store, agent: AgentId, number: int) -> Snapshot:
    """A snapshot by its number. Raises MemoryFault if there is none, or it is damaged."""
    return _snapshot(agent, number, _body(store, agent, number))


def delete_snapshot(store: Store, agent: AgentId, number: int) -> None:
    """Delete a snapshot, damaged or not, and the rows that it alone needed. Raises MemoryFault if
    there is none."""
    _check_known(store, agent, number)
    with store.transaction():
        store.execute(f"DELETE FROM {SNAPSHOT_TABLE} WHERE agent = ? AND id = ?", (agent, number))
        _prune_all(store)


def snapshot_agents(store: Store) -> tuple[AgentId, ...]:
    """The agents whose memories have snapshots, in order of name."""
    if not register_snapshot_check(store):
        return ()
    rows = store.rows(f"SELECT DISTINCT agent FROM {SNAPSHOT_TABLE} ORDER BY agent")
    return tuple(str(row[0]) for row in rows)


def _snapshot(agent: AgentId, number: int, body: dict[str, Any]) -> Snapshot:
    at = datetime.fromisoformat(body["at"])
    records = body["heads"][agent][RECORD_CHAIN.table][0]
    return Snapshot(agent, number, body["label"], at, records, body["state"])


def _check_known(store: Store, agent: AgentId, number: int) -> None:
    known: list[int] = []
    if register_snapshot_check(store):
        sql = f"SELECT id FROM {SNAPSHOT_TABLE} WHERE agent = ? ORDER BY id"
        known = [one for (one,) in store.rows(sql, (agent,))]
    if number not in known:
        listed = ", ".join(map(str, known)) or "none"
        raise _fault(store, agent, number, f"there is none; known: {listed}")


def _bodies(store: Store, agent: AgentId) -> list[tuple[int, dict[str, Any]]]:
    if not register_snapshot_check(store):
        return []
    sql = f"SELECT id, body, digest FROM {SNAPSHOT_TABLE} WHERE agent = ? ORDER BY id"
    return [
        (n, _parsed(store, agent, n, text, mark)) for n, text, mark in store.rows(sql, (agent,))
    ]


def _body(store: Store, agent: AgentId, number: int) -> dict[str, Any]:
    _check_known(store, agent, number)
    sql = f"SELECT body, digest FROM {SNAPSHOT_TABLE} WHERE agent = ? AND id = ?"
    text, digest = store.first_row(sql, (agent, number)) or (None, None)
    return _parsed(store, agent, number, text, digest)


def _parsed(
    store: Store, agent: AgentId, number: int, text: object, digest: object
) -> dict[str, Any]:
    if not isinstance(text, str) or _digest(agent, number, text) != digest:
        raise _fault(store, agent, number, "does not fit its checksum")
    try:
        body: dict[str, Any] = json.loads(text)
        wrong = time_error(datetime.fromisoformat(body["at"]))
        if agent not in body["heads"] or not isinstance(body["label"], str):
            wrong = "it has no heads"
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        wrong = repr(error)
    if wrong:
        raise _fault(store, agent, number, f"cannot be read ({wrong:.100})")
    return body


def _write(store: Store, agent: AgentId, number: int, body: dict[str, Any]) -> None:
    text = replace_surrogates(canonical(body))
    store.execute(
        f"INSERT OR REPLACE INTO {SNAPSHOT_TABLE} VALUES (?, ?, ?, ?)",
        (agent, number, text, _digest(agent, number, text)),
    )


def _digest(agent: AgentId, number: int, text: str) -> str:
    return digest_text(canonical([agent, number, text]))


def _fault(store: Store, agent: AgentId, number: object, what: str) -> MemoryFault:
    return MemoryFault(
        f"{store.name}: snapshot {number} of {agent}: {what}; the memory was left as it is"
    )


def _suspended(store: Store, agent: AgentId) -> dict[str, str]:
    """The agent's replies that wait for an approval, by scope, each with its digest."""
    replies = ToolCallLog(store).suspended_replies()
    return {scope: digest_text(canonical(body)) for scope, who, body in replies if who == agent}


# -- restoring ---------------------------------------------------------------------------


def restore_snapshot(store: Store, agent: AgentId, number: int) -> Snapshot:
    """Make the memory what it was in a snapshot, all or nothing. Rows that no snapshot needs are
    deleted; replies that wait for an approval and are not in the snapshot, too. Raises MemoryFault,
    and changes nothing, if there is none or rows of it are damaged."""
    with store.transaction():
        body = _body(store, agent, number)
        _move_to(store, agent, number, body["heads"])
        write_unlabelled_counts(store, body["unlabelled"])
        if bool(store.get(f"{BEGUN_KEY}.{agent}")) != body["begun"]:
            store.put(f"{BEGUN_KEY}.{agent}", body["begun"])
        _drop_suspended(store, agent, dict(map(tuple, body["suspended"])))
        _prune(store, tuple(body["heads"]))
        for name in body["heads"]:
            next_generation(store, name)
        store.cache.clear()
    return _snapshot(agent, number, body)


def _drop_suspended(store: Store, agent: AgentId, kept: dict[str, str]) -> None:
    """Delete the agent's waiting replies other than ``kept``, and their requests."""
    log = ToolCallLog(store)
    for scope, digest in _suspended(store, agent).items():
        if kept.get(scope) == digest:
            continue
        log.delete_suspended(scope)
        for key, where, entry in log.keyed_entries():
            theirs = where.agent == agent and key.startswith(f"{agent}/{scope}/")
            if theirs and entry.state == "waits":
                log.delete_entry(key)


def _current_heads(store: Store, agent: AgentId) -> Heads:
    return {chain.table: list(_head(store, agent, chain)) for chain in snapshot_chains()}


def _head(store: Store, agent: AgentId, chain: ChainedLog) -> tuple[int, str]:
    return chain.head(store, agent) if store.has_table(chain.table) else (0, "")


def _move_to(store: Store, owner: AgentId, number: object, heads: dict[AgentId, Heads]) -> None:
    """Give the logs of each agent these heads; the rows that leave them go to the kept tables."""
    for agent, ends in heads.items():
        for chain in snapshot_chains():
            count, link = ends.get(chain.table, (0, ""))
            if not store.has_table(chain.table):
                if count:
                    raise _fault(store, owner, number, f"the table {chain.table} is missing")
                continue
            if (count, link) == chain.head(store, agent):
                continue
            joint, rows = _Branch(store, owner, number, agent, chain).path(count, link)
            _keep_rows(store, agent, chain, after=joint)
            store.execute(
                f"DELETE FROM {chain.table} WHERE agent = ? AND {chain.number} > ?",
                (agent, joint),
            )
            _insert(store, agent, chain, rows)
            chain.set_head(store, agent, count, link)
    store.cache.clear()


def _insert(
    store: Store, agent: AgentId, chain: ChainedLog, rows: Sequence[tuple[Any, ...]]
) -> None:
    marks = ", ".join("?" * (len(chain.columns) + 1))
    store.executemany(
        f"INSERT INTO {chain.table} VALUES ({marks})", [(agent, *row) for row in rows]
    )


@dataclass(frozen=True, slots=True)
class _Branch:
    """One log of an agent in a snapshot of ``owner``."""

    store: Store
    owner: AgentId
    number: object
    agent: AgentId
    chain: ChainedLog

    def path(self, count: int, link: str, table: str = "") -> tuple[int, list[tuple[Any, ...]]]:
        """The number of the last row that the log shares with the branch of ``count`` rows that
        ends at ``link``, and the rows of the branch after it, in order, checked. They are read
        from ``table`` (default: the kept table)."""
        chain, rows = self.chain, list[tuple[Any, ...]]()
        table = table or f"{chain.table}_kept"
        sql = f"SELECT {', '.join(chain.columns)}, parent FROM {table} WHERE agent = ? AND link = ?"
        while count and chain.link_of(self.store, self.agent, count) != link:
            row = self.store.first_row(sql, (self.agent, link))
            if row is None or row[0] != count:
                raise self._fault(count, "is missing")
            *values, parent = row
            if wrong := chain.row_damage(str(parent), self.agent, tuple(values)):
                raise self._fault(count, wrong)
            rows.append(tuple(values))
            link, count = str(parent), count - 1
        if not count and link:
            raise self._fault(1, "is not the first")
        return count, rows[::-1]

    def _fault(self, row: int, what: str) -> MemoryFault:
        what = f"row {row} of {self.chain.table} {what}"
        return _fault(self.store, self.owner, self.number, what)


def _keep_rows(store: Store, agent: AgentId, chain: ChainedLog, *, after: int = 0) -> None:
    """Copy rows of a log to its kept table; of a line that is there, only that it is emptied."""
    columns = ", ".join(f"t.{name}" for name in ("agent", *chain.columns))
    before = (
        f"SELECT p.link FROM {chain.table} p "
        f"WHERE p.agent = t.agent AND p.{chain.number} = t.{chain.number} - 1"
    )
    emptied = "body" in chain.columns and "vector" not in chain.columns
    update = "UPDATE SET body = NULL WHERE excluded.body IS NULL" if emptied else "NOTHING"
    store.execute(
        f"INSERT INTO {chain.table}_kept SELECT {columns}, coalesce(({before}), '') "
        f"FROM {chain.table} t WHERE t.agent = ? AND t.{chain.number} > ? "
        f"ON CONFLICT (agent, link) DO {update}",
        (agent, after),
    )


def _prune(store: Store, agents: tuple[AgentId, ...]) -> None:
    """Delete the kept rows that no snapshot needs."""
    bodies = list(_intact_bodies(store))
    for agent in agents:
        for chain in snapshot_chains():
            kept = {
                str(link): (int(number), str(parent))
                for number, link, parent in store.iter_rows(
                    f"SELECT {chain.number}, link, parent FROM {chain.table}_kept WHERE agent = ?",
                    (agent,),
                )
            }
            is_live = store.has_table(chain.table)
            needed: set[str] = set()
            for body in bodies:
                ends = body["heads"].get(agent, {})
                _, link = ends.get(chain.table, (0, ""))
                while link in kept and link not in needed:
                    row_number, parent = kept[link]
                    if is_live and chain.link_of(store, agent, row_number) == link:
                        break
                    needed.add(link)
                    link = parent
            store.executemany(
                f"DELETE FROM {chain.table}_kept WHERE agent = ? AND link = ?",
                [(agent, link) for link in kept.keys() - needed],
            )


def _intact_bodies(store: Store) -> Iterator[dict[str, Any]]:
    for agent, number, text, digest in store.rows(f"SELECT * FROM {SNAPSHOT_TABLE}"):
        try:
            yield _parsed(store, agent, number, text, digest)
        except MemoryFault:
            continue


# -- erasing, and damage -----------------------------------------------------------------


def rewrite_states(
    store: Store,
    owners: Collection[AgentId],
    rewrite: Callable[[tuple[AgentId, ...]], None],
    clean: Callable[[str, Json], tuple[str, Json]],
) -> None:
    """Call ``rewrite`` for the present memories (with an empty tuple), and then in the state of
    each snapshot of ``owners`` (with the agents that it covers); what it makes of a state is the
    snapshot from then on. ``clean`` gives the label and the saved state as they may stay.

    Works inside the caller's transaction. ``rewrite`` may empty lines in place and write other
    lines in their stead, so each state is rewritten from the rows as they were: these are held in
    temporary tables meanwhile. A line that is emptied in one state is empty in all."""
    snapshots = [(owner, *entry) for owner in owners for entry in _bodies(store, owner)]
    if not snapshots:
        rewrite(())
        return
    agents = tuple(dict.fromkeys(name for _, _, body in snapshots for name in body["heads"]))
    _hold_rows(store, agents)
    rewrite(())
    present = {agent: _current_heads(store, agent) for agent in agents}
    _keep_all(store, agents)
    for owner, number, body in snapshots:
        _load_held(store, owner, number, body["heads"])
        rewrite(tuple(body["heads"]))
        store.cache.clear()
        label, state = clean(body["label"], body["state"])
        heads = {agent: _current_heads(store, agent) for agent in body["heads"]}
        _write(store, owner, number, {**body, "label": label, "state": state, "heads": heads})
        _keep_all(store, tuple(body["heads"]))
    _move_to(store, agents[0], "of the present", present)
    for log in AUXILIARY_LOGS:
        if store.has_table(log.tables[0]):
            store.execute(
                f"UPDATE {log.tables[0]} AS t SET body = NULL WHERE EXISTS (SELECT 1 FROM "
                f"{log.tables[0]}_kept k WHERE k.agent = t.agent AND k.link = t.link "
                "AND k.body IS NULL)"
            )
    for chain in snapshot_chains():
        store.execute(f"DROP TABLE temp.{chain.table}_held")
    _prune(store, agents)
    store.cache.clear()


def _hold_rows(store: Store, agents: tuple[AgentId, ...]) -> None:
    """Copy all rows of the agents to temporary tables, and empty their kept tables."""
    _keep_all(store, agents)
    marks = ", ".join("?" * len(agents))
    for chain in snapshot_chains():
        store.execute(
            f"CREATE TEMP TABLE {chain.table}_held AS SELECT * FROM {chain.table}_kept "
            f"WHERE agent IN ({marks})",
            agents,
        )
        store.execute(f"CREATE INDEX temp.{chain.table}_links ON {chain.table}_held (agent, link)")
        store.execute(f"DELETE FROM {chain.table}_kept WHERE agent IN ({marks})", agents)


def _load_held(store: Store, owner: AgentId, number: int, heads: dict[AgentId, Heads]) -> None:
    """Give the logs of each agent the rows of a snapshot as they were held."""
    for agent, ends in heads.items():
        for chain in snapshot_chains():
            if not store.has_table(chain.table):
                continue
            count, link = ends.get(chain.table, (0, ""))
            store.execute(f"DELETE FROM {chain.table} WHERE agent = ?", (agent,))
            branch = _Branch(store, owner, number, agent, chain)
            _, rows = branch.path(count, link, table=f"temp.{chain.table}_held")
            _insert(store, agent, chain, rows)
            chain.set_head(store, agent, count, link)
    store.cache.clear()


def _prune_all(store: Store) -> None:
    """Delete all kept rows that no snapshot needs."""
    if register_snapshot_check(store):
        tables = KEPT_TABLES.values()
        rows = [row for t in tables for row in store.rows(f"SELECT DISTINCT agent FROM {t}")]
        _prune(store, tuple(sorted({str(agent) for (agent,) in rows})))


def _keep_all(store: Store, agents: tuple[AgentId, ...]) -> None:
    """Copy all rows of the agents' logs to the kept tables."""
    for agent in agents:
        for chain in snapshot_chains():
            if store.has_table(chain.table):
                _keep_rows(store, agent, chain)


def drop_damaged_snapshots(store: Store) -> list[str]:
    """Delete the snapshots whose rows are not all there; returns a line for each."""
    lost = []
    for agent, number, what in list(_damaged_snapshots(store)):
        store.execute(f"DELETE FROM {SNAPSHOT_TABLE} WHERE agent IS ? AND id IS ?", (agent, number))
        lost.append(f"snapshot {number} of {agent}: {what}")
    if store.write:
        _prune_all(store)
    return lost


def check_snapshots(store: Store) -> Iterator[Damage]:
    """Damage to snapshots, for ``Store.verify``."""
    for agent, number, what in _damaged_snapshots(store):
        yield Damage(f"snapshot {number} of {agent}", what)


def _damaged_snapshots(store: Store) -> Iterator[tuple[object, object, str]]:
    if not store.version(SNAPSHOT_PART):
        return
    for agent, number, text, digest in store.rows(f"SELECT * FROM {SNAPSHOT_TABLE}"):
        try:
            body = _parsed(store, agent, number, text, digest)
            for name, ends in body["heads"].items():
                for chain in snapshot_chains():
                    count, link = ends.get(chain.table, (0, ""))
                    if count and not store.has_table(chain.table):
                        raise _fault(store, agent, number, f"{chain.table} is missing")
                    if count:
                        _Branch(store, agent, number, name, chain).path(count, link)
        except MemoryFault as error:
            yield agent, number, str(error).partition(f" of {agent}: ")[2].rpartition("; ")[0]
