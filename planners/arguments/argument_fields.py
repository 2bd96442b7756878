"""The fields of a tool's arguments, read from its JSON Schema, and the validity of values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from math import isfinite
from typing import Any

from ...core import Json, ToolSpec, identifier_to_words, resolve_pointer

MAX_OBJECT_DEPTH = 4  # of nested objects; deeper values are generated under the schema
# Keywords that ``satisfies_schema`` checks; values of other schemas are generated under them.
_KNOWN_KEYWORDS_TEXT = """
type enum const minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength
pattern items minItems maxItems uniqueItems properties required additionalProperties title
description default examples format optional deprecated $schema $defs definitions anyOf oneOf
"""
_KNOWN_KEYWORDS = frozenset(_KNOWN_KEYWORDS_TEXT.split())
_KINDS = ("integer", "number", "boolean", "string", "array", "object")
_LISTED = re.compile(r"'([^']{1,40})'|\"([^\"]{1,40})\"|‘([^’]{1,40})’|`([^`]{1,40})`")
_DEFAULT = re.compile(
    r"\bdefault(?:s|ed)?(?: value)?(?: is| are| to|:|=|,)*(?: set to)? *"
    r"(?:'([^']*)'|\"([^\"]*)\"|`([^`]*)`|(-?\d[\d.]*(?:e-?\d+)?|[A-Za-z]\w*))",
    re.IGNORECASE,
)
_EXAMPLE = re.compile(r"\b(e\.?g\.?|example|such as|like|format)\b", re.IGNORECASE)
_WRITTEN_DAY = re.compile(r"\b(?:YYYY[-/.]MM[-/.]DD|DD[-/.]MM[-/.]YYYY|MM[-/.]DD[-/.]YYYY)\b", re.I)
_WRITTEN_TIME = re.compile(r"\bHH:MM(?::SS)?\b", re.I)


@dataclass(frozen=True, slots=True)
class ArgumentField:
    """A value to find for a call.

    ``kind``: integer, number, boolean, string, array, object, union or any; ``item_kind``: that of
    an array's elements. ``choices``: the allowed values; ``hints``: values listed in the
    description. ``default`` is None without one. ``alternatives``: the fields of a union."""

    path: tuple[str, ...]
    kind: str
    schema: Json = field(hash=False)
    required: bool
    description: str = ""
    item_kind: str = ""
    choices: tuple[Any, ...] = ()
    hints: tuple[str, ...] = ()
    default: Json = field(default=None, hash=False)
    alternatives: tuple[ArgumentField, ...] = ()

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path[-1]

    @property
    def label(self) -> str:
        """The name in words."""
        return identifier_to_words(self.name)

    @property
    def format(self) -> str:
        """The format of the text or of the list's elements, such as "date"; else empty."""
        schema = self.schema.get("items") if self.kind == "array" else self.schema
        name = schema.get("format") if isinstance(schema, Mapping) else None
        return name if isinstance(name, str) else ""

    @property
    def described_format(self) -> str:
        """The format that only the description gives: "date" ("YYYY-MM-DD") or "time" ("HH:MM"
        of 24 hours); else empty."""
        if self.kind != "string" or self.format or self.choices:
            return ""
        is_date = _WRITTEN_DAY.search(self.description) is not None
        is_time = _WRITTEN_TIME.search(self.description) is not None
        if is_date == is_time or re.search(r"\b[ap]\.?m\b", self.description, re.IGNORECASE):
            return ""
        return "date" if is_date else "time"

    @property
    def text(self) -> str:
        """The name in words and the description, in one line."""
        return f"{self.label}: {self.description}" if self.description else self.label


def fields_of(spec: ToolSpec) -> list[ArgumentField]:
    """The fields of a tool's arguments in the schema's order, with those of nested objects."""
    return [*_fields(spec.parameters, spec.parameters, (), True, MAX_OBJECT_DEPTH)]


