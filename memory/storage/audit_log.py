"""What was done to a memory besides remembering: quarantines, erasures, losses.

One chained log for each agent; the heads of all are one value in the file's header.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ...core import AgentId, Json, MemoryFault, canonical
from ...store import ChainedLog, Store
from .record_table import MEMORY_PART
from .validation import step_fault

AUDIT_TABLE = """
    CREATE TABLE memory_log (
        agent TEXT NOT NULL, n INTEGER NOT NULL, step INTEGER NOT NULL, what TEXT NOT NULL,
        data TEXT NOT NULL, link TEXT NOT NULL, PRIMARY KEY (agent, n)
    );
"""
_HEADS_KEY = "memory.log"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit log: ``what`` is quarantined, released, forgotten or damaged."""

    step: int
    what: str
    data: Json


class _AuditChain(ChainedLog):
    def fault(self, store: Store, agent: AgentId, what: str) -> MemoryFault:
        return MemoryFault(
            f"{store.name}: memory of {agent}: {what}; set it aside: denizens memory repair"
        )

    def agents(self, store: Store) -> tuple[AgentId, ...]:
        return tuple(store.get(_HEADS_KEY, {}))

    def head(self, store: Store, agent: AgentId) -> tuple[int, str]:
        count, link = store.get(_HEADS_KEY, {}).get(agent, (0, ""))
        return count, link

    def set_head(self, store: Store, agent: AgentId, count: int, link: str) -> None:
        store.put(_HEADS_KEY, {**store.get(_HEADS_KEY, {}), agent: [count, link]})


AUDIT_CHAIN = _AuditChain(
    "memory_log", ("what", "data"), heads=("", "", ""), row_name="line {} of the audit log"
)


def write_audit_entry(store: Store, agent: AgentId, entry: AuditEntry) -> None:
    """Append a line to an agent's audit log, inside the caller's transaction if there is one.
    Raises MemoryFault, and writes nothing, for an invalid entry."""
    if wrong := step_fault(entry.step) or audit_entry_fault(entry):
        raise MemoryFault(f"{store.name}: memory of {agent}: its audit log: {wrong}")
    AUDIT_CHAIN.append(store, agent, [_row(entry)])


def _row(entry: AuditEntry) -> tuple[int, str, str]:
    return entry.step, entry.what, canonical(entry.data)


def read_audit_log(store: Store, agent: AgentId) -> Iterator[AuditEntry]:
    """An agent's audit log in order, checked. Raises MemoryFault naming the first line that is
    missing or changed."""
    if store.version(MEMORY_PART) < 2:
        return
    for number, step, what, data in AUDIT_CHAIN.read(store, agent):
        try:
            entry = parse_audit_entry(step, what, data)
        except (ValueError, TypeError) as error:
            raise AUDIT_CHAIN.fault(
                store, agent, f"line {number} of the audit log cannot be read ({error})"
            ) from error
        yield entry


def audit_entry_fault(entry: AuditEntry) -> str:
    """Why a value is no line of a log; empty when it is one."""
    if entry.what not in _FIELDS:
        return f"unknown entry {entry.what!r}; known: {', '.join(_FIELDS)}"
    if not isinstance(entry.data, dict):
        return f"{entry.data!r:.60} is not what a line '{entry.what}' holds"
    for name, kind in _FIELDS[entry.what].items():
        value = entry.data.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            return f"'{name}' of a line '{entry.what}' cannot be {value!r:.60}"
    return ""


_FIELDS: dict[str, dict[str, type]] = {
    "quarantined": {"who": str, "why": str},
    "released": {"who": str, "why": str},
    "forgotten": {"records": int, "when": str},
    "damaged": {"records": list},
}


def parse_audit_entry(step: int, what: str, data: str) -> AuditEntry:
    """The line that a row of the log holds. Raises ValueError for one that holds none."""
    try:
        entry = AuditEntry(step, what, json.loads(data))
        wrong = audit_entry_fault(entry)
    except RecursionError as error:
        raise ValueError(str(error)) from error
    if wrong:
        raise ValueError(wrong)
    return entry


def read_quarantined(store: Store, agent: AgentId) -> frozenset[AgentId]:
    """The people and sources that are in quarantine now."""
    quarantined: set[AgentId] = set()
    for entry in read_audit_log(store, agent):
        if not entry.data.get("who"):
            continue  # the person was erased since
        if entry.what == "quarantined":
            quarantined.add(entry.data["who"])
        elif entry.what == "released":
            quarantined.discard(entry.data["who"])
    return frozenset(quarantined)


def erase_name(
    store: Store, agent: AgentId, is_name: Callable[[str], bool], is_named_in: Callable[[str], bool]
) -> None:
    """Remove a person from an agent's audit log: entries about them (``is_name`` recognizes
    their name), and reasons that name them (``is_named_in``)."""
    entries = list(read_audit_log(store, agent))
    erased = []
    for entry in entries:
        if is_name(str(entry.data.get("who", ""))):
            entry = AuditEntry(entry.step, entry.what, {"who": "", "why": ""})
        elif is_named_in(str(entry.data.get("why", ""))):
            entry = AuditEntry(entry.step, entry.what, {**entry.data, "why": ""})
        erased.append(entry)
    if erased != entries:
        AUDIT_CHAIN.replace(store, agent, map(_row, erased), after=0)
