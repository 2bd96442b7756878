"""The book of calls beside a mind's memory: leave asked and given, intents, receipts.

It is in no hash: what a run lives by is the answer in its journal. The book is what a call
that acts is never done twice by, whenever its process ends.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, TypeAlias, TypeVar

from ...core import (
    EVERYBODY,
    AgentId,
    Approval,
    ApprovalRequest,
    AskId,
    Json,
    RecordId,
    RunCorrupt,
    RunError,
    SettingError,
    ToolResult,
    canonical,
    did_you_mean,
    digest_text,
    from_json,
    to_json,
)
from ...store import Damage, Store

T = TypeVar("T")
State: TypeAlias = Literal["waits", "began", "done", ""]

CALLS_PART = "calls"
LABEL_RELEASE = "release"
"""In the place of a tool's name, and first in the place of a call in its thought: not a call, but
that the label of a record was released."""
SCHEMA = (
    """
    CREATE TABLE calls(key TEXT PRIMARY KEY, step INTEGER, agent TEXT, path TEXT, state TEXT,
        body TEXT, mark TEXT) WITHOUT ROWID;
    CREATE TABLE suspended(scope TEXT PRIMARY KEY, agent TEXT, body TEXT, mark TEXT)
        WITHOUT ROWID;
    """,
)
_MODULUS = 1 << 128
_CONVERSATION_COUNT = "calls.talks"
_USAGE = "calls.used"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallEntry:
    """What the book knows of one call. ``began`` is when it began to run (UTC), empty before;
    ``seconds`` how long it took; one that began and has no ``result`` is an intent without a
    receipt. Of a call that neither acts nor needs leave only times are kept."""

    request: ApprovalRequest | None = None
    approval: Approval | None = None
    began: str = ""
    seconds: float | None = None
    result: ToolResult | None = None

    @property
    def state(self) -> State:
        """Whether a person has to answer, it began and has no receipt, it is done, or it is
        neither (leave was given, or it is a call of which only times are kept)."""
        if self.result is not None:
            return "done"
        if self.request and self.request.because and self.approval is None:
            return "waits"
        return "began" if self.began and self.request else ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Stopwatch:
    """When something began, and how long it has taken."""

    def __init__(self) -> None:
        self.began = _now()
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Wall time since then."""
        return time.perf_counter() - self._start


