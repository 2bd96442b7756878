"""What was done to memories apart from remembering: quarantines, erasures, losses.

One chained log for each agent; where it ends is kept in the file's header.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ...core import AgentId, Json, MemoryFault, canonical
from ...store import Store, chain_digest
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
    """One line of the log: ``what`` is quarantined, released, forgotten or damaged."""

    step: int
    what: str
    data: Json


def write_audit_entry(store: Store, agent: AgentId, entry: AuditEntry) -> None:
    """Append a line to an agent's log, inside the caller's transaction if there is one. Raises
    MemoryFault, and writes nothing, for what is no line."""
    if wrong := step_fault(entry.step) or audit_entry_fault(entry):
        raise MemoryFault(f"{store.name}: memory of {agent}: its log: {wrong}")
    with store.transaction():
        ends = store.get(_HEADS_KEY, {})
        count, link = ends.get(agent, (0, ""))
        data = canonical(entry.data)
        link = chain_digest(link, audit_payload(agent, count + 1, entry.step, entry.what, data))
        store.execute(
            "INSERT INTO memory_log VALUES (?, ?, ?, ?, ?, ?)",
            (agent, count + 1, entry.step, entry.what, data, link),
        )
        store.put(_HEADS_KEY, {**ends, agent: [count + 1, link]})


def read_audit_log(store: Store, agent: AgentId) -> Iterator[AuditEntry]:
    """An agent's log in order, checked. Raises MemoryFault where a line is missing or
    changed."""
    link, count = "", 0
    if store.version("memory") < 2:
        return
    for n, step, what, data, kept in store.rows(
        "SELECT n, step, what, data, link FROM memory_log WHERE agent = ? ORDER BY n", (agent,)
    ):
        count += 1
        link = chain_digest(link, audit_payload(agent, n, step, str(what), str(data)))
        if n != count or link != kept:
            raise _fault(store, agent, f"line {count} of its log is missing or changed")
        try:
            entry = parse_audit_entry(step, what, data)
        except ValueError as error:
            raise _fault(store, agent, f"line {n} of its log cannot be read ({error})") from error
        yield entry
    if [count, link] != list(store.get(_HEADS_KEY, {}).get(agent, (0, ""))):
        raise _fault(store, agent, "the end of its log is missing")


def audit_entry_fault(entry: AuditEntry) -> str:
    """Why something is no line of a log; empty when it is one."""
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
    """Whose word is not recalled now."""
    held: set[AgentId] = set()
    for entry in read_audit_log(store, agent):
        if not entry.data.get("who"):
            continue  # of somebody forgotten since
        if entry.what == "quarantined":
            held.add(entry.data["who"])
        elif entry.what == "released":
            held.discard(entry.data["who"])
    return frozenset(held)


def agents_with_audit_log(store: Store) -> Mapping[AgentId, object]:
    """Who has a log."""
    ends: Mapping[AgentId, object] = store.get(_HEADS_KEY, {})
    return ends


def rewind_audit_log(store: Store, step: int) -> None:
    """Forget the lines later than the end of ``step``."""
    ends = dict(store.get(_HEADS_KEY, {}))
    if not ends:
        return
    store.execute("DELETE FROM memory_log WHERE step > ?", (step,))
    for agent in ends:
        row = store.first_row(
            "SELECT n, link FROM memory_log WHERE agent = ? ORDER BY n DESC LIMIT 1", (agent,)
        )
        ends[agent] = [int(row[0]), str(row[1])] if row else [0, ""]
    store.put(_HEADS_KEY, ends)


def erase_name(
    store: Store, agent: AgentId, is_name: Callable[[str], bool], named: Callable[[str], bool]
) -> None:
    """Take a person's name, which ``is_name`` knows, and what was noted about them out of an
    agent's log, and the reasons in which they are ``named``."""
    entries = list(read_audit_log(store, agent))

    def theirs(entry: AuditEntry) -> bool:
        return is_name(str(entry.data.get("who", "")))

    def why(entry: AuditEntry) -> bool:
        return named(str(entry.data.get("why", "")))

    if not any(theirs(entry) or why(entry) for entry in entries):
        return
    store.execute("DELETE FROM memory_log WHERE agent = ?", (agent,))
    ends = {name: end for name, end in store.get(_HEADS_KEY, {}).items() if name != agent}
    store.put(_HEADS_KEY, ends)
    for entry in entries:
        if theirs(entry):
            entry = AuditEntry(entry.step, entry.what, {"who": "", "why": ""})
        elif why(entry):
            entry = AuditEntry(entry.step, entry.what, {**entry.data, "why": ""})
        write_audit_entry(store, agent, entry)


def audit_payload(agent: AgentId, n: int, step: int, what: str, data: str) -> str:
    """What a line's link adds to the chain."""
    return canonical([agent, n, step, what, data])


def _fault(store: Store, agent: AgentId, what: str) -> MemoryFault:
    return MemoryFault(
        f"{store.name}: memory of {agent}: {what}; set it aside: denizens memory repair"
    )