def _fields(
    schema: Json, root: Json, path: tuple[str, ...], required: bool, depth: int
) -> Iterator[ArgumentField]:
    for name, subschema in schema.get("properties", {}).items():
        subschema = resolve_schema(subschema, root)
        needed = required and name in schema.get("required", ())
        nested = kind_of(subschema) == "object" and subschema.get("properties")
        if nested and depth and set(subschema) <= _KNOWN_KEYWORDS:
            yield from _fields(subschema, root, (*path, name), needed, depth - 1)
        else:
            yield _field(subschema, (*path, name), needed, root)


def resolve_schema(schema: Json, root: Json) -> Json:
    """A schema with its references to ``root`` resolved, without the null of optional values."""
    for _ in range(8):
        if not isinstance(schema, Mapping):
            return {}
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/"):
            target = resolve_pointer(root, reference, {})
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**target, **rest} if isinstance(target, Mapping) else rest
            continue
        union = schema.get("anyOf") or schema.get("oneOf") or ()
        others = [alternative for alternative in union if alternative != {"type": "null"}]
        if len(others) != 1 or len(others) == len(union):
            break
        rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
        schema = {**rest, **others[0], "description": rest.get("description", "")}
    if not isinstance(schema.get("type"), list):
        return schema
    kinds = [kind for kind in schema["type"] if kind != "null"]
    rest = {key: value for key, value in schema.items() if key != "type"}
    if len(kinds) == 1:
        return {**rest, "type": kinds[0]}
    return {**rest, "anyOf": [{"type": kind} for kind in kinds]} if kinds else rest


def _alternatives(schema: Json, root: Json) -> list[Json]:
    union = schema.get("anyOf") or schema.get("oneOf") or ()
    resolved = [resolve_schema(inner, root) for inner in union if isinstance(inner, Mapping)]
    return [alternative for alternative in resolved if alternative.get("type") != "null"]


def kind_of(schema: Json) -> str:
    """The JSON type of a schema's values; "any" if it is not given."""
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if isinstance(kind, str) and kind in _KINDS:
        return kind
    values = schema.get("enum") if isinstance(schema, Mapping) else None
    if isinstance(values, list) and values and all(isinstance(value, str) for value in values):
        return "string"
    return "any"


def _field(schema: Json, path: tuple[str, ...], required: bool, root: Json) -> ArgumentField:
    description = " ".join(str(schema.get("description") or "").split())
    default = schema.get("default")
    if "type" not in schema and (union := _alternatives(schema, root)):
        rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
        described = [{"description": description, **alternative} for alternative in union]
        return ArgumentField(
            path,
            "union",
            {**rest, "anyOf": union},
            required,
            description,
            default=default,
            alternatives=tuple(_field(inner, path, required, root) for inner in described),
        )
    kind = kind_of(schema)
    choices = [schema["const"]] if "const" in schema else schema.get("enum") or ()
    item_kind = ""
    if kind == "array":
        items = schema.get("items")
        item_kind = kind_of(items)
        choices = (items.get("enum") or ()) if isinstance(items, Mapping) else choices
    return ArgumentField(
        path,
        kind,
        schema,
        required,
        description,
        item_kind=item_kind,
        choices=tuple(choices),
        hints=() if choices else hints_in(description),
        default=default if default is not None else default_in(description),
    )


def default_in(description: str) -> Json:
    """The default value that a description gives; None if it gives none.

    >>> default_in("The unit. Default is 'cm'."), default_in("Rounds. Default 0")
    ('cm', 0)
    """
    match = _DEFAULT.search(description)
    if match is None:
        return None
    *quoted, bare = match.groups()
    text = next((group for group in quoted if group is not None), None)
    if text is not None:
        return text
    if re.fullmatch(r"-?\d+\.?", bare):
        return int(bare.rstrip("."))
    if bare.lower() in ("true", "false"):
        return bare.lower() == "true"
    try:
        return float(bare.rstrip("."))
    except ValueError:
        return bare