class ToolCallLog:
    """The calls that somebody's tools were asked for, in one store. Its tables are made with
    the first call that is written down."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._unwritten: list[tuple[str, AskId, ToolCallEntry]] = []
        if store.version(CALLS_PART):
            store.migrate(CALLS_PART, len(SCHEMA), SCHEMA, _check)

    # -- one call -------------------------------------------------------------------

    def find(self, key: str) -> ToolCallEntry | None:
        """What is known of the call, or None. Raises RunCorrupt."""
        if not self.store.version(CALLS_PART):
            return None
        row = self.store.first_row(f"SELECT {_COLUMNS} FROM calls WHERE key = ?", (key,))
        return None if row is None else _entry(self.store, row)

    def ask_id(self, key: str) -> AskId | None:
        """Whose call it is and where in its thought it was made, or None for no known call."""
        if not self.store.version(CALLS_PART):
            return None
        row = self.store.first_row("SELECT step, agent, path FROM calls WHERE key = ?", (key,))
        return None if row is None else AskId(int(row[0]), row[1], row[2])

    def request_approval(self, where: AskId, request: ApprovalRequest) -> None:
        """Write down that a call waits for a person; durable at once."""
        known = self.find(request.key)
        entry = replace(known or ToolCallEntry(), request=request, approval=None)
        self.write_entry(request.key, where, entry)

    def record_approval(self, key: str, approval: Approval) -> None:
        """Write down a person's answer. Raises SettingError when no request waits under that
        key."""
        waiting = {e.request.key: (w, e) for w, e in self.entries("waits") if e.request}
        if key not in waiting:
            hint = did_you_mean(key, waiting) or f"; waiting: {', '.join(waiting) or 'none'}"
            raise SettingError(f"{self.store.name}: no call '{key}' waits for an answer{hint}")
        where, entry = waiting[key]
        self.write_entry(key, where, replace(entry, approval=approval))

    def record_start(
        self, where: AskId, request: ApprovalRequest, approval: Approval | None = None
    ) -> None:
        """Write down that a call that acts is about to run, before it does. Raises RunError
        inside a transaction, where that would not last."""
        if self.store.in_transaction:
            raise RunError(
                f"{self.store.name}: '{request.tool}' acts and cannot be called inside a "
                "transaction; end it first"
            )
        entry = ToolCallEntry(
            request=replace(request, doubt=False), approval=approval, began=_now()
        )
        self.write_entry(request.key, where, entry)

    def record_result(
        self, where: AskId, result: ToolResult, watch: Stopwatch, entry: ToolCallEntry
    ) -> None:
        """Write down what came of a call: its receipt. ``entry`` holds the request and its
        approval."""
        request = entry.request
        if request is None:
            raise ValueError("an entry without a request has no receipt")
        known = self.find(request.key) or entry
        if result.receipt:
            known = replace(
                known, began=known.began or watch.began, seconds=round(watch.seconds, 6)
            )
        approval = entry.approval or known.approval
        kept = replace(known, request=request, approval=approval, result=result)
        self.write_entry(request.key, where, kept)

    def record_duration(self, key: str, where: AskId, began: str, seconds: float) -> None:
        """Keep how long another call took, to be written by ``flush``."""
        self._unwritten.append((key, where, ToolCallEntry(began=began, seconds=round(seconds, 6))))

    def flush(self) -> None:
        """Write what is kept, inside the caller's transaction where there is one."""
        late, self._unwritten = self._unwritten, []
        for key, where, entry in late:
            known = self.find(key)
            if known:
                entry = replace(known, began=entry.began, seconds=entry.seconds)
            self.write_entry(key, where, entry)

    # -- releases -------------------------------------------------------------------

    def record_label_release(
        self,
        where: AskId,
        arguments: Json,
        *,
        sources: tuple[str, ...],
        why: str = "",
        approval: Approval | None = None,
    ) -> None:
        """Write down, inside the caller's transaction, that the label of a record
        (``arguments``: which, and how) was released: by the person of ``approval``, else by the
        rules that the arguments name. ``sources`` are those it had, ``where`` whose it is."""
        where = replace(where, path=f"{LABEL_RELEASE}/{arguments['record']}")
        key = f"{where.agent}/{where.step}/{where.path}"
        request = ApprovalRequest(
            key=key,
            who=where.agent,
            tool=LABEL_RELEASE,
            arguments=arguments,
            why=why,
            sources=sources,
            because="",
        )
        result = ToolResult(ok=True, value="released", receipt=key)
        self.write_entry(
            key,
            where,
            ToolCallEntry(request=request, approval=approval, began=_now(), result=result),
        )

    def released_labels(self, agent: AgentId) -> dict[RecordId, tuple[str, ...]]:
        """The agent's records of which a label was released, each with the sources it had."""
        return {
            int(request.arguments["record"]): request.sources
            for where, entry in self.entries("done")
            if where.agent == agent
            and where.path.startswith(f"{LABEL_RELEASE}/")
            and (request := entry.request)
        }

    # -- all of them ----------------------------------------------------------------

    def entries(self, *states: State) -> Iterator[tuple[AskId, ToolCallEntry]]:
        """Every call (in one of ``states``, where given), by step, agent and path."""
        marks = ", ".join("?" * len(states))
        where = f"WHERE state IN ({marks})" if states else ""
        for _, place, entry in self.keyed_entries(f"{where} ORDER BY step, agent, path", states):
            yield place, entry

    def agents(self) -> tuple[AgentId, ...]:
        """Whose calls and talks there are, in order of name."""
        if not self.store.version(CALLS_PART):
            return ()
        sql = "SELECT agent FROM calls UNION SELECT agent FROM suspended ORDER BY agent"
        return tuple(row[0] for row in self.store.rows(sql))

    def pending_approvals(self) -> tuple[ApprovalRequest, ...]:
        """The requests that nobody has answered, oldest first."""
        found = (entry.request for _, entry in self.entries("waits"))
        return tuple(request for request in found if request)

    def unfinished_call(
        self, agent: AgentId, tool: str, arguments: Json, person: AgentId = ""
    ) -> tuple[AskId, ToolCallEntry] | None:
        """An equal call of the agent that began and has no receipt; for a ``person`` theirs, or
        one that was made for everybody: nobody is told what another had begun."""
        for where, entry in self.entries("began"):
            made = entry.request
            if made is None or (person not in ("", made.person) and made.person != EVERYBODY):
                continue
            if (where.agent, made.tool, made.arguments) == (agent, tool, arguments):
                return where, entry
        return None

    def truncate(self, steps: int) -> None:
        """Forget the calls of step ``steps`` and later, inside the caller's transaction."""
        if self.store.version(CALLS_PART):
            self._drop("calls", "step >= ?", (steps,))

    # -- what a life has used --------------------------------------------------------

    def usage(self, agent: AgentId) -> tuple[int, int]:
        """The calls and tokens that the agent has used in its life, where that is bounded."""
        calls, tokens = self.store.get(f"{_USAGE}.{agent}", (0, 0))
        return int(calls), int(tokens)

    def save_usage(self, agent: AgentId, calls: int, tokens: int) -> None:
        """Keep that, inside the caller's transaction where one is open."""
        self.store.put(f"{_USAGE}.{agent}", [calls, tokens])

    # -- suspended talks ------------------------------------------------------------

    def next_conversation_id(self) -> str:
        """A name no talk had before: what its calls' keys begin with, after the agent's."""
        self._prepare()
        with self.store.transaction():
            number = int(self.store.get(_CONVERSATION_COUNT, 0)) + 1
            self.store.put(_CONVERSATION_COUNT, number)
        return f"talk{number}"

    def save_suspended(self, scope: str, agent: AgentId, thought: Json) -> None:
        """Keep a thought that waits, under the name of its talk."""
        text = canonical(thought)
        self._prepare()
        self._put("suspended", (scope, agent, text))

    def load_suspended(self, scope: str, agent: AgentId) -> Json:
        """The agent's thought that waits under a talk's name, or None. Raises RunCorrupt."""
        if not self.store.version(CALLS_PART):
            return None
        sql = "SELECT * FROM suspended WHERE scope = ? AND agent = ?"
        row = self.store.first_row(sql, (scope, agent))
        if row is None:
            return None
        return _read(self.store, f"suspended talk {scope}", row)

    def delete_suspended(self, scope: str) -> None:
        """Forget a thought that has gone on, inside the caller's transaction."""
        self._drop("suspended", "scope = ?", (scope,))

    # -- rows -----------------------------------------------------------------------

    def _prepare(self) -> None:
        if not self.store.version(CALLS_PART):
            self.store.migrate(CALLS_PART, len(SCHEMA), SCHEMA, _check)

    def keyed_entries(
        self, clause: str = "ORDER BY key", given: Sequence[str] = ()
    ) -> list[tuple[str, AskId, ToolCallEntry]]:
        """The calls with their keys and where they were made; ``clause`` is SQL."""
        if not self.store.version(CALLS_PART):
            return []
        return [
            (row[0], AskId(int(row[1]), row[2], row[3]), _entry(self.store, row))
            for row in self.store.rows(f"SELECT {_COLUMNS} FROM calls {clause}", given)
        ]

    def suspended_replies(self) -> list[tuple[str, AgentId, Json]]:
        """All suspended thoughts with their conversations and agents. Raises RunCorrupt."""
        if not self.store.version(CALLS_PART):
            return []
        return [
            (row[0], row[1], _read(self.store, f"suspended talk {row[0]}", row))
            for row in self.store.rows("SELECT * FROM suspended")
        ]

    def write_entry(self, key: str, where: AskId, entry: ToolCallEntry) -> None:
        """Write a call's entry in place of an earlier one under the same key."""
        self._prepare()
        place = (key, where.step, where.agent, where.path)
        self._put("calls", (*place, entry.state, canonical(entry_to_json(entry))))

    def delete_entry(self, key: str) -> None:
        """Delete a call's entry, inside the caller's transaction."""
        self._drop("calls", "key = ?", (key,))

    def _put(self, table: str, values: tuple[Json, ...]) -> None:
        """Write a row, with its checksum in it and in the sum of all."""
        marks = ", ".join("?" * (len(values) + 1))
        mark = _checksum(*values)
        with self.store.transaction():
            self._drop(table, f"{_KEYS[table]} = ?", (values[0],))
            self.store.execute(f"INSERT INTO {table} VALUES ({marks})", (*values, mark))
            self._add_checksum(int(mark, 16))

    def _drop(self, table: str, which: str, values: tuple[Json, ...]) -> None:
        for (mark,) in self.store.rows(f"SELECT mark FROM {table} WHERE {which}", values):
            self._add_checksum(-int(mark, 16))
        self.store.execute(f"DELETE FROM {table} WHERE {which}", values)

    def _add_checksum(self, mark: int) -> None:
        total = int(self.store.get(CALLS_PART, "0"), 16) + mark
        self.store.put(CALLS_PART, f"{total % _MODULUS:032x}")

    def restore(self) -> int:
        """Drop the rows that do not fit their checksums or cannot be read, and sum up the rest,
        inside the caller's transaction; returns how many were lost."""
        if not self.store.version(CALLS_PART):
            return 0
        total = lost = 0
        for table, key in _KEYS.items():
            for row in self.store.rows(f"SELECT * FROM {table}"):
                if _readable(row, table):
                    total += int(row[-1], 16)
                    continue
                self.store.execute(f"DELETE FROM {table} WHERE {key} IS ?", (row[0],))
                lost += 1
        self.store.put(CALLS_PART, f"{total % _MODULUS:032x}")
        return lost


