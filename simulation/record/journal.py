"""The journal of a run: steps in a hash chain, asks with answers, states, snapshots, inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

from ...core import (
    AgentId,
    AgentState,
    Answer,
    AskId,
    Input,
    Json,
    RunCorrupt,
    RunError,
    canonical,
    digest_text,
    from_json,
    to_json,
)
from ...store import Store, chain_digest
from .row_codec import (
    ASK_COLUMNS,
    AskRow,
    EncodedAsk,
    checksum_fits,
    decode_answer,
    decode_ask,
    decode_json,
    encode_ask,
)
from .run_usage import UsageTable

_ASK_COLUMNS = """(step INTEGER, agent TEXT, path TEXT, kind TEXT, role TEXT, digest TEXT,
        ask TEXT, answer TEXT, tokens_in INTEGER, tokens_out INTEGER, mark TEXT,
        PRIMARY KEY(step, agent, path)) WITHOUT ROWID"""

JOURNAL_SCHEMA = (
    f"""
    CREATE TABLE ticks(step INTEGER PRIMARY KEY, at TEXT, hash TEXT, entry TEXT);
    CREATE TABLE asks{_ASK_COLUMNS};
    CREATE TABLE pending{_ASK_COLUMNS};
    CREATE TABLE states(step INTEGER, agent TEXT, state TEXT,
        PRIMARY KEY(agent, step)) WITHOUT ROWID;
    CREATE TABLE snapshots(step INTEGER PRIMARY KEY, world TEXT, digest TEXT);
    CREATE TABLE inputs(number INTEGER PRIMARY KEY, step INTEGER, planned INTEGER, input TEXT);
    """,
    "",  # version 2: entries name the digests of snapshots
)

SNAPSHOT_EVERY = 100
"""The interval of snapshots of the world in steps. One more, of step -1, is taken at the start."""

_INPUTS_KEY = "inputs"

AskTable = Literal["asks", "pending"]


class Journal:
    """The journal's tables in a run's store; docs/run-files.md describes them.

    What is read is verified first; methods raise RunCorrupt for damaged rows."""

    def __init__(self, store: Store) -> None:
        self.store = store
        if store.version("journal") == 1:
            raise RunError(
                f"{store.name}: was recorded by an earlier version, whose hash chain does not "
                "cover the snapshots of the world; run its scenario anew, or use the version that "
                "made it"
            )
        store.migrate("journal", len(JOURNAL_SCHEMA), JOURNAL_SCHEMA)
        self.usage = UsageTable(store)

    def _damaged(self, what: str) -> RunCorrupt:
        return RunCorrupt(
            f"{self.store.name}: {what}; restore the file from a backup, or fork the run "
            "before the damage"
        )

    # -- steps ----------------------------------------------------------------------

    @property
    def steps(self) -> int:
        """The number of committed steps."""
        row = self.store.rows("SELECT COALESCE(MAX(step) + 1, 0) FROM ticks")
        return int(row[0][0])

    def hash_after(self, steps: int | None = None) -> str:
        """The chain's hash after ``steps`` steps (all of them when None)."""
        last = (self.steps if steps is None else steps) - 1
        rows = self.store.rows("SELECT hash FROM ticks WHERE step = ?", (last,))
        return str(rows[0][0]) if rows else initial_hash(self.store)

    def check_ticks(self) -> None:
        """Verify the hash chains of steps and inputs. Raises RunCorrupt."""
        head, step = initial_hash(self.store), -1
        for step, (stored_step, stored_hash, text) in enumerate(
            self.store.rows("SELECT step, hash, entry FROM ticks ORDER BY step")
        ):
            if stored_step != step:
                raise self._damaged(f"step {step} is missing")
            head = chain_digest(head, text) if isinstance(text, str) else ""
            if head != stored_hash:
                raise self._damaged(f"step {step} does not fit the hash chain")
        written = self.store.get("steps", 0)
        if written != step + 1:
            raise self._damaged(f"{written} steps were written, {step + 1} are there")
        if self.store.get(_INPUTS_KEY, "") != self._inputs_link():
            raise self._damaged("inputs were changed or removed")

    def commit(self, step: int, at: str, entry: Json) -> str:
        """Append a step and make pending answers permanent, inside the caller's transaction;
        returns the new head of the hash chain."""
        text = canonical(entry)
        head = chain_digest(self.hash_after(step), text)
        self.store.execute(
            f"INSERT INTO asks({ASK_COLUMNS}) SELECT {ASK_COLUMNS} FROM pending WHERE step = ?",
            (step,),
        )
        self.store.execute("DELETE FROM pending")
        self.store.execute("INSERT INTO ticks VALUES (?, ?, ?, ?)", (step, at, head, text))
        self.store.put("steps", step + 1)
        return head

    def entries(self, first: int = 0, last: int | None = None) -> Iterator[Json]:
        """The journal entries of steps ``first`` .. ``last`` (None: the last step)."""
        end = self.steps if last is None else last + 1
        for begin in range(first, end, 500):
            rows = self.store.rows(
                "SELECT step, entry FROM ticks WHERE step >= ? AND step < ? ORDER BY step",
                (begin, min(begin + 500, end)),
            )
            for step, entry in rows:
                yield decode_json(self.store, f"step {step}", dict, entry)

    def truncate(self, steps: int) -> None:
        """Delete everything after ``steps`` steps except planned inputs, within a transaction."""
        for table in ("ticks", "asks", "pending", "states", "snapshots"):
            self.store.execute(f"DELETE FROM {table} WHERE step >= ?", (steps,))
        self.usage.truncate(steps)
        self.store.execute("DELETE FROM inputs WHERE step >= ? AND NOT planned", (steps,))
        self.store.put(_INPUTS_KEY, self._inputs_link())
        self.store.put("steps", steps)

    # -- asks -----------------------------------------------------------------------

    def save_pending(self, asks: Sequence[EncodedAsk]) -> None:
        """Write answers of the step under way; durable when this returns."""
        placeholders = ", ".join("?" * len(ASK_COLUMNS.split(",")))
        with self.store.transaction():
            self.store.executemany(
                f"INSERT OR REPLACE INTO pending({ASK_COLUMNS}) VALUES ({placeholders})",
                [ask.row for ask in asks],
            )

    @property
    def has_pending(self) -> bool:
        """Whether answers of an uncommitted step are stored."""
        return self.store.first_row("SELECT 1 FROM pending LIMIT 1") is not None

    def answers(self, step: int, table: AskTable = "pending") -> dict[AskId, tuple[str, Answer]]:
        """The recorded answers of a step, as (digest of the ask, answer)."""
        return {
            AskId(step, row[1], row[2]): (row[5], decode_answer(self.store, row[7]))
            for row in self.checked_rows(table, "WHERE step = ?", (step,))
        }

    def checked_rows(
        self, table: AskTable, where: str = "", values: tuple[object, ...] = ()
    ) -> Iterator[tuple[Json, ...]]:
        """Rows of asks that fit their checksums, without the checksums. Raises RunCorrupt."""
        for row in self.store.rows(
            f"SELECT {ASK_COLUMNS} FROM {table} {where} ORDER BY step, agent, path", values
        ):
            if not checksum_fits(row):
                raise self._damaged(f"{ask_label(*row[:3])} does not fit its checksum")
            yield row[:-1]

    def asks_digest(self, step: int, table: AskTable = "pending") -> str:
        """A digest of all asks and answers of a step in the order of their ids; empty if there are
        none."""
        rows = self.store.rows(
            f"SELECT mark FROM {table} WHERE step = ? ORDER BY agent, path", (step,)
        )
        return digest_text(canonical([str(row[0]) for row in rows])) if rows else ""

    def asks(self, *, agent: AgentId | None = None, step: int | None = None) -> Iterator[AskRow]:
        """Asks with their answers, by step, agent and path."""
        conditions = {"agent = ?": agent, "step = ?": step}
        used = {clause: value for clause, value in conditions.items() if value is not None}
        where = f"WHERE {' AND '.join(used)}" if used else ""
        yield from self.asks_of_tables(("asks",), where, tuple(used.values()))

    def asks_of_tables(
        self, tables: Sequence[AskTable], where: str, values: tuple[object, ...] = ()
    ) -> Iterator[AskRow]:
        """Asks with their answers that satisfy an SQL condition."""
        for table in tables:
            for row in self.checked_rows(table, where, values):
                kind, role, digest, ask, answer = row[3:8]
                decoded = decode_ask(self.store, ask), decode_answer(self.store, answer)
                yield AskRow(AskId(*row[:3]), kind, role, digest, *decoded)

    def copy_asks(self, record: Journal, step: int) -> None:
        """Copy the asks of a step from another run's journal into the pending table."""
        self.save_pending(
            [
                encode_ask(self.store, row.where, row.ask, row.digest, row.answer)
                for row in record.asks(step=step)
            ]
        )

    # -- states and snapshots -------------------------------------------------------

    def save_state(self, step: int, agent: AgentId, state: AgentState) -> str:
        """Write an agent's state after a step; returns its digest."""
        text = canonical(to_json(state))
        self.store.execute("INSERT INTO states VALUES (?, ?, ?)", (step, agent, text))
        return digest_text(text)

    def state(self, agent: AgentId, step: int) -> AgentState | None:
        """An agent's state after ``step``; None before its first one."""
        rows = self.store.rows(
            "SELECT step, state FROM states WHERE agent = ? AND step <= ? "
            "ORDER BY step DESC LIMIT 1",
            (agent, step),
        )
        return self._state(agent, *rows[0]) if rows else None

    def states(self, agent: AgentId, *, first: int = 0) -> Iterator[tuple[int, AgentState]]:
        """An agent's state after each step from ``first`` on that changed it, as (step, state)."""
        rows = self.store.rows(
            "SELECT step, state FROM states WHERE agent = ? AND step >= ? ORDER BY step",
            (agent, first),
        )
        for step, text in rows:
            yield step, decode_json(self.store, f"a state of {agent}", _agent_state, text)

    def _state(self, agent: AgentId, step: int, text: str) -> AgentState:
        name = f"the state of {agent} at step {step}"
        entry: Json = next(iter(self.entries(step, step)), {})
        if not isinstance(text, str) or entry.get("states", {}).get(agent) != digest_text(text):
            raise self._damaged(f"{name} does not fit the journal")
        return decode_json(self.store, name, _agent_state, text)

    def snapshot(self, step: int, world: Json) -> str:
        """Write a snapshot of the world after a step; returns its digest, for the step's entry."""
        text = canonical(world)
        key = digest_text(text)
        self.store.execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)", (step, text, key))
        return key

    def snapshot_digest(self, step: int) -> str:
        """The hash chain's digest of the snapshot after a step, empty if there is none. The entry
        of step 0 has the digest for step -1."""
        entry: Json = next(iter(self.entries(max(step, 0), max(step, 0))), {})
        return str(entry.get("snapshots", {}).get(str(step), ""))

    def last_snapshot(self, step: int) -> tuple[int, Json] | None:
        """The latest snapshot taken after ``step`` or before, as (step, snapshot)."""
        rows = self.store.rows(
            "SELECT step, world, digest FROM snapshots WHERE step <= ? ORDER BY step DESC LIMIT 1",
            (step,),
        )
        if not rows:
            return None
        at, text, key = rows[0]
        if not isinstance(text, str) or digest_text(text) != key:
            raise self._damaged(f"the snapshot after step {at} does not fit its checksum")
        if key != self.snapshot_digest(at):
            raise self._damaged(f"the snapshot after step {at} does not fit the hash chain")
        return int(at), decode_json(self.store, f"the snapshot after step {at}", dict, text)

    # -- inputs ---------------------------------------------------------------------

    def add_input(self, step: int, given: Input, *, planned: bool = False) -> None:
        """Write an input for a step; durable when this returns. Forks keep those that are
        ``planned``, which are part of the scenario."""
        text = canonical(to_json(given))
        with self.store.transaction():
            self.store.execute(
                "INSERT INTO inputs(step, planned, input) VALUES (?, ?, ?)",
                (step, int(planned), text),
            )
            link = self.store.get(_INPUTS_KEY, "")
            self.store.put(_INPUTS_KEY, chain_digest(link, canonical([step, int(planned), text])))

    def inputs(self, step: int) -> tuple[Input, ...]:
        """The inputs of a step, in the order in which they were added."""
        rows = self.store.rows("SELECT input FROM inputs WHERE step = ? ORDER BY number", (step,))
        return tuple(
            decode_json(self.store, f"an input of step {step}", _input, text) for (text,) in rows
        )

    def copy_inputs(self, record: Journal) -> None:
        """Replace all inputs by those of another run."""
        rows = record.store.rows("SELECT number, step, planned, input FROM inputs ORDER BY number")
        with self.store.transaction():
            self.store.execute("DELETE FROM inputs")
            self.store.executemany("INSERT INTO inputs VALUES (?, ?, ?, ?)", rows)
            self.store.put(_INPUTS_KEY, self._inputs_link())

    def _inputs_link(self) -> str:
        link = ""
        for row in self.store.rows("SELECT step, planned, input FROM inputs ORDER BY number"):
            link = chain_digest(link, canonical([*map(_plain, row)]))
        return link


_input = partial(from_json, Input)
_agent_state = partial(from_json, AgentState)


def _plain(value: object) -> Json:
    """A column's value for JSON; only a damaged file has bytes."""
    return value.hex() if isinstance(value, bytes) else value


def ask_label(step: int, agent: AgentId, path: str) -> str:
    """The name of an ask in error messages."""
    return f"ask {path} of {agent} at step {step}"


def initial_hash(store: Store) -> str:
    """The hash before the first tick, a digest of what the run was started with."""
    return digest_text(canonical(store.get("start", {})))
