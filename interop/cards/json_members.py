"""Edits of a JSON text that leave everything else as it is written: a card that was read and
changed keeps the numbers, escapes, order and white space of its author.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from ...core import Json

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True)
class MemberSpan:
    """Where a member of an object stands in the text: its key from ``key`` on, its value from
    ``start`` to ``end``."""

    key: int
    start: int
    end: int


def member_spans(text: str, at: int = 0) -> dict[str, MemberSpan]:
    """The members of the JSON object that begins at or after ``at`` in a well-formed text; of a
    key that occurs twice the last one."""
    spans: dict[str, MemberSpan] = {}
    at = _skip(text, _skip(text, at) + 1)
    while text[at] != "}":
        key_start = at
        key, at = _DECODER.raw_decode(text, at)
        start = _skip(text, _skip(text, at) + 1)
        _, end = _DECODER.raw_decode(text, start)
        spans[key] = MemberSpan(key_start, start, end)
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return spans


def set_member(text: str, path: tuple[str, ...], value: Json) -> str:
    """The text with the member at ``path`` (one or more keys) set to ``value``, added at the end of
    its object if it is absent. Objects on the way that are absent are added.

    >>> set_member('{"a": 1.50, "b": {"c": "x"}}', ("b", "c"), "y")
    '{"a": 1.50, "b": {"c": "y"}}'
    >>> set_member('{"a": 1.50}', ("b", "c"), "y")
    '{"a": 1.50, "b": {"c": "y"}}'
    """
    at = _skip(text, 0)
    for depth, key in enumerate(path):
        spans = member_spans(text, at)
        inner = path[depth + 1 :]
        if inner and key in spans and text[spans[key].start] == "{":
            at = spans[key].start
            continue
        for name in reversed(inner):
            value = {name: value}
        return _with_value(text, at, spans, key, value)
    return text


def _with_value(text: str, at: int, spans: dict[str, MemberSpan], key: str, value: Json) -> str:
    """The text with a member of the object at ``at`` replaced, or added after the last one."""
    if span := spans.get(key):
        return f"{text[: span.start]}{_dump(value)}{text[span.end :]}"
    if not spans:
        start = at + 1
        return f"{text[:start]}{_dump(key)}: {_dump(value)}{text[start:]}"
    last = max(spans.values(), key=lambda span: span.end)
    # The new member is laid out like the last one: on a line of its own, or not.
    before = text[text.rfind(",", at, last.key) + 1 or at + 1 : last.key]
    gap = before if not before.strip() and "\n" in before else " "
    return f"{text[: last.end]},{gap}{_dump(key)}: {_dump(value)}{text[last.end :]}"


def _dump(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def _skip(text: str, at: int) -> int:
    """The first place from ``at`` on that is no white space."""
    match = _SPACE.match(text, at)
    return match.end() if match else at
