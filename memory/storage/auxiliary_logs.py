"""The chained logs of facts, documents, summaries, notes, sessions and corrections, the schemas
of their lines, and the records that recall leaves out by them: summarized and withdrawn ones, and
older versions of documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...core import AgentId, Json, MemoryFault, RecordId, canonical, digest_text, time_error
from ...store import ChainedLog, Damage, Store
from .record_table import MEMORY_PART
from .validation import MAX_INTEGER, step_fault

FieldCheck: TypeAlias = Callable[[Json], bool]


def _text(value: Json) -> bool:
    return isinstance(value, str)


def _nonempty_text(value: Json) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _number(value: Json) -> bool:
    return type(value) is int and 1 <= value <= MAX_INTEGER


def _numbers(value: Json) -> bool:
    return isinstance(value, list) and all(map(_number, value))


def _names(value: Json) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _moment(value: Json) -> bool:
    try:
        return isinstance(value, str) and not time_error(datetime.fromisoformat(value))
    except ValueError:
        return False


def _numbered_places(value: Json) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, list) and len(each) == 2 and _number(each[0]) and _text(each[1])
        for each in value
    )


def _session_data(value: Json) -> bool:
    return isinstance(value, dict) and _numbers(value.get("records", []))


_STATEMENT: dict[str, FieldCheck] = {
    "subject": _nonempty_text,
    "relation": _nonempty_text,
    "object": _text,
    "since": _moment,
    "learned": _moment,
    "until": lambda value: value is None or _moment(value),
    "sources": _numbers,
    "confidence": lambda value: type(value) in (int, float) and 0 < value <= 1,
    "who": _text,
    "audience": _names,
    "denies": lambda value: isinstance(value, bool),
}
_REASON: dict[str, FieldCheck] = {"at": _moment, "why": _text}
_NOTE: dict[str, FieldCheck] = {"at": _moment, "person": _text, "key": _text}
LINE_SCHEMAS: dict[str, tuple[dict[str, FieldCheck], ...]] = {
    "claims": (_STATEMENT, {"undo": _numbers, **_REASON}, {"restore": _numbers, **_REASON}),
    "documents": ({"document": _text, "records": _numbered_places},),
    "folds": (
        {"summary": _number, "records": _numbers, **_REASON},
        {"unfold": _number, "at": _moment},
    ),
    "notes": ({"note": _text, "text": _text, **_NOTE}, {"removed": _text, **_NOTE}),
    "sessions": (
        {
            "session": _text,
            "person": _nonempty_text,
            "event": _nonempty_text,
            "at": _moment,
            "data": _session_data,
        },
    ),
    "corrections": (
        {
            "withdrawn": _number,
            "with": _numbers,
            "new": lambda value: value is None or _number(value),
            "by": _text,
            **_REASON,
        },
        {"returned": _number, "by": _text, **_REASON},
    ),
}
"""The fields of each kind of line, by part of the store; the first field identifies the kind."""


OPTIONAL_FIELDS: dict[str, dict[str, FieldCheck]] = {
    "claims": {"words_of": _names},
    "documents": {"giver": _text, "name": _text, "path": _text, "digest": _text},
    "notes": {"sources": _names, "audience": _names},
}
"""Fields that older lines do not have."""


def line_fault(part: str, body: Json) -> str:
    """Why a body is no line of a part; empty if it is (None: an erased line), and for unknown
    parts."""
    if body is None or part not in LINE_SCHEMAS:
        return ""
    if not isinstance(body, dict):
        return f"{body!r:.60} is no line of {part}"
    for shape in LINE_SCHEMAS[part]:
        if next(iter(shape)) in body:
            return _fields_fault(part, shape, body)
    kinds = " or ".join(f"'{next(iter(shape))}'" for shape in LINE_SCHEMAS[part])
    return f"a line of {part} needs {kinds}"


def _fields_fault(part: str, shape: dict[str, FieldCheck], body: dict[str, Json]) -> str:
    for name, fits in shape.items():
        if name not in body:
            return f"a line of {part} with '{next(iter(shape))}' needs '{name}'"
        if not fits(body[name]):
            return f"'{name}' of a line of {part} cannot be {body[name]!r:.60}"
    for name, fits in OPTIONAL_FIELDS.get(part, {}).items():
        if name in body and not fits(body[name]):
            return f"'{name}' of a line of {part} cannot be {body[name]!r:.60}"
    if part == "claims" and "subject" in shape:
        return _statement_fault(body)
    return ""


def _statement_fault(body: dict[str, Json]) -> str:
    if not body["object"].strip() and not body["denies"]:
        return "a statement needs an object, unless it denies all of them"
    since, until = (body[name] and datetime.fromisoformat(body[name]) for name in _VALIDITY)
    return f"valid until {until}, but since {since}" if until and until <= since else ""


_VALIDITY = ("since", "until")


def record_numbers(part: str, body: Json) -> Iterable[RecordId]:
    """The record numbers in a line."""
    if not body:
        return ()
    if part == "claims":
        return tuple(body.get("sources", ()))
    if part == "documents":
        return tuple(number for number, _ in body["records"])
    if part == "folds":
        return (body.get("summary", body.get("unfold")), *body.get("records", ()))
    if part == "sessions":
        return tuple(body["data"].get("records", ()))
    if part == "corrections" and "returned" in body:
        return (body["returned"],)
    if part == "corrections":
        new = () if body["new"] is None else (body["new"],)
        return (body["withdrawn"], *body["with"], *new)
    return ()


VERSION = 1


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of an auxiliary log: number, step, content (None: erased)."""

    n: int
    step: int
    body: dict[str, Any] | None


