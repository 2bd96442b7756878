"""What a line of claims, documents, folds or notes must hold, for whoever writes or reads one.

Chained logs beside the records: what claims, documents, folds and notes are kept in.

A logbook is one part of the store: lines of JSON by agent, numbered from 1, made at a step,
each with a digest and a link to the line before it, so that a changed or missing line is
found. Lines are only ever appended; erasing empties a body and leaves its digest in place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from ...core import AgentId, Json, MemoryFault, RecordId, canonical, digest_text, time_error
from ...store import Damage, Store, chain_digest
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


def _moment_or_none(value: Json) -> bool:
    return value is None or _moment(value)


def _probability(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1


def _flag(value: Json) -> bool:
    return isinstance(value, bool)


def _numbered_places(value: Json) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, list) and len(each) == 2 and _number(each[0]) and _text(each[1])
        for each in value
    )


_STATEMENT: dict[str, FieldCheck] = {
    "subject": _nonempty_text,
    "relation": _nonempty_text,
    "object": _text,
    "since": _moment,
    "learned": _moment,
    "until": _moment_or_none,
    "sources": _numbers,
    "confidence": _probability,
    "who": _text,
    "audience": _names,
    "denies": _flag,
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
}
"""The fields of each kind of line, by the part of the store; the first field tells which."""


OPTIONAL_FIELDS: dict[str, dict[str, FieldCheck]] = {
    "claims": {"words_of": _names},
    "documents": {"giver": _text, "name": _text, "path": _text, "digest": _text},
    "notes": {"sources": _names, "audience": _names},
}
"""Fields that lines written before they were there do not have."""


def line_fault(part: str, body: Json) -> str:
    """Why a body is no line of a part; empty when it is one (None: an erased line), and for a
    part that is not known here."""
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
    """The numbers of records that a line names."""
    if not body:
        return ()
    if part == "claims":
        return tuple(body.get("sources", ()))
    if part == "documents":
        return tuple(number for number, _ in body["records"])
    if part == "folds":
        return (body.get("summary", body.get("unfold")), *body.get("records", ()))
    return ()


VERSION = 1


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of a logbook: its number, the step it was made at, its content (None: erased)."""

    n: int
    step: int
    body: dict[str, Any] | None


