"""Schemas that others wrote, as sound ones that a mind can be shown and a grammar can hold.

A foreign schema is data: nothing in it is fetched, and whatever it holds, a sound one comes
out. It is loosened where it cannot be said: whoever runs the tool checks the rest.
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
_LARGEST_COUNT = 10_000
_DEEPEST = 12
_ALTERNATIVES = 50
_ENUM = 200
_NAME = 100
_VALUE = 2_000
_REFERENCE = re.compile(r"#(/.*)?")


@dataclass(slots=True)
class _Budget:
    """How many schemas may still be written, and how long a description may be."""

    schemas: int
    words: int


# What is too large with the first is written shorter, and at last by the names alone.
_SIZES = ((1_000, 300), (200, 80), (60, 0))
_MOST = 12_000


def sanitize_schema(schema: Json, root: Json = None) -> dict[str, Any]:
    """A JSON Schema of an object, sound and at most 12,000 characters, for any schema.

    References within the schema (or within ``root``, the document that it stands in) are
    replaced by what they refer to (inside of itself: by anything), all others by anything.
    An object that names its properties and says nothing about further ones takes no others,
    so that no argument is made up.

    >>> sanitize_schema({"properties": {"city": {"$ref": "#/$defs/c"}}, "$defs": {"c": {"type":
    "string"}}})
    {'type': 'object', 'properties': {'city': {'type': 'string'}}, 'additionalProperties': False}
    """
    for schemas, words in _SIZES:
        found = _object(schema, schema if root is None else root, _Budget(schemas, words))
        if len(json.dumps(found)) <= _MOST:
            return found
    return {"type": "object"}


def clean_text(text: object, most: int) -> str:
    """One line of visible characters, at most ``most``: no line breaks, no control or
    formatting characters, no half of a surrogate pair.

    >>> clean_text("two\\nlines\\x1b[0m and more", 12)
    'two lines[0…'
    """
    if not isinstance(text, str):
        return ""
    line = " ".join(text[: 4 * most].split())
    line = "".join(one for one in line if not unicodedata.category(one).startswith("C"))
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def _object(schema: Json, root: Json, budget: _Budget) -> dict[str, Any]:
    found = _one(schema, root, (), budget)
    open_ended = isinstance(schema, dict) and (
        "additionalProperties" in schema or "patternProperties" in schema
    )
    if "properties" in found and not open_ended and "anyOf" not in found and "allOf" not in found:
        found["additionalProperties"] = False
    return {**found, "type": "object"} if found.get("type") != "object" else found


def _one(schema: Json, root: Json, inside: tuple[str, ...], budget: _Budget) -> dict[str, Any]:
    """One schema, tamed; ``inside`` are the references that are being replaced."""
    budget.schemas -= 1
    if not isinstance(schema, dict) or budget.schemas < 0 or len(inside) > _DEEPEST:
        return {}
    reference = schema.get("$ref")
    if isinstance(reference, str):
        if reference in inside or not _REFERENCE.fullmatch(reference):
            return {}
        # Of what stands beside a reference only the description is kept.
        found = _one(resolve_pointer(root, reference, None), root, (*inside, reference), budget)
        return found | _described(schema, budget)
    # Something on the way is counted too, so that deep nesting ends as circles do.
    inside = (*inside, "")
    found = _kind(schema)
    found |= _described(schema, budget) | _values(schema) | _limits(schema)
    found |= _members(schema, root, inside, budget) | _elements(schema, root, inside, budget)
    return found | _alternatives(schema, root, inside, budget)


def _kind(schema: dict[str, Json]) -> dict[str, Any]:
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    known = [one for one in _TYPES if one in kinds]
    if schema.get("nullable") is True and known and "null" not in known:
        known.append("null")
    if not known:
        return {"type": "object"} if isinstance(schema.get("properties"), dict) else {}
    return {"type": known[0] if len(known) == 1 else known}


def _described(schema: dict[str, Json], budget: _Budget) -> dict[str, Any]:
    text = clean_text(schema.get("description"), budget.words) if budget.words else ""
    return {"description": text} if text else {}


def _values(schema: dict[str, Json]) -> dict[str, Any]:
    """enum, const and default, where they can be written as JSON and are not too long."""
    found: dict[str, Any] = {}
    choices = schema.get("enum")
    if isinstance(choices, list) and 0 < len(choices) <= _ENUM and _sound(choices):
        found["enum"] = list({json.dumps(one, sort_keys=True): one for one in choices}.values())
    for key in ("const", "default"):
        if key in schema and _sound(schema[key]):
            found[key] = schema[key]
    return found


def _sound(value: Json) -> bool:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        return len(text.encode("utf-8")) <= _VALUE
    except (ValueError, TypeError, RecursionError):
        return False


def _limits(schema: dict[str, Json]) -> dict[str, Any]:
    """Numeric bounds that do not contradict each other, and patterns of the regular kind."""
    found: dict[str, Any] = {}
    for low, high in _BOUNDS:
        counts = "Length" in low or "Items" in low
        kept = {key: schema[key] for key in (low, high) if _bound(schema.get(key), counts)}
        least, most = kept.get(low), kept.get(high)
        strict = low.startswith("exclusive")
        if least is not None and most is not None and (least > most or (strict and least == most)):
            continue
        found |= kept
    if "minimum" in found and "exclusiveMaximum" in found:
        del found["exclusiveMaximum"]
    if "maximum" in found and "exclusiveMinimum" in found:
        del found["exclusiveMinimum"]
    pattern = schema.get("pattern")
    if (
        isinstance(pattern, str)
        and len(pattern) <= 500
        and linear_time_pattern(pattern) is not None
    ):
        found["pattern"] = pattern
    if isinstance(schema.get("format"), str) and _sound(schema["format"]):
        found["format"] = schema["format"]
    return found


def _bound(value: Json, counts: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    if counts:
        return isinstance(value, int) and 0 <= value <= _LARGEST_COUNT
    return abs(value) < 1e15


def _members(
    schema: dict[str, Json], root: Json, inside: tuple[str, ...], budget: _Budget
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    given, needed = schema.get("properties"), schema.get("required")
    names = [one for one in (needed if isinstance(needed, list) else []) if _named(one)]
    members = given if isinstance(given, dict) else {}
    # What must be there comes first: it stays when the budget runs out.
    ordered = sorted((one for one in members if _named(one)), key=lambda one: one not in names)
    properties = {
        name: _one(members[name], root, inside, budget) for name in ordered[: budget.schemas + 1]
    }
    names = list(dict.fromkeys(names))[: len(properties) + 20]
    if properties or names:
        found["properties"] = {**properties, **{n: {} for n in names if n not in properties}}
    if names:
        found["required"] = names
    further = schema.get("additionalProperties")
    if "patternProperties" not in schema and len(properties) == len(members):
        if isinstance(further, bool):
            found["additionalProperties"] = further
        elif isinstance(further, dict):
            found["additionalProperties"] = _one(further, root, inside, budget)
    return found


def _named(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= _NAME and clean_text(name, _NAME) == name


def _elements(
    schema: dict[str, Json], root: Json, inside: tuple[str, ...], budget: _Budget
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    items, first = schema.get("items"), schema.get("prefixItems")
    if isinstance(items, list):
        items, first = None, items
    if isinstance(first, list) and 0 < len(first) <= _ALTERNATIVES:
        found["prefixItems"] = [_one(one, root, inside, budget) for one in first]
    if isinstance(items, dict):
        found["items"] = _one(items, root, inside, budget)
    return found


def _alternatives(
    schema: dict[str, Json], root: Json, inside: tuple[str, ...], budget: _Budget
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, kept in (("anyOf", "anyOf"), ("oneOf", "anyOf"), ("allOf", "allOf")):
        given = schema.get(key)
        if isinstance(given, list) and 0 < len(given) <= _ALTERNATIVES:
            tame = [_one(one, root, inside, budget) for one in given]
            if kept == "allOf":
                tame = [one for one in tame if one]
            # One that takes anything makes the others meaningless.
            if tame and all(tame):
                found[kept] = tame
    return found


@lru_cache(maxsize=256)
def linear_time_pattern(pattern: str) -> Any:
    """A checker of a pattern that takes linear time, or None where it has no such form: it
    looks around, refers back, or is too large. A foreign pattern must not stall this process."""
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    try:
        pattern.encode("utf-8")
        made = core_schema.str_schema(pattern=pattern, regex_engine="rust-regex")
        return SchemaValidator(made)
    except (SchemaError, UnicodeEncodeError):
        return None