class _PartChain(ChainedLog):
    def __init__(self, part: str) -> None:
        self._part = part
        super().__init__(
            f"{part}_lines",
            ("body",),
            heads=(f"{part}_heads", "lines", "link"),
            row_name="line {}",
            digest=_body_digest,
        )

    def fault(self, store: Store, agent: AgentId, what: str) -> MemoryFault:
        return MemoryFault(
            f"{store.name}: {self._part} of {agent}: {what}; restore the file from a backup "
            "or a fork"
        )


def _body_digest(body: object) -> str | None:
    """The digest of a line; None for an erased one, empty for a value that is no line."""
    if body is None:
        return None
    return digest_text(body) if isinstance(body, str) else ""


class AuxiliaryLog:
    """The chained log of JSON lines that one part of memory (facts, documents, summaries, notes,
    sessions, corrections) keeps in a store, agent by agent.

    Lines are checked against the part's schema before they are written and after they are read.
    They are only ever appended; erasing empties a line and leaves its digest in place. The tables
    are created with the first line.

    >>> log = AuxiliaryLog("documents")
    >>> with Store(":memory:") as store:
    ...     log.append(store, "Bo", {"document": "rye.txt", "records": []}, step=3)
    ...     [entry.body for entry in log.read(store, "Bo")]
    1
    [{'document': 'rye.txt', 'records': []}]
    """

    def __init__(self, part: str) -> None:
        self.part = part
        self.chain = _PartChain(part)
        lines, heads = self.tables = (f"{part}_lines", f"{part}_heads")
        self._migrations = (
            f"""
            CREATE TABLE {lines} (
                agent TEXT NOT NULL, n INTEGER NOT NULL, step INTEGER NOT NULL, body TEXT,
                digest TEXT NOT NULL, link TEXT NOT NULL, PRIMARY KEY (agent, n)
            );
            CREATE TABLE {heads} (
                agent TEXT PRIMARY KEY, lines INTEGER NOT NULL, link TEXT NOT NULL
            );
            """,
        )

    def register_check(self, store: Store) -> bool:
        """Register the check of this part for ``store.verify``; returns whether the file has its
        tables."""
        have = store.version(self.part)
        store.migrate(self.part, VERSION if have else 0, self._migrations, self.check)
        return have > 0

    def create_tables(self, store: Store) -> None:
        """Create the tables if they are missing."""
        store.migrate(self.part, VERSION, self._migrations, self.check)

    def append(self, store: Store, agent: AgentId, body: Json, *, step: int) -> int:
        """Write one line inside the caller's transaction (its own without one); returns its
        number. Raises MemoryFault, and writes nothing, for an invalid line."""
        wrong = step_fault(step) or line_fault(self.part, body)
        if wrong := wrong or self._numbers_fault(body, _record_count(store, agent)):
            raise MemoryFault(f"{store.name}: {self.part} of {agent}: {wrong}")
        with store.transaction():
            self.create_tables(store)
            return self.chain.append(store, agent, [(step, canonical(body))])

    def _numbers_fault(self, body: Json, count: int | None) -> str:
        """Why a line cannot belong to a memory of ``count`` records; empty if it can."""
        unknown = [n for n in record_numbers(self.part, body) if count is not None and n > count]
        return f"names records {unknown[:9]} and the memory has {count}" if unknown else ""

    def read(self, store: Store, agent: AgentId, *, after: int = 0) -> Iterator[LogEntry]:
        """An agent's lines in order, checked; ``after`` skips lines that were read before. Raises
        MemoryFault naming the first line that does not fit."""
        if self.register_check(store):
            for number, step, text in self.chain.read(store, agent, after=after):
                yield LogEntry(number, step, self._body(store, agent, number, text))

    def entries(self, store: Store, agent: AgentId) -> list[LogEntry]:
        """An agent's lines, read once and then kept up to date in ``store.cache``; the same list
        until a rollback or another process's commit empties the cache."""
        store.refresh()
        entries: list[LogEntry] = store.cache.setdefault(("auxiliary log", self.part, agent), [])
        if self.size(store, agent) > len(entries):
            entries.extend(self.read(store, agent, after=len(entries)))
        return entries

    def as_of(
        self, store: Store, agent: AgentId, step: int | None
    ) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """Number, step and content of an agent's lines at the end of ``step`` (None: now), without
        erased ones."""
        for entry in self.entries(store, agent):
            if entry.body and (step is None or entry.step <= step):
                yield entry.n, entry.step, entry.body

    def _body(self, store: Store, agent: AgentId, n: int, text: str | None) -> Json:
        """The content of a line whose digest fits. Raises MemoryFault for an invalid one, which a
        program that did not check what it wrote may have left."""
        if text is None:
            return None
        try:
            body = json.loads(text)
            wrong = line_fault(self.part, body)
        except (ValueError, RecursionError) as error:
            wrong = str(error)
        if wrong:
            raise self.chain.fault(store, agent, f"line {n} cannot be read ({wrong})")
        return body

    def restore(self, store: Store, agent: AgentId, lines: Sequence[tuple[object, ...]]) -> int:
        """Write an agent's raw lines (n, step, body, digest) into a store without lines of the
        agent. Missing lines, and those that do not fit their digests, are written as erased ones,
        so that all keep their numbers. Returns how many were lost."""
        intact: dict[int, tuple[int, Json | None]] = {}
        lost, count = 0, _record_count(store, agent)
        for n, step, text, digest in lines:
            # A damaged number must not count as millions of losses.
            if not isinstance(n, int) or not 1 <= n <= 2 * len(lines) + 1000:
                continue
            if not isinstance(step, int):
                continue
            if text is None:
                intact[n] = (step, None)
            elif isinstance(text, str) and digest_text(text) == digest:
                try:
                    body = self._body(store, agent, n, text)
                except MemoryFault:
                    continue
                if not self._numbers_fault(body, count):
                    intact[n] = (step, body)
        last_step = 0
        for n in range(1, max(intact, default=0) + 1):
            lost += n not in intact
            step, body = intact.get(n, (last_step, None))
            last_step = max(last_step, step)
            self.append(store, agent, body, step=last_step)
        return lost

    def size(self, store: Store, agent: AgentId) -> int:
        """How many lines the agent has."""
        return self.chain.head(store, agent)[0] if self.register_check(store) else 0

    def sizes(self, store: Store) -> dict[AgentId, int]:
        """How many lines each agent has, without agents that have none."""
        if not self.register_check(store):
            return {}
        return dict(store.rows(f"SELECT agent, lines FROM {self.tables[1]}"))

    def erase(self, store: Store, agent: AgentId, lines: Collection[int]) -> None:
        """Empty the bodies of these lines for good; the chain stays whole."""
        if not lines or not self.register_check(store):
            return
        store.executemany(
            f"UPDATE {self.tables[0]} SET body = NULL WHERE agent = ? AND n = ?",
            [(agent, n) for n in sorted(lines)],
        )
        store.cache.clear()

    def truncate(self, store: Store, step: int) -> None:
        """Delete, for all agents, the lines later than ``step``."""
        if self.register_check(store):
            self.chain.truncate(store, step)
            store.cache.clear()

    def agents(self, store: Store) -> tuple[AgentId, ...]:
        """The agents that have lines in the store, in order of name."""
        return self.chain.agents(store) if self.register_check(store) else ()

    def check(self, store: Store) -> Iterator[Damage]:
        """Damage to any agent's lines; the first of each agent."""
        if not store.version(self.part):
            return
        known = self.agents(store)
        for agent in self.chain.orphans(store, known):
            yield Damage(f"{self.part} of {agent}", "belongs to an unknown agent")
        for agent in known:
            count = _record_count(store, agent)
            try:
                for entry in self.read(store, agent):
                    if wrong := self._numbers_fault(entry.body, count):
                        yield Damage(f"{self.part} of {agent}", f"line {entry.n} {wrong}")
                        break
            except MemoryFault as error:
                yield Damage(f"{self.part} of {agent}", str(error))