class ChainedLog:
    """The lines that one part of memory keeps in a store, agent by agent.

    What is appended is checked before it is written, what is read after: see ``line_checks``.

    >>> book = ChainedLog("documents")
    >>> with Store(":memory:") as store:
    ...     book.append(store, "Bo", {"document": "rye.txt", "records": []}, step=3)
    ...     [entry.body for entry in book.read(store, "Bo")]
    1
    [{'document': 'rye.txt', 'records': []}]
    """

    def __init__(self, part: str) -> None:
        self.part = part
        self._lines, self._heads = f"{part}_lines", f"{part}_heads"
        self._migrations = (
            f"""
            CREATE TABLE {self._lines} (
                agent TEXT NOT NULL, n INTEGER NOT NULL, step INTEGER NOT NULL, body TEXT,
                digest TEXT NOT NULL, link TEXT NOT NULL, PRIMARY KEY (agent, n)
            );
            CREATE TABLE {self._heads} (
                agent TEXT PRIMARY KEY, lines INTEGER NOT NULL, link TEXT NOT NULL
            );
            """,
        )

    @property
    def tables(self) -> tuple[str, str]:
        """The names of its tables: of the lines, and of where each agent's end."""
        return self._lines, self._heads

    def register_check(self, store: Store) -> bool:
        """Have ``store.verify`` check this part where the file has it; returns whether it has.

        Tables are made with the first line, so a file that never held one stays as it was.
        """
        have = store.version(self.part)
        store.migrate(self.part, VERSION if have else 0, self._migrations, self.check)
        return have > 0

    def create_tables(self, store: Store) -> None:
        """Make its tables where they are missing."""
        store.migrate(self.part, VERSION, self._migrations, self.check)

    def append(self, store: Store, agent: AgentId, body: Json, *, step: int) -> int:
        """Write one line inside the caller's transaction (its own without one); returns its
        number. Raises MemoryFault, and writes nothing, for what is no line of this part."""
        wrong = step_fault(step) or line_fault(self.part, body)
        if wrong := wrong or self._numbers_fault(body, _record_count(store, agent)):
            raise MemoryFault(f"{store.name}: {self.part} of {agent}: {wrong}")
        with store.transaction():
            self.create_tables(store)
            n, link = self._head(store, agent)
            text = canonical(body)
            mark = digest_text(text)
            link = chain_digest(link, _payload(agent, n + 1, step, mark))
            store.execute(
                f"INSERT INTO {self._lines} VALUES (?, ?, ?, ?, ?, ?)",
                (agent, n + 1, step, text, mark, link),
            )
            self._write_head(store, agent, n + 1, link)
        return n + 1

    def _numbers_fault(self, body: Json, count: int | None) -> str:
        """Why a line cannot be one of a memory of ``count`` records; empty when it can."""
        lost = [n for n in record_numbers(self.part, body) if count is not None and n > count]
        return f"names records {lost[:9]} and the memory has {count}" if lost else ""

    def read(self, store: Store, agent: AgentId, *, after: int = 0) -> Iterator[LogEntry]:
        """An agent's lines in order, digests and chain checked.

        ``after`` skips so many lines that were read before. Raises MemoryFault naming the
        first line that does not fit.
        """
        if not self.register_check(store):
            return
        found, link = after, self._link(store, agent, after)
        for n, step, body, mark, kept in store.rows(
            f"SELECT n, step, body, digest, link FROM {self._lines} WHERE agent = ? AND n > ? "
            "ORDER BY n",
            (agent, after),
        ):
            found += 1
            if n != found:
                raise self._fault(store, agent, f"line {found} is missing")
            if body is not None and (not isinstance(body, str) or digest_text(body) != mark):
                raise self._fault(store, agent, f"line {n} does not hash to its digest")
            link = chain_digest(link, _payload(agent, n, step, mark))
            if link != kept:
                raise self._fault(store, agent, f"line {n} does not fit the chain of digests")
            yield LogEntry(n, step, self._body(store, agent, n, body))
        lines, end = self._head(store, agent)
        if (lines, end) != (found, link):
            raise self._fault(store, agent, f"{lines} lines were written, {found} are there")

    def _body(self, store: Store, agent: AgentId, n: int, text: str | None) -> Json:
        """The content of a line whose digest fits. Raises MemoryFault when it is none: a program
        that did not check what it wrote may have left it."""
        if text is None:
            return None
        try:
            body = json.loads(text)
            wrong = line_fault(self.part, body)
        except (ValueError, RecursionError) as error:
            wrong = str(error)
        if wrong:
            raise self._fault(store, agent, f"line {n} cannot be read ({wrong})")
        return body

    def restore(self, store: Store, agent: AgentId, lines: Sequence[tuple[object, ...]]) -> int:
        """Write an agent's raw lines (n, step, body, digest) into a store that has none of
        theirs, those that do not hash to their digests or are missing as erased ones, so that
        all keep their numbers; returns how many were lost."""
        whole: dict[int, tuple[int, Json | None]] = {}
        lost, count = 0, _record_count(store, agent)
        for n, step, body, mark in lines:
            # A damaged number must not make up millions of losses.
            if not isinstance(n, int) or not 1 <= n <= 2 * len(lines) + 1000:
                continue
            if not isinstance(step, int):
                continue
            if body is None:
                whole[n] = (step, None)
            elif isinstance(body, str) and digest_text(body) == mark:
                try:
                    read = self._body(store, agent, n, body)
                except MemoryFault:
                    continue
                if not self._numbers_fault(read, count):
                    whole[n] = (step, read)
        last = 0
        for n in range(1, max(whole, default=0) + 1):
            lost += n not in whole
            step, read = whole.get(n, (last, None))
            last = max(last, step)
            self.append(store, agent, read, step=last)
        return lost

    def size(self, store: Store, agent: AgentId) -> int:
        """How many lines the agent has."""
        return self._head(store, agent)[0] if self.register_check(store) else 0

    def sizes(self, store: Store) -> dict[AgentId, int]:
        """How many lines everybody has who has any."""
        if not self.register_check(store):
            return {}
        return dict(store.rows(f"SELECT agent, lines FROM {self._heads}"))

    def erase(self, store: Store, agent: AgentId, lines: Collection[int]) -> None:
        """Empty the bodies of these lines for good; the chain of digests stays whole."""
        if not lines or not self.register_check(store):
            return
        store.executemany(
            f"UPDATE {self._lines} SET body = NULL WHERE agent = ? AND n = ?",
            [(agent, n) for n in sorted(lines)],
        )
        store.cache.clear()

    def rewind(self, store: Store, step: int) -> None:
        """Drop, for all agents, the lines later than the end of ``step``: what a fork does."""
        if not self.register_check(store):
            return
        with store.transaction():
            store.execute(f"DELETE FROM {self._lines} WHERE step > ?", (step,))
            for (agent,) in store.rows(f"SELECT agent FROM {self._heads} ORDER BY agent"):
                last = store.first_row(
                    f"SELECT n, link FROM {self._lines} WHERE agent = ? ORDER BY n DESC LIMIT 1",
                    (agent,),
                )
                self._write_head(store, agent, *(last or (0, "")))
        store.cache.clear()

    def agents(self, store: Store) -> tuple[AgentId, ...]:
        """Who has lines in the store, in order of name."""
        if not self.register_check(store):
            return ()
        return tuple(r[0] for r in store.rows(f"SELECT agent FROM {self._heads} ORDER BY agent"))

    def check(self, store: Store) -> Iterator[Damage]:
        """Damage to anybody's lines; the first of each agent is named."""
        if not store.version(self.part):
            return
        known = set(self.agents(store))
        held = {r[0] for r in store.rows(f"SELECT DISTINCT agent FROM {self._lines}")}
        for agent in sorted(map(str, held - known)):
            yield Damage(f"{self.part} of {agent}", "belongs to nobody on record")
        for agent in sorted(known):
            count = _record_count(store, agent)
            try:
                for entry in self.read(store, agent):
                    if wrong := self._numbers_fault(entry.body, count):
                        yield Damage(f"{self.part} of {agent}", f"line {entry.n} {wrong}")
                        break
            except MemoryFault as error:
                yield Damage(f"{self.part} of {agent}", str(error))

    def _head(self, store: Store, agent: AgentId) -> tuple[int, str]:
        row = store.first_row(f"SELECT lines, link FROM {self._heads} WHERE agent = ?", (agent,))
        return (int(row[0]), str(row[1])) if row else (0, "")

    def _write_head(self, store: Store, agent: AgentId, lines: int, link: str) -> None:
        store.execute(
            f"INSERT OR REPLACE INTO {self._heads} VALUES (?, ?, ?)", (agent, lines, link)
        )

    def _link(self, store: Store, agent: AgentId, n: int) -> str:
        row = store.first_row(
            f"SELECT link FROM {self._lines} WHERE agent = ? AND n = ?", (agent, n)
        )
        return str(row[0]) if row else ""

    def _fault(self, store: Store, agent: AgentId, what: str) -> MemoryFault:
        return MemoryFault(
            f"{store.name}: {self.part} of {agent}: {what}; restore the file from a backup "
            "or a fork"
        )


