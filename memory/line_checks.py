"""What a line of claims, documents, folds or notes must hold, for whoever writes or reads one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeAlias

from ..core import Json, RecordId, time_error
from .fitting import MAX_INTEGER

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
