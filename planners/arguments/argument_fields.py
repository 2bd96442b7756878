"""The fields of a tool's arguments, as its JSON Schema tells them, and the values that fit."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...core import Json, ToolSpec, identifier_to_words, resolve_pointer

MAX_OBJECT_DEPTH = 4  # of objects in objects; what lies deeper is written under the grammar
# What the checks below know; a schema with other words is left to the grammar.
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
    """One value to find. ``kind``: integer, number, boolean, string, array, object or any;
    ``item`` the kind of an array's elements. ``choices`` are the only values allowed,
    ``hints`` values that the description lists. ``default`` is None where none is told.
    ``ways`` are the alternatives of a union, in the schema's order."""

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
        """The last part of its path."""
        return self.path[-1]

    @property
    def label(self) -> str:
        """Its name in words."""
        return identifier_to_words(self.name)

    @property
    def format(self) -> str:
        """The format of its texts, or of its list's: "date", "email"; empty for none."""
        inner = self.schema.get("items") if self.kind == "array" else self.schema
        told = inner.get("format") if isinstance(inner, Mapping) else None
        return told if isinstance(told, str) else ""

    @property
    def described_format(self) -> str:
        """What a text without a format is, by the description: "date" ("YYYY-MM-DD"), "time"
        ("HH:MM", of 24 hours); else empty."""
        if self.kind != "string" or self.format or self.choices:
            return ""
        day = _WRITTEN_DAY.search(self.description) is not None
        clock = _WRITTEN_TIME.search(self.description) is not None
        if day == clock or re.search(r"\b[ap]\.?m\b", self.description, re.IGNORECASE):
            return ""
        return "date" if day else "time"

    @property
    def text(self) -> str:
        """Name and description in one line."""
        return f"{self.label}: {self.description}" if self.description else self.label


def fields_of(spec: ToolSpec) -> list[ArgumentField]:
    """The fields of a tool's arguments in the schema's order, those of objects one by one."""
    return [*_fields(spec.parameters, spec.parameters, (), True, MAX_OBJECT_DEPTH)]


def _fields(
    schema: Json, root: Json, path: tuple[str, ...], required: bool, depth: int
) -> Iterator[ArgumentField]:
    wanted = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        one = resolve_schema(inner, root)
        here = (*path, name)
        needed = required and name in wanted
        if (
            kind_of(one) == "object"
            and one.get("properties")
            and depth
            and _has_known_keywords(one)
        ):
            yield from _fields(one, root, here, needed, depth - 1)
        else:
            yield _field(one, here, needed, root)


def resolve_schema(schema: Json, root: Json) -> Json:
    """A schema behind its references, and without the null that an optional value may be."""
    for _ in range(8):
        if not isinstance(schema, Mapping):
            return {}
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/"):
            found = resolve_pointer(root, reference, {})
            notes = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**found, **notes} if isinstance(found, Mapping) else notes
            continue
        ways = schema.get("anyOf") or schema.get("oneOf")
        others = [way for way in ways or () if way != {"type": "null"}]
        if len(others) != 1 or len(others) == len(ways or ()):
            break
        rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
        schema = {**rest, **others[0], "description": rest.get("description", "")}
    kinds = schema.get("type")
    if isinstance(kinds, list):
        named = [kind for kind in kinds if kind != "null"]
        rest = {key: value for key, value in schema.items() if key != "type"}
        if len(named) == 1:
            return {**rest, "type": named[0]}
        return {**rest, "anyOf": [{"type": kind} for kind in named]} if named else rest
    return schema


def _alternatives(schema: Json, root: Json) -> list[Json]:
    """The alternatives of a union behind their references, without null."""
    told = schema.get("anyOf") or schema.get("oneOf") or ()
    found = [resolve_schema(way, root) for way in told if isinstance(way, Mapping)]
    return [way for way in found if way.get("type") != "null"]


def kind_of(schema: Json) -> str:
    """The kind of a schema's values; any where it does not say."""
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if isinstance(kind, str) and kind in _KINDS:
        return kind
    values = schema.get("enum") if isinstance(schema, Mapping) else None
    if isinstance(values, list) and values and all(isinstance(one, str) for one in values):
        return "string"
    return "any"


def _field(schema: Json, path: tuple[str, ...], required: bool, root: Json) -> ArgumentField:
    about = " ".join(str(schema.get("description") or "").split())
    if "type" not in schema and (alternatives := _alternatives(schema, root)):
        rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
        schema = {**rest, "anyOf": alternatives}
        told = [{"description": about, **one} for one in alternatives]
        ways = tuple(_field(one, path, required, root) for one in told)
        default = schema.get("default")
        return ArgumentField(
            path, "union", schema, required, about, default=default, alternatives=ways
        )
    kind = kind_of(schema)
    items = schema.get("items") if kind == "array" else None
    choices = [schema["const"]] if "const" in schema else schema.get("enum") or ()
    if kind == "array" and isinstance(items, Mapping):
        choices = items.get("enum") or ()
    default = schema.get("default")
    told = default if default is not None else default_in(about)
    return ArgumentField(
        path,
        kind,
        schema,
        required,
        about,
        item_kind=kind_of(items)
        if isinstance(items, Mapping)
        else "any"
        if kind == "array"
        else "",
        choices=tuple(choices),
        hints=() if choices else hints_in(about),
        default=told,
    )