_COLUMNS = "key, step, agent, path, state, body, mark"
_KEYS = {"calls": "key", "suspended": "scope"}


def entry_to_json(entry: ToolCallEntry) -> Json:
    parts: Mapping[str, Json] = {
        "request": to_json(entry.request) if entry.request else None,
        "approval": to_json(entry.approval) if entry.approval else None,
        "began": entry.began,
        "seconds": entry.seconds,
        "result": to_json(entry.result) if entry.result else None,
    }
    return {name: value for name, value in parts.items() if value not in (None, "")}


def _entry(store: Store, row: tuple[Json, ...]) -> ToolCallEntry:
    return _entry_of(_read(store, f"call {row[0]!r}", row))


def _entry_of(body: Json) -> ToolCallEntry:
    return ToolCallEntry(
        request=_part(ApprovalRequest, body.get("request")),
        approval=_part(Approval, body.get("approval")),
        began=body.get("began", ""),
        seconds=body.get("seconds"),
        result=_part(ToolResult, body.get("result")),
    )


def _part(cls: type[T], data: Json) -> T | None:
    return None if data is None else from_json(cls, data)


def _read(store: Store, what: str, row: tuple[Json, ...]) -> Json:
    """The JSON of a row whose last columns are that and its checksum."""
    if not _is_intact(row):
        raise RunCorrupt(
            f"{store.name}: {what} does not fit its checksum; restore the file from a backup"
        )
    return json.loads(row[-2])


def _is_intact(row: tuple[Json, ...]) -> bool:
    """Whether a row fits the checksum in its last column; bytes are damaged text."""
    return not any(isinstance(value, bytes) for value in row) and _checksum(*row[:-1]) == row[-1]


def _readable(row: tuple[Json, ...], table: str) -> bool:
    """Whether a row is whole and holds what its table does."""
    try:
        if not _is_intact(row):
            return False
        body = json.loads(row[-2])
        if table == "calls":
            _entry_of(body)
        return isinstance(body, dict)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return False


def _checksum(*values: Json) -> str:
    return digest_text(canonical(list(values)))


def _check(store: Store) -> Iterator[Damage]:
    """Damage to the book, for ``Store.verify``."""
    total = 0
    for table in _KEYS:
        for row in store.rows(f"SELECT * FROM {table}"):
            if not _is_intact(row):
                yield Damage(f"{table} {row[0]!r}", "does not fit its checksum")
                return
            if not _readable(row, table):
                yield Damage(f"{table} {row[0]!r}", "cannot be read")
                return
            total += int(row[-1], 16)
    if int(store.get(CALLS_PART, "0"), 16) != total % _MODULUS:
        yield Damage("calls", "rows were changed or removed")