def hints_in(description: str) -> tuple[str, ...]:
    """The values that a description lists, in quotes or parentheses; at least two.

    >>> hints_in("Either 'metric' or 'imperial'."), hints_in("The mode (walk, bike, drive).")
    (('metric', 'imperial'), ('walk', 'bike', 'drive'))
    """
    bracket = re.search(r"\(([^()]*)\)", description)
    if bracket and not _LISTED.search(description):
        listed = re.sub(r"^(e\.g\.,?|either|one of|for example,?) ", "", bracket[1].strip())
        parts = [part.strip() for part in re.split(r",\s*(?:or |and )?| or ", listed)]
        parts = [part.removesuffix("etc.").strip() for part in parts]
        if len(parts) > 1 and all(0 < len(part.split()) < 4 for part in parts):
            return tuple(parts)
    quoted = [next(filter(None, match.groups())) for match in _LISTED.finditer(description)]
    short = dict.fromkeys(text for text in quoted if len(text.split()) < 4 and "," not in text)
    return tuple(short) if len(short) > 1 else ()


def has_example(description: str) -> bool:
    """Whether a description gives an example of the value."""
    return bool(_EXAMPLE.search(description))


def is_checkable(schema: Json) -> bool:
    """Whether a schema has only keywords and types that ``satisfies_schema`` checks."""
    if not isinstance(schema, Mapping) or not set(schema) <= _KNOWN_KEYWORDS:
        return False
    inner = [*schema.get("properties", {}).values()]
    inner += [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    inner += [schema["items"]] if "items" in schema else []
    return schema.get("type", "null") in (*_KINDS, "null") and all(map(is_checkable, inner))


def satisfies_schema(value: Json, schema: Json) -> bool:
    """Whether a value is valid under a schema that ``is_checkable`` accepts.

    Unlike in the standard, known formats are checked, numbers are finite, ``oneOf`` means
    ``anyOf``, and no text matches an invalid pattern."""
    return schema_check(schema)(value)


def schema_check(schema: Json) -> Callable[[Json], bool]:
    """``satisfies_schema`` for many values of one schema."""
    check: Callable[[Json], bool] = _validator_class()(schema).is_valid
    return check


@cache
def _validator_class() -> Any:
    library: Any = import_module("jsonschema")
    standard = library.Draft202012Validator

    def matches(validator: Any, pattern: str, value: Json, schema: Json) -> Iterator[Exception]:
        try:
            valid = not isinstance(value, str) or re.search(pattern, value) is not None
        except re.error:
            valid = False
        if not valid:
            yield library.ValidationError("no match")

    def has_format(validator: Any, name: str, value: Json, schema: Json) -> Iterator[Exception]:
        yield from matches(validator, _FORMATS.get(name, ""), value, schema)

    def is_finite_number(checker: Any, value: Json) -> bool:
        is_int = isinstance(value, int) and not isinstance(value, bool)
        return is_int or (isinstance(value, float) and isfinite(value))

    keywords = {"format": has_format, "pattern": matches, "oneOf": standard.VALIDATORS["anyOf"]}
    types = standard.TYPE_CHECKER.redefine("number", is_finite_number)
    return library.validators.extend(standard, keywords, type_checker=types)


_FORMATS = {
    "date": r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])\Z",
    "time": r"(?i)^([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]\d\d:\d\d)?\Z",
    "date-time": r"(?i)^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?\Z",
    "duration": r"^-?P(?=[\dT])(\d+W|(\d+Y)?(\d+M)?(\d+D)?"
    r"(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?)\Z",
    "email": r"^[^@\s]+@[^@\s]+\.[^@\s]+\Z",
    "uri": r"^[A-Za-z][A-Za-z0-9+.-]*:\S+\Z",
    "uuid": r"(?i)^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z",
}