def default_in(about: str) -> Json:
    """The default that a description tells; None where it tells none.

    >>> default_in("The unit. Default is 'cm'."), default_in("Rounds. Default 0")
    ('cm', 0)
    """
    match = _DEFAULT.search(about)
    if match is None:
        return None
    *quoted, bare = match.groups()
    word = next((one for one in quoted if one is not None), None)
    if word is not None:
        return word
    if re.fullmatch(r"-?\d+\.?", bare):
        return int(bare.rstrip("."))
    if bare.lower() in ("true", "false"):
        return bare.lower() == "true"
    try:
        return float(bare.rstrip("."))
    except ValueError:
        return bare


def hints_in(about: str) -> tuple[str, ...]:
    """Values that a description lists, quoted or in brackets: two of them at least, and no
    examples, which stand for any value.

    >>> hints_in("Either 'metric' or 'imperial'."), hints_in("The mode (walk, bike, drive).")
    (('metric', 'imperial'), ('walk', 'bike', 'drive'))
    """
    bracket = re.search(r"\(([^()]*)\)", about)
    if bracket and not _LISTED.search(about):
        told = re.sub(r"^(e\.g\.,?|either|one of|for example,?) ", "", bracket.group(1).strip())
        parts = [one.strip() for one in re.split(r",\s*(?:or |and )?| or ", told)]
        parts = [one.removesuffix("etc.").strip() for one in parts]
        if len(parts) > 1 and all(0 < len(one.split()) < 4 for one in parts):
            return tuple(parts)
    quoted = [next(filter(None, match.groups())) for match in _LISTED.finditer(about)]
    found = tuple(dict.fromkeys(one for one in quoted if len(one.split()) < 4 and "," not in one))
    return found if len(found) > 1 else ()


def has_example(about: str) -> bool:
    """Whether a description gives an example of the value."""
    return bool(_EXAMPLE.search(about))


def _has_known_keywords(schema: Json) -> bool:
    return set(schema) <= _KNOWN_KEYWORDS


def is_checkable(schema: Json) -> bool:
    """Whether ``satisfies_schema`` sees to all that a schema demands."""
    if not isinstance(schema, Mapping) or not set(schema) <= _KNOWN_KEYWORDS:
        return False
    kinds = schema.get("type", "string")
    inner = [*schema.get("properties", {}).values()]
    inner += [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if isinstance(schema.get("items"), Mapping):
        inner.append(schema["items"])
    elif "items" in schema:
        return False
    return isinstance(kinds, str) and all(is_checkable(one) for one in inner)


def satisfies_schema(value: Json, schema: Json) -> bool:
    """Whether a value satisfies a schema that ``is_checkable`` approves of."""
    if not isinstance(schema, Mapping):
        return schema is not False
    if "enum" in schema and not any(_equal_json(value, one) for one in schema["enum"]):
        return False
    if "const" in schema and not _equal_json(value, schema["const"]):
        return False
    ways = schema.get("anyOf") or schema.get("oneOf")
    if ways and not any(satisfies_schema(value, way) for way in ways):
        return False
    match schema.get("type"):
        case "boolean":
            return isinstance(value, bool)
        case "integer" | "number" as kind:
            return _fits_number(value, schema, kind)
        case "string":
            return isinstance(value, str) and _fits_text(value, schema)
        case "array":
            return isinstance(value, list) and _fits_list(value, schema)
        case "object":
            return isinstance(value, dict) and _fits_object(value, schema)
        case "null":
            return value is None
    return True


def _equal_json(one: Json, other: Json) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _fits_number(value: Json, schema: Json, kind: str) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if isinstance(value, float) and not math.isfinite(value):
        return False
    if kind == "integer" and value != int(value):
        return False
    step = schema.get("multipleOf")
    exact = isinstance(value, int) and isinstance(step, int)
    return bool(
        value >= schema.get("minimum", -math.inf)
        and value <= schema.get("maximum", math.inf)
        and value > schema.get("exclusiveMinimum", -math.inf)
        and value < schema.get("exclusiveMaximum", math.inf)
        and (not step or (value % step == 0 if exact else value / step == int(value / step)))
    )


def _fits_text(value: str, schema: Json) -> bool:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", math.inf):
        return False
    if "pattern" in schema:
        try:
            return re.search(schema["pattern"], value) is not None
        except re.error:
            return False
    return _FORMATS.get(schema.get("format", ""), re.compile("")).match(value) is not None


# A format is a note to most readers; where one is known, a text must look like it.
_FORMATS = {
    "date": re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])\Z"),
    "time": re.compile(r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]\d\d:\d\d)?\Z", re.I),
    "date-time": re.compile(
        r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?\Z", re.I
    ),
    "duration": re.compile(
        r"-?P(?=[\dT])(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?)\Z"
    ),
    "email": re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+\Z"),
    "uri": re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+\Z"),
    "uuid": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.I),
}


def _fits_list(value: list[Json], schema: Json) -> bool:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf):
        return False
    if schema.get("uniqueItems") and any(one in value[:i] for i, one in enumerate(value)):
        return False
    return all(satisfies_schema(one, schema.get("items", True)) for one in value)


def _fits_object(value: dict[str, Json], schema: Json) -> bool:
    named = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    return all(name in value for name in schema.get("required", ())) and all(
        satisfies_schema(one, named.get(name, others)) for name, one in value.items()
    )
