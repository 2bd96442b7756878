"""The sentences of a passage of a document, as they can be told: without its headings, and the
rows of a table field by field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ...core import sentences

_ENDS = (".", "!", ":", ";", ",", "…")
_MAX_ROW_FIELDS = 12
_NAME_COLUMNS = ("name", "title", "product", "item", "article name")
_BULLET = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+")
_BACKWARD = re.compile(r"^(?:It|He|She|They|This|That|These|There|Then|So|But|And)\b")


class DocumentSentence(NamedTuple):
    """A sentence, and the ``context`` that it is understood with: the headings above it, or the
    row of a table that it is a field of (``is_row``)."""

    text: str
    context: str = ""
    is_row: bool = False


def document_sentences(passage: str) -> list[DocumentSentence]:
    r"""The sentences of a passage, in order.

    >>> [one.text for one in document_sentences("Shop > Hours\nWe open at nine. Ring the bell.")]
    ['We open at nine.', 'Ring the bell.']
    >>> document_sentences("name: Ember; kind: stove; price: 45")[1].text
    'Ember, price: 45.'
    """
    heading, body = split_heading(passage)
    found: list[DocumentSentence] = []
    prose: list[str] = []
    for line in [*body, ""]:
        fields = _row_fields(line)
        is_item = _BULLET.match(line) is not None
        if prose and (fields or is_item or not line.strip()):
            found += _prose(" ".join(prose), heading)
            prose = []
        if fields:
            found += _row_sentences(fields, heading)
        elif line.strip():
            prose.append(_BULLET.sub("", line).strip())
    return found


def split_heading(passage: str) -> tuple[str, list[str]]:
    r"""The headings above a passage, and the lines of its text. The first of several lines is
    headings unless it ends like a sentence, or the next line continues it.

    >>> split_heading("Delivery\nIt is free.")
    ('Delivery', ['It is free.'])
    >>> split_heading("We deliver\nto France.")
    ('', ['We deliver', 'to France.'])
    """
    first, *rest = passage.split("\n")
    continues = bool(rest) and rest[0].lstrip()[:1].islower() and not _row_fields(rest[0])
    if not rest or continues or first.rstrip().endswith(_ENDS) or _row_fields(first):
        return "", [first, *rest]
    return first.strip(), rest


def _prose(text: str, heading: str) -> Iterator[DocumentSentence]:
    parts: list[str] = []
    for part in sentences(text):
        if parts and _BACKWARD.match(part):
            parts[-1] += f" {part}"
        elif part.strip():
            parts.append(part.strip())
    return (DocumentSentence(part, heading) for part in parts)


def _row_fields(line: str) -> list[tuple[str, str]]:
    """The columns and cells of a row ("name: Ember; price: 45"); empty for any other line."""
    pairs = [part.partition(": ") for part in line.split("; ")]
    if len(pairs) < 2 or not all(mark and name.strip() and cell for name, mark, cell in pairs):
        return []
    return [(name.strip(), cell.strip()) for name, _, cell in pairs]


def _row_sentences(fields: list[tuple[str, str]], heading: str) -> Iterator[DocumentSentence]:
    """A sentence for each field but the one that names the row."""
    named = [cell for name, cell in fields if name.lower() in _NAME_COLUMNS]
    label = named[0] if named else fields[0][1]
    row = "; ".join(f"{name}: {cell}" for name, cell in fields)
    for name, cell in fields[:_MAX_ROW_FIELDS]:
        if cell != label:
            end = "" if cell.endswith((".", "!", "?")) else "."
            yield DocumentSentence(
                f"{label}, {name}: {cell}{end}", f"{heading} {row}".strip(), True
            )