def _record_count(store: Store, agent: AgentId) -> int | None:
    """How many records the agent has; None in a file that holds no memories."""
    if not store.version(MEMORY_PART):
        return None
    row = store.first_row("SELECT records FROM memory_heads WHERE agent = ?", (agent,))
    return int(row[0]) if row else 0


FACT_LOG, DOCUMENT_LOG, SUMMARY_LOG, NOTE_LOG = map(
    AuxiliaryLog, ("claims", "documents", "folds", "notes")
)
SESSION_LOG = AuxiliaryLog("sessions")
"""What happened in the chats with each person. ``data`` of a line is free; its "records" are the
numbers of the records that the line rests on."""
CORRECTION_LOG = AuxiliaryLog("corrections")
"""Records that were corrected or forgotten with their history kept: "withdrawn", the records
"with" it that rested on it, and the "new" one in its place (None: forgotten); and those that were
"returned"."""
AUXILIARY_LOGS = (FACT_LOG, DOCUMENT_LOG, SUMMARY_LOG, NOTE_LOG, SESSION_LOG, CORRECTION_LOG)


# -- records that recall leaves out -----------------------------------------------------


def hidden_ids(
    store: Store,
    agent: AgentId,
    *,
    step: int | None = None,
    tainted: Callable[[RecordId], bool] | None = None,
) -> list[RecordId]:
    """The numbers of the records that are not recalled as of the end of ``step`` (None: now), in
    order. Each can return: by expanding its summary, or with a document's older version; a
    withdrawn one by restoring a snapshot only.

    A summary of a ``tainted`` record is itself hidden, instead of what it summarizes."""
    summarized = _summarized(store, agent, step, tainted)
    withdrawn = withdrawn_ids(store, agent, step=step)
    return sorted(summarized | withdrawn | _superseded(store, agent, step))


