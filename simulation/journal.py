"""What a run writes down: ticks in a hash chain, asks with their answers, states."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ..core import (
    AgentId,
    AgentState,
    Answer,
    Ask,
    AskId,
    Input,
    Json,
    answer_from_json,
    ask_from_json,
    canonical,
    digest_text,
    from_json,
    to_json,
)
from ..store import Store, chain

SCHEMA = (
    """
    CREATE TABLE ticks(step INTEGER PRIMARY KEY, at TEXT, hash TEXT, entry TEXT);
    CREATE TABLE asks(step INTEGER, agent TEXT, path TEXT, kind TEXT, role TEXT, digest TEXT,
        ask TEXT, answer TEXT, tokens_in INTEGER, tokens_out INTEGER,
        PRIMARY KEY(step, agent, path)) WITHOUT ROWID;
    CREATE TABLE pending(step INTEGER, agent TEXT, path TEXT, kind TEXT, role TEXT, digest TEXT,
        ask TEXT, answer TEXT, tokens_in INTEGER, tokens_out INTEGER,
        PRIMARY KEY(step, agent, path)) WITHOUT ROWID;
    CREATE TABLE states(step INTEGER, agent TEXT, state TEXT,
        PRIMARY KEY(agent, step)) WITHOUT ROWID;
    CREATE TABLE snapshots(step INTEGER PRIMARY KEY, world TEXT, digest TEXT);
    CREATE TABLE inputs(number INTEGER PRIMARY KEY, step INTEGER, input TEXT);
    """,
)

COLUMNS = "step, agent, path, kind, role, digest, ask, answer, tokens_in, tokens_out"


@dataclass(frozen=True, slots=True)
class AskRow:
    """One ask of a run with its answer. ``digest`` covers the ask's canonical JSON."""

    where: AskId
    kind: str
    role: str
    digest: str
    ask: Ask
    answer: Answer


@dataclass(frozen=True, slots=True)
class Packed:
    """An ask and its answer as stored: shared parts are replaced by their digests."""

    where: AskId
    kind: str
    role: str
    digest: str
    ask: str
    answer: str
    tokens_in: int
    tokens_out: int

    @property
    def row(self) -> tuple[object, ...]:
        """The values in the order of ``COLUMNS``."""
        where = self.where
        key = (where.step, where.agent, where.path, self.kind, self.role, self.digest)
        return (*key, self.ask, self.answer, self.tokens_in, self.tokens_out)