def _payload(agent: AgentId, n: int, step: int, mark: str) -> str:
    # Unambiguous without the cost of JSON: only the last part may hold a space.
    return f"{n} {step} {mark} {agent}"


def _record_count(store: Store, agent: AgentId) -> int | None:
    """How many records the agent has; None in a file that holds no memories."""
    if not store.version("memory"):
        return None
    row = store.first_row("SELECT records FROM memory_heads WHERE agent = ?", (agent,))
    return int(row[0]) if row else 0


class LogTail:
    """An agent's lines as a reader last saw them; ``fresh`` reads what came since.

    Kept in ``store.cache``, so a rollback or another process's commit empties it.
    """

    def __init__(self) -> None:
        self.entries: list[LogEntry] = []

    @classmethod
    def up_to_date(cls, book: ChainedLog, store: Store, agent: AgentId) -> LogTail:
        """The agent's lines up to now."""
        store.refresh()
        make: Callable[[], LogTail] = cls
        tail: LogTail = store.cache.setdefault(("logbook", book.part, agent), make())
        if book.size(store, agent) > len(tail.entries):
            tail.entries.extend(book.read(store, agent, after=len(tail.entries)))
        return tail


FACT_LOG, DOCUMENT_LOG, SUMMARY_LOG, NOTE_LOG = map(
    ChainedLog, ("claims", "documents", "folds", "notes")
)
AUXILIARY_LOGS = (FACT_LOG, DOCUMENT_LOG, SUMMARY_LOG, NOTE_LOG)
"""The logbooks that a memory has beside its records."""


def register_log_checks(store: Store) -> None:
    """Have ``store.verify`` check the logbooks that the file has."""
    for book in AUXILIARY_LOGS:
        book.register_check(store)


def rewind_logs(store: Store, step: int) -> None:
    """Take every logbook back to the end of ``step``."""
    for book in AUXILIARY_LOGS:
        book.rewind(store, step)
