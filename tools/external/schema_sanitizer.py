"""Sanitizes untrusted JSON Schemas, so that they can be shown to a model and compiled to a grammar.

Nothing is fetched, and every input gives a valid schema. What cannot be represented is dropped,
which accepts more; the program that runs the tool validates the rest.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ...core import Json, resolve_pointer

_TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")
_BOUNDS = (
    ("minimum", "maximum"),
    ("exclusiveMinimum", "exclusiveMaximum"),
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
)
_MAX_COUNT = 10_000
_MAX_DEPTH = 12
_MAX_ALTERNATIVES = 50
_MAX_ENUM = 200
_MAX_NAME_CHARS = 100
_MAX_VALUE_CHARS = 2_000
_REFERENCE = re.compile(r"#(/.*)?")


@dataclass(slots=True)
class _Budget:
    """Number of schemas that may still be written, and maximum length of a description."""

    schemas: int
    words: int


# (schemas, description characters): tried in order until the result is short enough.
_SIZES = ((1_000, 300), (200, 80), (60, 0))
_MAX_SCHEMA_CHARS = 12_000


def sanitize_schema(schema: Json, root: Json = None) -> dict[str, Any]:
    """A valid JSON Schema of an object with at most 12,000 characters, for any input.

    Local references, within the schema or its document ``root``, are replaced by their targets;
    recursive and remote ones by a schema that accepts anything. An object with properties and
    without ``additionalProperties`` accepts no further ones, so that a model invents no arguments.

    >>> schema = {"properties": {"city": {"$ref": "#/$defs/c"}}, "$defs": {"c": {"type": "string"}}}
    >>> sanitize_schema(schema)
    {'type': 'object', 'properties': {'city': {'type': 'string'}}, 'additionalProperties': False}
    """
    for schemas, words in _SIZES:
        sanitized = _object(schema, schema if root is None else root, _Budget(schemas, words))
        if len(json.dumps(sanitized)) <= _MAX_SCHEMA_CHARS:
            return sanitized
    return {"type": "object"}


def clean_text(text: object, limit: int) -> str:
    """One line of at most ``limit`` characters, without line breaks, control and format characters
    and lone surrogates.

    >>> clean_text("two\\nlines\\x1b[0m and more", 12)
    'two lines[0…'
    """
    if not isinstance(text, str):
        return ""
    line = " ".join(text[: 4 * limit].split())
    line = "".join(sign for sign in line if not unicodedata.category(sign).startswith("C"))
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _object(schema: Json, root: Json, budget: _Budget) -> dict[str, Any]:
    sanitized = _subschema(schema, root, (), budget)
    open_ended = isinstance(schema, dict) and (
        "additionalProperties" in schema or "patternProperties" in schema
    )
    if (
        "properties" in sanitized
        and not open_ended
        and "anyOf" not in sanitized
        and "allOf" not in sanitized
    ):
        sanitized["additionalProperties"] = False
    return {**sanitized, "type": "object"} if sanitized.get("type") != "object" else sanitized


def _subschema(schema: Json, root: Json, path: tuple[str, ...], budget: _Budget) -> dict[str, Any]:
    """A schema, sanitized; ``path`` holds the references and levels above it."""
    budget.schemas -= 1
    if not isinstance(schema, dict) or budget.schemas < 0 or len(path) > _MAX_DEPTH:
        return {}
    reference = schema.get("$ref")
    if isinstance(reference, str):
        if reference in path or not _REFERENCE.fullmatch(reference):
            return {}
        # Of the keywords beside a reference only the description is kept.
        sanitized = _subschema(
            resolve_pointer(root, reference, None), root, (*path, reference), budget
        )
        return sanitized | _description(schema, budget)
    # Each level counts towards the depth, like a reference.
    path = (*path, "")
    sanitized = _type_keyword(schema)
    sanitized |= _description(schema, budget) | _values(schema) | _bounds_and_patterns(schema)
    sanitized |= _object_keywords(schema, root, path, budget) | _array_keywords(
        schema, root, path, budget
    )
    return sanitized | _combinators(schema, root, path, budget)


def _type_keyword(schema: dict[str, Json]) -> dict[str, Any]:
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    known = [name for name in _TYPES if name in kinds]
    if schema.get("nullable") is True and known and "null" not in known:
        known.append("null")
    if not known:
        return {"type": "object"} if isinstance(schema.get("properties"), dict) else {}
    return {"type": known[0] if len(known) == 1 else known}


def _description(schema: dict[str, Json], budget: _Budget) -> dict[str, Any]:
    text = clean_text(schema.get("description"), budget.words) if budget.words else ""
    return {"description": text} if text else {}


def _values(schema: dict[str, Json]) -> dict[str, Any]:
    """enum, const and default, if they are short JSON."""
    sanitized: dict[str, Any] = {}
    choices = schema.get("enum")
    if isinstance(choices, list) and 0 < len(choices) <= _MAX_ENUM and _is_short_json(choices):
        sanitized["enum"] = list(
            {json.dumps(value, sort_keys=True): value for value in choices}.values()
        )
    for key in ("const", "default"):
        if key in schema and _is_short_json(schema[key]):
            sanitized[key] = schema[key]
    return sanitized


def _is_short_json(value: Json) -> bool:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        return len(text.encode("utf-8")) <= _MAX_VALUE_CHARS
    except (ValueError, TypeError, RecursionError):
        return False


def _bounds_and_patterns(schema: dict[str, Json]) -> dict[str, Any]:
    """Bounds that do not contradict each other, linear-time patterns, and format."""
    sanitized: dict[str, Any] = {}
    for low, high in _BOUNDS:
        counts = "Length" in low or "Items" in low
        kept = {key: schema[key] for key in (low, high) if _is_valid_bound(schema.get(key), counts)}
        minimum: Any = kept.get(low)
        maximum: Any = kept.get(high)
        is_strict = low.startswith("exclusive")
        both = minimum is not None and maximum is not None
        if both and (minimum > maximum or (is_strict and minimum == maximum)):
            continue
        sanitized |= kept
    if "minimum" in sanitized and "exclusiveMaximum" in sanitized:
        del sanitized["exclusiveMaximum"]
    if "maximum" in sanitized and "exclusiveMinimum" in sanitized:
        del sanitized["exclusiveMinimum"]
    pattern = schema.get("pattern")
    if (
        isinstance(pattern, str)
        and len(pattern) <= 500
        and linear_time_pattern(pattern) is not None
    ):
        sanitized["pattern"] = pattern
    if isinstance(schema.get("format"), str) and _is_short_json(schema["format"]):
        sanitized["format"] = schema["format"]
    return sanitized


def _is_valid_bound(value: Json, counts: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    if counts:
        return isinstance(value, int) and 0 <= value <= _MAX_COUNT
    return abs(value) < 1e15


def _object_keywords(
    schema: dict[str, Json], root: Json, path: tuple[str, ...], budget: _Budget
) -> dict[str, Any]:
    sanitized: dict[str, Any] = {}
    members, required = schema.get("properties"), schema.get("required")
    members = members if isinstance(members, dict) else {}
    names = list(filter(_is_valid_name, required if isinstance(required, list) else ()))
    # Required properties come first, so that they stay when the budget runs out.
    ordered = sorted(filter(_is_valid_name, members), key=lambda name: name not in names)
    properties = {
        name: _subschema(members[name], root, path, budget)
        for name in ordered[: budget.schemas + 1]
    }
    names = list(dict.fromkeys(names))[: len(properties) + 20]
    if properties or names:
        sanitized["properties"] = {**properties, **{n: {} for n in names if n not in properties}}
    if names:
        sanitized["required"] = names
    further = schema.get("additionalProperties")
    if "patternProperties" not in schema and len(properties) == len(members):
        if isinstance(further, bool):
            sanitized["additionalProperties"] = further
        elif isinstance(further, dict):
            sanitized["additionalProperties"] = _subschema(further, root, path, budget)
    return sanitized


def _is_valid_name(name: object) -> bool:
    return (
        isinstance(name, str)
        and 0 < len(name) <= _MAX_NAME_CHARS
        and clean_text(name, _MAX_NAME_CHARS) == name
    )


def _array_keywords(
    schema: dict[str, Json], root: Json, path: tuple[str, ...], budget: _Budget
) -> dict[str, Any]:
    sanitized: dict[str, Any] = {}
    items, first = schema.get("items"), schema.get("prefixItems")
    if isinstance(items, list):
        items, first = None, items
    if isinstance(first, list) and 0 < len(first) <= _MAX_ALTERNATIVES:
        sanitized["prefixItems"] = [_subschema(item, root, path, budget) for item in first]
    if isinstance(items, dict):
        sanitized["items"] = _subschema(items, root, path, budget)
    return sanitized


def _combinators(
    schema: dict[str, Json], root: Json, path: tuple[str, ...], budget: _Budget
) -> dict[str, Any]:
    sanitized: dict[str, Any] = {}
    for key, kept in (("anyOf", "anyOf"), ("oneOf", "anyOf"), ("allOf", "allOf")):
        members = schema.get(key)
        if isinstance(members, list) and 0 < len(members) <= _MAX_ALTERNATIVES:
            subschemas = [_subschema(member, root, path, budget) for member in members]
            if kept == "allOf":
                subschemas = [subschema for subschema in subschemas if subschema]
            # An alternative that accepts anything makes the others meaningless.
            if subschemas and all(subschemas):
                sanitized[kept] = subschemas
    return sanitized


@lru_cache(maxsize=256)
def linear_time_pattern(pattern: str) -> Any:
    """A validator of a regular expression in linear time; None if it has lookarounds or
    backreferences or is too large. An untrusted pattern must not stall this process."""
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    try:
        pattern.encode("utf-8")
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except (SchemaError, UnicodeEncodeError):
        return None
