"""Where in a file words of people lie: the one list of tables that erasing goes by.

A table that is not on it makes a test fail, so that a new one cannot be left out of erasing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from ...core import AgentId, Json
from ...store import Store

TextReader: TypeAlias = Callable[[Json], Iterator[str]]

RECORD_TEXT_FIELDS = ("text", "subject", "predicate", "object", "place", "episode", "source")
"""The fields of a record with words in them."""


def text_leaves(value: Json) -> Iterator[str]:
    """Every text in a JSON value, names of fields included: a tool's result may have people's
    names there."""
    rest = [value]
    while rest:
        part = rest.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            rest += [*part, *part.values()]
        elif isinstance(part, list):
            rest += part


_LABELS = frozenset({"who", "person", "audience", "sources", "read", "listeners", "by"})


def label_leaves(value: Json) -> Iterator[str]:
    """Every text in a JSON value that says whose something is: who said it, for whom it is."""
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
    """Reads the texts in some fields of an object."""

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


def _no_labels(body: Json) -> Iterator[str]:
    yield from ()


@dataclass(frozen=True, slots=True)
class TextColumn:
    """A column with words of people in it: ``words`` reads the texts in one value, ``label_leaves``
    the names of who said it and for whom it is; ``eraser`` is the key of what erases there."""

    table: str
    column: str
    eraser: str
    words: TextReader
    labels: TextReader = _no_labels


TEXT_COLUMNS = (
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
    TextColumn("calls", "body", "calls", _call_words, _call_labels),
    TextColumn("suspended", "body", "calls", _talk_words, label_leaves),
    TextColumn("texts", "text", "texts", text_leaves),
)
"""Every column with words. Pictures are records of a memory of their own, "Bo/images"; plans,
summaries and thoughts are records too."""

_LINES = frozenset({"agent", "n", "step", "digest", "link"})
_HEADS = frozenset({"agent", "lines", "link"})
TEXT_FREE_COLUMNS: dict[str, frozenset[str]] = {
    "memory_records": frozenset({"agent", "id", "step", "digest", "link"}),
    "memory_touches": frozenset({"agent", "n", "step", "at", "records", "link"}),
    "memory_heads": frozenset({"agent", "records", "link", "touches", "touch_link"}),
    "memory_log": frozenset({"agent", "n", "step", "what", "link"}),
    "claims_lines": _LINES,
    "claims_heads": _HEADS,
    "documents_lines": _LINES,
    "documents_heads": _HEADS,
    "folds_lines": _LINES,
    "folds_heads": _HEADS,
    "notes_lines": _LINES,
    "notes_heads": _HEADS,
    "calls": frozenset({"key", "step", "agent", "path", "state", "mark"}),
    "suspended": frozenset({"scope", "agent", "mark"}),
    "texts": frozenset({"digest"}),
    "header": frozenset({"key", "value", "digest"}),
    "parts": frozenset({"part", "version"}),
}
"""Columns of numbers, digests, times and names of the memories' owners, who cannot be forgotten
from a file that is theirs."""

DERIVED_COLUMNS = {"memory_records": frozenset({"vector"})}
"""What is made of words, and is emptied with them."""

REFUSED_TABLES = {
    "journal": frozenset({"ticks", "asks", "pending", "states", "snapshots", "inputs"}),
    "ledger": frozenset({"ledger"}),
}
"""By the part of the store: tables of runs, whose journal repeats what was said and is
replayed. A file that has one is refused whole."""


@dataclass(frozen=True, slots=True)
class StoredText:
    """What stands in one value: its table, whose memory it is in, its words and its labels."""

    table: str
    agent: AgentId
    words: tuple[str, ...]
    labels: tuple[str, ...]


def stored_texts(store: Store) -> Iterator[StoredText]:
    """The words and labels in a file."""
    for place in TEXT_COLUMNS:
        if not store.first_row("SELECT 1 FROM sqlite_master WHERE name = ?", (place.table,)):
            continue
        whose = "agent" if "agent" in TEXT_FREE_COLUMNS[place.table] else "''"
        for agent, value in store.iter_rows(f"SELECT {whose}, {place.column} FROM {place.table}"):
            if value is None:
                continue
            body = value if place.table == "texts" else json.loads(value)
            if body is None:  # A line that was erased, and taken over from an export.
                continue
            words = tuple(text for text in place.words(body) if text)
            yield StoredText(place.table, agent, words, tuple(filter(None, place.labels(body))))