def withdrawn_ids(store: Store, agent: AgentId, *, step: int | None = None) -> set[RecordId]:
    """The records that were corrected or forgotten by the end of ``step`` (None: now) with their
    history kept, and what rested on them."""
    withdrawals = withdrawals_in_force(store, agent, step=step)
    return {number for body in withdrawals for number in (body["withdrawn"], *body["with"])}


def withdrawals_in_force(
    store: Store, agent: AgentId, *, step: int | None = None
) -> list[dict[str, Any]]:
    """The lines of withdrawals that were not taken back by the end of ``step`` (None: now). A
    "returned" record takes back what was withdrawn for the same reason without a new record."""
    withdrawals: list[dict[str, Any]] = []
    returned: set[tuple[RecordId, None, str]] = set()
    for _, _, body in reversed(list(CORRECTION_LOG.as_of(store, agent, step))):
        if "returned" in body:
            returned.add((body["returned"], None, body["why"]))
        elif (body["withdrawn"], body["new"], body["why"]) not in returned:
            withdrawals.append(body)
    return withdrawals[::-1]


_HIDING_LOGS = (SUMMARY_LOG, DOCUMENT_LOG, CORRECTION_LOG)


def write_log_line(store: Store, agent: AgentId, log: str, line: Json, *, step: int) -> None:
    """Write a line into the log of summaries or of documents. Raises MemoryFault for an unknown
    log or an invalid line."""
    logs = {log.part: log for log in (SUMMARY_LOG, DOCUMENT_LOG)}
    if log not in logs:
        raise MemoryFault(f"{store.name}: no log '{log}'; known: {', '.join(logs)}")
    logs[log].append(store, agent, line, step=step)