class Journal:
    """The journal's tables in a run's store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.ensure("journal", 1, SCHEMA)

    @property
    def steps(self) -> int:
        """How many steps are committed."""
        row = self.store.rows("SELECT COALESCE(MAX(step) + 1, 0) FROM ticks")
        return int(row[0][0])

    def hash(self, steps: int | None = None) -> str:
        """The chain's hash after ``steps`` steps (all of them when None)."""
        last = (self.steps if steps is None else steps) - 1
        rows = self.store.rows("SELECT hash FROM ticks WHERE step = ?", (last,))
        return str(rows[0][0]) if rows else genesis(self.store)

    def pack(self, where: AskId, ask: Ask, ask_digest: str, answer: Answer) -> Packed:
        """Bring an ask and its answer into stored form; interns what repeats."""
        asked, answered = to_json(ask), to_json(answer)
        for field in ("messages",):
            if field in asked:
                asked[field] = [self._intern(message) for message in asked[field]]
        for field in ("options", "anchors"):
            if asked.get(field):
                asked[field] = self._intern(asked[field])
        for hit in answered.get("hits", ()):
            hit["record"] = self._intern(hit["record"])
        return Packed(
            where,
            asked["kind"],
            asked.get("role", ""),
            ask_digest,
            canonical(asked),
            canonical(answered),
            int(answered.get("tokens_in", 0)),
            int(answered.get("tokens_out", 0)),
        )

    def _intern(self, part: Json) -> str:
        return self.store.intern(canonical(part))

    def _extern(self, key: str) -> Json:
        return json.loads(self.store.text(key))

    def unpack_ask(self, text: str) -> Ask:
        """The ask stored as ``text``."""
        asked = json.loads(text)
        if "messages" in asked:
            asked["messages"] = [self._extern(key) for key in asked["messages"]]
        for field in ("options", "anchors"):
            if isinstance(asked.get(field), str):
                asked[field] = self._extern(asked[field])
        return ask_from_json(asked)

    def unpack_answer(self, text: str) -> Answer:
        """The answer stored as ``text``."""
        answered = json.loads(text)
        for hit in answered.get("hits", ()):
            hit["record"] = self._extern(hit["record"])
        return answer_from_json(answered)

    def note_pending(self, packed: Sequence[Packed]) -> None:
        """Keep answers of the open tick as they come, durable at once."""
        marks = ", ".join("?" * 10)
        with self.store.transaction():
            self.store.executemany(
                f"INSERT OR REPLACE INTO pending({COLUMNS}) VALUES ({marks})",
                [one.row for one in packed],
            )

    def answers(
        self, step: int, table: Literal["asks", "pending"] = "pending"
    ) -> dict[AskId, tuple[str, Answer]]:
        """Recorded answers of a step with their asks' digests."""
        rows = self.store.rows(
            f"SELECT agent, path, digest, answer FROM {table} WHERE step = ?", (step,)
        )
        return {
            AskId(step, agent, path): (digest, self.unpack_answer(answer))
            for agent, path, digest, answer in rows
        }

    def commit(self, step: int, at: str, entry: Json) -> str:
        """Append a tick inside the caller's transaction; the new hash."""
        text = canonical(entry)
        head = chain(self.hash(step), text)
        self.store.execute(
            f"INSERT INTO asks({COLUMNS}) SELECT {COLUMNS} FROM pending WHERE step = ?", (step,)
        )
        self.store.execute("DELETE FROM pending")
        self.store.execute("INSERT INTO ticks VALUES (?, ?, ?, ?)", (step, at, head, text))
        return head

    def asks_digest(self, step: int, table: Literal["asks", "pending"] = "pending") -> str:
        """One digest over all asks and answers of a step, in the order of their ids."""
        rows = self.store.rows(
            f"SELECT agent, path, digest, ask, answer FROM {table} WHERE step = ? "
            "ORDER BY agent, path",
            (step,),
        )
        if not rows:
            return ""
        return digest_text(canonical([list(row) for row in rows]))

    def save_state(self, step: int, agent: AgentId, state: AgentState) -> str:
        """Keep an agent's state as of the end of a step; its digest."""
        text = canonical(to_json(state))
        self.store.execute("INSERT INTO states VALUES (?, ?, ?)", (step, agent, text))
        return digest_text(text)

    def state(self, agent: AgentId, step: int) -> AgentState | None:
        """The state as of the end of ``step``; None before the first."""
        rows = self.store.rows(
            "SELECT state FROM states WHERE agent = ? AND step <= ? ORDER BY step DESC LIMIT 1",
            (agent, step),
        )
        return from_json(AgentState, json.loads(rows[0][0])) if rows else None

    def snapshot(self, step: int, world: Json) -> None:
        """Keep the world as of the end of a step."""
        text = canonical(world)
        self.store.execute(
            "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)", (step, text, digest_text(text))
        )

    def last_snapshot(self, step: int) -> tuple[int, Json] | None:
        """The newest snapshot taken at ``step`` or before."""
        rows = self.store.rows(
            "SELECT step, world FROM snapshots WHERE step <= ? ORDER BY step DESC LIMIT 1", (step,)
        )
        return (int(rows[0][0]), json.loads(rows[0][1])) if rows else None

    def entries(self, first: int = 0, last: int | None = None) -> Iterator[Json]:
        """The journal entries of steps ``first`` .. ``last`` (all to the end when None)."""
        end = self.steps if last is None else last + 1
        for begin in range(first, end, 500):
            rows = self.store.rows(
                "SELECT entry FROM ticks WHERE step >= ? AND step < ? ORDER BY step",
                (begin, min(begin + 500, end)),
            )
            for (entry,) in rows:
                yield json.loads(entry)

    def asks(self, *, agent: AgentId | None = None, step: int | None = None) -> Iterator[AskRow]:
        """Asks with their answers, by step, agent and path."""
        where, values = ["1 = 1"], []
        if agent is not None:
            where.append("agent = ?")
            values.append(agent)
        if step is not None:
            where.append("step = ?")
            values.append(str(step))
        rows = self.store.rows(
            f"SELECT step, agent, path, kind, role, digest, ask, answer FROM asks "
            f"WHERE {' AND '.join(where)} ORDER BY step, agent, path",
            tuple(values),
        )
        for at, who, path, kind, role, key, ask, answer in rows:
            yield AskRow(
                AskId(at, who, path),
                kind,
                role,
                key,
                self.unpack_ask(ask),
                self.unpack_answer(answer),
            )

    def copy_asks(self, record: Journal, step: int) -> None:
        """Take over the asks of a step from another run's journal, as pending."""
        self.note_pending(
            [
                self.pack(row.where, row.ask, row.digest, row.answer)
                for row in record.asks(step=step)
            ]
        )

    def add_input(self, step: int, given: Input) -> None:
        """Keep an input for the step at which it will be noticed; durable at once."""
        with self.store.transaction():
            self.store.execute(
                "INSERT INTO inputs(step, input) VALUES (?, ?)", (step, canonical(to_json(given)))
            )

    def inputs(self, step: int) -> tuple[Input, ...]:
        """The inputs of a step, in the order in which they came."""
        rows = self.store.rows("SELECT input FROM inputs WHERE step = ? ORDER BY number", (step,))
        return tuple(from_json(Input, json.loads(text)) for (text,) in rows)

    def take_inputs(self, record: Journal) -> None:
        """Replace all inputs by those of another run."""
        rows = record.store.rows("SELECT number, step, input FROM inputs ORDER BY number")
        with self.store.transaction():
            self.store.execute("DELETE FROM inputs")
            self.store.executemany("INSERT INTO inputs VALUES (?, ?, ?)", rows)

    def cut(self, steps: int) -> None:
        """Forget everything after ``steps`` steps, inside the caller's transaction."""
        for table in ("ticks", "asks", "pending", "states", "snapshots", "inputs"):
            self.store.execute(f"DELETE FROM {table} WHERE step >= ?", (steps,))
        self.store.put("steps", steps)


def genesis(store: Store) -> str:
    """The hash before the first tick: it covers what the run was started with."""
    return digest_text(canonical(store.get("start", {})))
