"""The columns of a file that hold people's words: the one list that erasure uses.

A test fails for a table that is not on it, so that a new one cannot be left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from ...core import AgentId, Json
from ...store import Store
from ..storage import AUXILIARY_LOGS, KEPT_TABLES, SNAPSHOT_TABLE, TEXT_FIELDS

TextReader: TypeAlias = Callable[[Json], Iterator[str]]

RECORD_TEXT_FIELDS = tuple(name for name in TEXT_FIELDS if name != "who")
"""The fields of a record that hold words; who said them is a label."""


def text_leaves(value: Json, *, values_only: bool = False) -> Iterator[str]:
    """Every text in a JSON value, field names included: a tool's result may have people's names
    there. With ``values_only`` neither these nor label fields."""
    rest = [value]
    while rest:
        part = rest.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            if values_only:
                rest += [inner for name, inner in part.items() if name not in _LABELS]
            else:
                rest += [*part, *part.values()]
        elif isinstance(part, list):
            rest += part


_LABELS = frozenset({"who", "person", "audience", "sources", "read", "listeners", "by"})


def label_leaves(value: Json) -> Iterator[str]:
    """Every text in the label fields of a JSON value: speakers, sources, audiences."""
    rest = [value]
    while rest:
        part = rest.pop()
        if isinstance(part, dict):
            for name, inner in part.items():
                if name in _LABELS:
                    yield from text_leaves(inner)
                rest.append(inner)
        elif isinstance(part, list):
            rest += part


def _fields(*names: str) -> TextReader:
    """A reader of the texts in some fields of an object."""

    def read(body: Json) -> Iterator[str]:
        for name in names:
            yield from text_leaves(body.get(name))

    return read


def _places(body: Json) -> Iterator[str]:
    yield body["document"]
    yield from (place for _, place in body["records"])
    yield from _fields("name", "path")(body)


def _call_words(body: Json) -> Iterator[str]:
    request, result = body.get("request") or {}, body.get("result") or {}
    yield from _fields("arguments", "why", "because")(request)
    yield from _fields("value", "error")(result)
    yield from _fields("note")(body.get("approval") or {})


def _call_labels(body: Json) -> Iterator[str]:
    yield from _fields("person", "sources", "read", "audience")(body.get("request") or {})
    yield from _fields("by")(body.get("approval") or {})


def _talk_words(body: Json) -> Iterator[str]:
    yield from (line["text"] for line in (body["message"], *body["session"]))
    for _, _, answer in body["answers"]:
        yield from _fields("text", "data", "value", "error", "detail", "dropped")(answer)
        for hit in answer.get("hits", ()):
            for record in (hit["record"], *hit.get("around", ())):
                yield from _fields(*RECORD_TEXT_FIELDS)(record)


def _session_words(body: Json) -> Iterator[str]:
    yield body["session"]
    yield from text_leaves(body["data"], values_only=True)


def _session_labels(body: Json) -> Iterator[str]:
    yield body["person"]
    yield from label_leaves(body["data"])


def _snapshot_words(body: Json) -> Iterator[str]:
    yield body["label"]
    # A key may be anybody's words; one that is a word in small letters is a field's name.
    leaves = text_leaves(body["state"])
    yield from (text for text in leaves if not (text.isidentifier() and text.islower()))


def _snapshot_labels(body: Json) -> Iterator[str]:
    yield from label_leaves(body["state"])


@dataclass(frozen=True, slots=True)
class TextColumn:
    """A column that holds people's words: ``words`` reads the texts in one value, ``labels`` the
    names of its sources and audience; ``eraser`` is a key of ``erasers.ERASERS``."""

    table: str
    column: str
    eraser: str
    words: TextReader
    labels: TextReader = lambda body: iter(())


_LIVE_COLUMNS = (
    TextColumn(
        "memory_records",
        "body",
        "records",
        _fields(*RECORD_TEXT_FIELDS),
        _fields("who", "audience", "sources"),
    ),
    TextColumn("memory_log", "data", "log", _fields("why"), _fields("who")),
    TextColumn(
        "claims_lines",
        "body",
        "claims",
        _fields("subject", "relation", "object", "why"),
        _fields("who", "audience", "words_of"),
    ),
    TextColumn("documents_lines", "body", "documents", _places, _fields("giver")),
    TextColumn("folds_lines", "body", "folds", _fields("why")),
    TextColumn(
        "notes_lines",
        "body",
        "notes",
        _fields("note", "removed", "text"),
        _fields("person", "sources", "audience"),
    ),
    TextColumn("sessions_lines", "body", "sessions", _session_words, _session_labels),
    TextColumn("corrections_lines", "body", "corrections", _fields("why"), _fields("by")),
)

TEXT_COLUMNS = (
    *_LIVE_COLUMNS,
    *(
        replace(column, table=kept)
        for column in _LIVE_COLUMNS
        if (kept := KEPT_TABLES[column.table])
    ),
    TextColumn(SNAPSHOT_TABLE, "body", "snapshots", _snapshot_words, _snapshot_labels),
    TextColumn("calls", "body", "calls", _call_words, _call_labels),
    TextColumn("suspended", "body", "calls", _talk_words, label_leaves),
    TextColumn("texts", "text", "texts", text_leaves),
)
"""Every column that holds text; those of rows that only snapshots need are erased with the rest, by
``storage.rewrite_states``. Images are records of a memory of their own, "Bo/images"; plans,
summaries and thoughts are records too."""

_LINES = frozenset({"agent", "n", "step", "digest", "link"})
_HEADS = frozenset({"agent", "lines", "link"})
_LOG_COLUMNS = {
    "memory_records": frozenset({"agent", "id", "step", "digest", "link"}),
    "memory_touches": frozenset({"agent", "n", "step", "at", "records", "link"}),
    "memory_log": frozenset({"agent", "n", "step", "what", "link"}),
    **{log.tables[0]: _LINES for log in AUXILIARY_LOGS},
}
TEXT_FREE_COLUMNS: dict[str, frozenset[str]] = {
    **_LOG_COLUMNS,
    **{kept: _LOG_COLUMNS[table] | {"parent"} for table, kept in KEPT_TABLES.items()},
    "memory_heads": frozenset({"agent", "records", "link", "touches", "touch_link"}),
    **{log.tables[1]: _HEADS for log in AUXILIARY_LOGS},
    SNAPSHOT_TABLE: frozenset({"agent", "id", "digest"}),
    "calls": frozenset({"key", "step", "agent", "path", "state", "mark"}),
    "suspended": frozenset({"scope", "agent", "mark"}),
    "texts": frozenset({"digest"}),
    "header": frozenset({"key", "value", "digest"}),
    "parts": frozenset({"part", "version"}),
}
"""Columns of numbers, digests, times and owners' names, which cannot be erased from their own
files."""

DERIVED_COLUMNS = {
    table: frozenset({"vector"}) for table in ("memory_records", KEPT_TABLES["memory_records"])
}
"""Columns computed from text, which are emptied with it."""

REFUSED_TABLES = {
    "journal": frozenset({"ticks", "asks", "pending", "states", "snapshots", "inputs"}),
    "ledger": frozenset({"ledger"}),
}
"""By part of the store: tables of runs, whose journal repeats what was said and is replayed. A file
that has one is refused."""


@dataclass(frozen=True, slots=True)
class StoredText:
    """The texts and labels of one value, with its table and the agent whose memory it is in (empty:
    shared by all)."""

    table: str
    agent: AgentId
    words: tuple[str, ...]
    labels: tuple[str, ...]


def stored_texts(store: Store) -> Iterator[StoredText]:
    """All texts and labels in a file."""
    for column in TEXT_COLUMNS:
        if not store.has_table(column.table):
            continue
        owner = "agent" if "agent" in TEXT_FREE_COLUMNS[column.table] else "''"
        for agent, value in store.iter_rows(f"SELECT {owner}, {column.column} FROM {column.table}"):
            if value is None:
                continue
            body = value if column.table == "texts" else json.loads(value)
            if body is None:  # An erased line, imported from an export.
                continue
            words = tuple(text for text in column.words(body) if text)
            yield StoredText(column.table, agent, words, tuple(filter(None, column.labels(body))))