def hiding_log_sizes(store: Store) -> dict[AgentId, tuple[int, ...]]:
    """The number of lines in each log that hides records, for agents that have any."""
    sizes = [log.sizes(store) for log in _HIDING_LOGS]
    return {agent: tuple(each.get(agent, 0) for each in sizes) for agent in set().union(*sizes)}


def summaries_in_force(
    store: Store, agent: AgentId, *, step: int | None = None
) -> dict[RecordId, list[int]]:
    """The summaries in force at the end of ``step`` (None: now), each with the records that it
    summarizes."""
    summaries: dict[RecordId, list[int]] = {}
    for _, _, body in SUMMARY_LOG.as_of(store, agent, step):
        if "unfold" in body:
            summaries.pop(body["unfold"], None)
        else:
            summaries[body["summary"]] = body["records"]
    return summaries


def document_contents(
    store: Store, agent: AgentId, *, step: int | None = None
) -> dict[str, list[tuple[RecordId, str]]]:
    """The documents as they were last imported: each one's records, with their places in it."""
    return {
        body["document"]: [(number, place) for number, place in body["records"]]
        for _, _, body in DOCUMENT_LOG.as_of(store, agent, step)
    }


def _summarized(
    store: Store, agent: AgentId, step: int | None, tainted: Callable[[RecordId], bool] | None
) -> set[RecordId]:
    summaries = summaries_in_force(store, agent, step=step)
    apart = set(tainted_summaries(summaries, tainted)) if tainted else set()
    hidden = {n for summary, records in summaries.items() if summary not in apart for n in records}
    hidden |= apart
    lines = SUMMARY_LOG.as_of(store, agent, step)
    # The records of an expanded summary are recalled themselves.
    return hidden | {body["unfold"] for _, _, body in lines if "unfold" in body}


def _superseded(store: Store, agent: AgentId, step: int | None) -> set[RecordId]:
    """The records of documents that are not in their last version."""
    lines = DOCUMENT_LOG.as_of(store, agent, step)
    ever = {number for _, _, body in lines for number, _ in body["records"]}
    contents = document_contents(store, agent, step=step)
    return ever - {number for records in contents.values() for number, _ in records}


def tainted_summaries(
    summaries: Mapping[RecordId, Sequence[RecordId]], tainted: Callable[[RecordId], bool]
) -> list[RecordId]:
    """The summaries of a tainted record, directly or through other summaries."""
    found: list[RecordId] = []
    for summary in sorted(summaries):  # The records it summarizes are older.
        if any(number in found or tainted(number) for number in summaries[summary]):
            found.append(summary)
    return found


def hidden_id_array(
    store: Store,
    agent: AgentId,
    step: int | None,
    quarantined: frozenset[AgentId] = frozenset(),
    tainted: Callable[[RecordId], bool] | None = None,
) -> NDArray[np.int64]:
    """``hidden_ids`` as an array, the same object until a log grows or other sources are
    ``quarantined``; records of these are ``tainted``."""
    sizes = tuple(len(log.entries(store, agent)) for log in _HIDING_LOGS)
    key = ("hidden", agent, step)
    state = (sizes, quarantined)
    cached: tuple[object, NDArray[np.int64]] | None = store.cache.get(key)
    if cached is None or cached[0] != state:
        ids = hidden_ids(store, agent, step=step, tainted=tainted) if any(sizes) else []
        cached = store.cache[key] = (state, np.array(ids, np.int64))
    return cached[1]
