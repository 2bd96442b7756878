"""The log of tool calls in a store: requests for approval, approvals, starts, receipts.

It is in no hash: a run is replayed from the answers in its journal. The log prevents a call that
acts from being executed twice, whenever its process ends.
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
"""The tool name, and the first part of the path, of an entry that is no call but the release of a
record's label."""
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
_COLUMNS = "key, step, agent, path, state, body, mark"
_KEYS = {"calls": "key", "suspended": "scope"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallEntry:
    """What is logged of one call. ``began`` is when it started (UTC), empty before; ``seconds`` how
    long it took; one that began and has no ``result`` is an intent without a receipt. Of a call
    that neither acts nor needs approval only times are kept."""

    request: ApprovalRequest | None = None
    approval: Approval | None = None
    began: str = ""
    seconds: float | None = None
    result: ToolResult | None = None

    @property
    def state(self) -> State:
        """Whether it "waits" for a person's approval, "began" and has no receipt, is "done", or ""
        (approved and not started, or only times are kept)."""
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
        """Wall time since the start."""
        return time.perf_counter() - self._start


class ToolCallLog:
    """The tool calls of all agents in one store. The tables are created with the first entry.
    Methods that write join the caller's transaction; those that read raise RunCorrupt for damaged
    rows."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._unwritten: list[tuple[str, AskId, ToolCallEntry]] = []
        if self._exists:
            store.migrate(CALLS_PART, len(SCHEMA), SCHEMA, _check)

    @property
    def _exists(self) -> bool:
        return self.store.version(CALLS_PART) > 0

    # -- one call -------------------------------------------------------------------

    def find(self, key: str) -> ToolCallEntry | None:
        """The entry of a call, or None."""
        entries = self.keyed_entries("WHERE key = ?", (key,))
        return entries[0][2] if entries else None

    def ask_id(self, key: str) -> AskId | None:
        """The agent, step and path in the thought of a call; None for an unknown one."""
        if not self._exists:
            return None
        row = self.store.first_row("SELECT step, agent, path FROM calls WHERE key = ?", (key,))
        return None if row is None else AskId(int(row[0]), row[1], row[2])

    def request_approval(self, where: AskId, request: ApprovalRequest) -> None:
        """Write that a call waits for a person's approval."""
        known = self.find(request.key)
        entry = replace(known or ToolCallEntry(), request=request, approval=None)
        self.write_entry(request.key, where, entry)

    def record_approval(self, key: str, approval: Approval) -> None:
        """Write a person's answer to a request. Raises SettingError if none waits under that
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
        """Write, before a call that acts, that it starts. Raises RunError inside a transaction,
        where the entry would not be durable."""
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
        """Write a call's result, its receipt; ``entry`` holds the request and the approval."""
        request = entry.request
        if request is None:
            raise ValueError("an entry without a request has no receipt")
        known = self.find(request.key) or entry
        if result.receipt:
            began = known.began or watch.began
            known = replace(known, began=began, seconds=round(watch.seconds, 6))
        approval = entry.approval or known.approval
        done = replace(known, request=request, approval=approval, result=result)
        self.write_entry(request.key, where, done)

    def record_duration(self, key: str, where: AskId, began: str, seconds: float) -> None:
        """Keep the duration of a call until ``flush``."""
        self._unwritten.append((key, where, ToolCallEntry(began=began, seconds=round(seconds, 6))))

    def flush(self) -> None:
        """Write the durations that ``record_duration`` kept."""
        unwritten, self._unwritten = self._unwritten, []
        for key, where, entry in unwritten:
            known = self.find(key)
            if known:
                entry = replace(known, began=entry.began, seconds=entry.seconds)
            self.write_entry(key, where, entry)

    # -- released labels ------------------------------------------------------------

    def record_label_release(
        self,
        where: AskId,
        arguments: Json,
        *,
        sources: tuple[str, ...],
        why: str = "",
        approval: Approval | None = None,
    ) -> None:
        """Write that the label of a record was released (``arguments``: which record, and how) by
        the person of ``approval``, or else by the rules that the arguments name. ``sources`` are
        those that the record had; ``where`` names its agent."""
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
        entry = ToolCallEntry(request=request, approval=approval, began=_now(), result=result)
        self.write_entry(key, where, entry)

    def released_labels(self, agent: AgentId) -> dict[RecordId, tuple[str, ...]]:
        """The agent's records whose label was released, each with the sources that it had."""
        return {
            int(request.arguments["record"]): request.sources
            for where, entry in self.entries("done")
            if where.agent == agent
            and where.path.startswith(f"{LABEL_RELEASE}/")
            and (request := entry.request)
        }

    # -- all calls ------------------------------------------------------------------

    def entries(self, *states: State) -> Iterator[tuple[AskId, ToolCallEntry]]:
        """All calls (in one of ``states``, if given), by step, agent and path."""
        marks = ", ".join("?" * len(states))
        where = f"WHERE state IN ({marks})" if states else ""
        for _, ask_id, entry in self.keyed_entries(f"{where} ORDER BY step, agent, path", states):
            yield ask_id, entry

    def keyed_entries(
        self, clause: str = "ORDER BY key", args: Sequence[str] = ()
    ) -> list[tuple[str, AskId, ToolCallEntry]]:
        """The calls that an SQL ``clause`` selects, with their keys and ask ids."""
        if not self._exists:
            return []
        return [
            (
                row[0],
                AskId(int(row[1]), row[2], row[3]),
                _entry_from_json(_body(self.store, f"call {row[0]!r}", row)),
            )
            for row in self.store.rows(f"SELECT {_COLUMNS} FROM calls {clause}", args)
        ]

    def agents(self) -> tuple[AgentId, ...]:
        """The agents with calls or suspended replies, in order of name."""
        if not self._exists:
            return ()
        sql = "SELECT agent FROM calls UNION SELECT agent FROM suspended ORDER BY agent"
        return tuple(row[0] for row in self.store.rows(sql))

    def pending_approvals(self) -> tuple[ApprovalRequest, ...]:
        """The requests that nobody has answered, oldest first."""
        return tuple(entry.request for _, entry in self.entries("waits") if entry.request)

    def unfinished_call(
        self, agent: AgentId, tool: str, arguments: Json, person: AgentId = ""
    ) -> tuple[AskId, ToolCallEntry] | None:
        """An equal call of the agent that began and has no receipt. For a ``person`` only one made
        for them or for everybody, so that nobody learns of calls for others."""
        for where, entry in self.entries("began"):
            request = entry.request
            if request is None:
                continue
            if person not in ("", request.person) and request.person != EVERYBODY:
                continue
            if (where.agent, request.tool, request.arguments) == (agent, tool, arguments):
                return where, entry
        return None

    def truncate(self, steps: int) -> None:
        """Delete the calls of step ``steps`` and later."""
        if self._exists:
            self._delete("calls", "step >= ?", (steps,))

    # -- usage ----------------------------------------------------------------------

    def usage(self, agent: AgentId) -> tuple[int, int]:
        """The calls and tokens that an agent with a budget has used so far."""
        calls, tokens = self.store.get(f"{_USAGE}.{agent}", (0, 0))
        return int(calls), int(tokens)

    def save_usage(self, agent: AgentId, calls: int, tokens: int) -> None:
        """Write what ``usage`` returns."""
        self.store.put(f"{_USAGE}.{agent}", [calls, tokens])

    # -- suspended replies ----------------------------------------------------------

    def next_conversation_id(self) -> str:
        """A new conversation id, with which, after the agent's name, the keys of its calls
        begin."""
        self._create_tables()
        with self.store.transaction():
            number = int(self.store.get(_CONVERSATION_COUNT, 0)) + 1
            self.store.put(_CONVERSATION_COUNT, number)
        return f"talk{number}"

    def save_suspended(self, scope: str, agent: AgentId, thought: Json) -> None:
        """Write a suspended thought under its conversation id."""
        text = canonical(thought)
        self._create_tables()
        self._put("suspended", (scope, agent, text))

    def load_suspended(self, scope: str, agent: AgentId) -> Json:
        """The agent's suspended thought of a conversation, or None."""
        if not self._exists:
            return None
        sql = "SELECT * FROM suspended WHERE scope = ? AND agent = ?"
        row = self.store.first_row(sql, (scope, agent))
        return None if row is None else _suspended(self.store, row)

    def suspended_replies(self) -> list[tuple[str, AgentId, Json]]:
        """All suspended thoughts with their conversation ids and agents."""
        if not self._exists:
            return []
        rows = self.store.rows("SELECT * FROM suspended")
        return [(row[0], row[1], _suspended(self.store, row)) for row in rows]

    def delete_suspended(self, scope: str) -> None:
        """Delete a suspended thought."""
        self._delete("suspended", "scope = ?", (scope,))

    # -- rows -----------------------------------------------------------------------

    def _create_tables(self) -> None:
        if not self._exists:
            self.store.migrate(CALLS_PART, len(SCHEMA), SCHEMA, _check)

    def write_entry(self, key: str, where: AskId, entry: ToolCallEntry) -> None:
        """Write a call's entry in place of an earlier one under the same key."""
        self._create_tables()
        columns = (key, where.step, where.agent, where.path)
        self._put("calls", (*columns, entry.state, canonical(entry_to_json(entry))))

    def delete_entry(self, key: str) -> None:
        """Delete a call's entry."""
        self._delete("calls", "key = ?", (key,))

    def _put(self, table: str, values: tuple[Json, ...]) -> None:
        """Write a row with its checksum, and add that to the sum of all checksums."""
        marks = ", ".join("?" * (len(values) + 1))
        checksum = _checksum(*values)
        with self.store.transaction():
            self._delete(table, f"{_KEYS[table]} = ?", (values[0],))
            self.store.execute(f"INSERT INTO {table} VALUES ({marks})", (*values, checksum))
            self._add_to_sum(int(checksum, 16))

    def _delete(self, table: str, condition: str, values: tuple[Json, ...]) -> None:
        for (checksum,) in self.store.rows(f"SELECT mark FROM {table} WHERE {condition}", values):
            self._add_to_sum(-int(checksum, 16))
        self.store.execute(f"DELETE FROM {table} WHERE {condition}", values)

    def _add_to_sum(self, checksum: int) -> None:
        total = int(self.store.get(CALLS_PART, "0"), 16) + checksum
        self.store.put(CALLS_PART, f"{total % _MODULUS:032x}")

    def restore(self) -> int:
        """Delete the rows that do not fit their checksums or cannot be read, and add up the rest;
        returns how many were deleted."""
        if not self._exists:
            return 0
        total = lost = 0
        for table, key in _KEYS.items():
            for row in self.store.rows(f"SELECT * FROM {table}"):
                if _is_readable(row, table):
                    total += int(row[-1], 16)
                    continue
                self.store.execute(f"DELETE FROM {table} WHERE {key} IS ?", (row[0],))
                lost += 1
        self.store.put(CALLS_PART, f"{total % _MODULUS:032x}")
        return lost


def entry_to_json(entry: ToolCallEntry) -> Json:
    """An entry as it is stored, without empty fields."""
    fields: Mapping[str, Json] = {
        "request": to_json(entry.request) if entry.request else None,
        "approval": to_json(entry.approval) if entry.approval else None,
        "began": entry.began,
        "seconds": entry.seconds,
        "result": to_json(entry.result) if entry.result else None,
    }
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _entry_from_json(body: Json) -> ToolCallEntry:
    return ToolCallEntry(
        request=_optional(ApprovalRequest, body.get("request")),
        approval=_optional(Approval, body.get("approval")),
        began=body.get("began", ""),
        seconds=body.get("seconds"),
        result=_optional(ToolResult, body.get("result")),
    )


def _optional(cls: type[T], data: Json) -> T | None:
    return None if data is None else from_json(cls, data)


def _suspended(store: Store, row: tuple[Json, ...]) -> Json:
    return _body(store, f"suspended reply {row[0]}", row)


def _body(store: Store, what: str, row: tuple[Json, ...]) -> Json:
    """The JSON in the last column but one of a row, checked against the checksum in the last."""
    if not _is_intact(row):
        raise RunCorrupt(
            f"{store.name}: {what} does not fit its checksum; restore the file from a backup"
        )
    return json.loads(row[-2])


def _is_intact(row: tuple[Json, ...]) -> bool:
    """Whether a row fits the checksum in its last column; bytes are damaged text."""
    return not any(isinstance(value, bytes) for value in row) and _checksum(*row[:-1]) == row[-1]


def _is_readable(row: tuple[Json, ...], table: str) -> bool:
    """Whether a row is intact and its content valid for its table."""
    try:
        if not _is_intact(row):
            return False
        body = json.loads(row[-2])
        if table == "calls":
            _entry_from_json(body)
        return isinstance(body, dict)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return False


def _checksum(*values: Json) -> str:
    return digest_text(canonical(list(values)))


def _check(store: Store) -> Iterator[Damage]:
    """Damage to the log, for ``Store.verify``."""
    total = 0
    for table in _KEYS:
        for row in store.rows(f"SELECT * FROM {table}"):
            if not _is_intact(row):
                yield Damage(f"{table} {row[0]!r}", "does not fit its checksum")
                return
            if not _is_readable(row, table):
                yield Damage(f"{table} {row[0]!r}", "cannot be read")
                return
            total += int(row[-1], 16)
    if int(store.get(CALLS_PART, "0"), 16) != total % _MODULUS:
        yield Damage("calls", "rows were changed or removed")
