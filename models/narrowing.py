"""JSON schemas made safer to write by: what may be written only gets less, never more."""

from __future__ import annotations

from collections.abc import Callable

from ..core import Json
from .schema import ANNOTATIONS, is_number, iter_subschemas, map_subschemas

MAX_SAFE_INTEGER = 2**53 - 1  # the whole numbers all JSON readers agree on: RFC 7493, section 2.2
MAX_NUMBER = 10**15
ANY_VALUE = "any-json-value"
YEAR_PATTERN = "(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
# What readers of these formats refuse although a grammar lets it through: the year 0, a
# sixtieth second, numbers without end, names longer than the DNS has.
FORMAT_LIMITS: dict[str, dict[str, Json]] = {
    "date": {"pattern": f"^{YEAR_PATTERN}-"},
    "time": {"pattern": "^[0-9]{2}:[0-9]{2}:[0-5]"},
    "date-time": {"pattern": f"^{YEAR_PATTERN}-[0-9]{{2}}-[0-9]{{2}}.[0-9]{{2}}:[0-9]{{2}}:[0-5]"},
    "duration": {"pattern": "^[^0-9]+([0-9]{1,4}[^0-9]+)+$"},
    "hostname": {"maxLength": 253},
    "email": {"maxLength": 253},
}


def restrict_schema(schema: Json) -> Json:
    """``schema`` without what only lets a small model run on.

    Objects that name their properties get no others unless the schema says so; numbers stay
    where every reader agrees on them (no 1e999, which Python reads as infinity).
    """
    alone = not any(_is_conjunction(one) for _, one in iter_subschemas(schema))
    used = [False]

    def anything() -> Json:
        used[0] = True
        return {"$ref": f"#/$defs/{ANY_VALUE}"}

    def change(one: Json) -> Json:
        if one is True or (isinstance(one, dict) and not set(one) - ANNOTATIONS):
            return {**(one if isinstance(one, dict) else {}), **anything()}
        if isinstance(one, dict) and "enum" not in one and "const" not in one:
            _bound_numbers(one)
            if one.get("format") in FORMAT_LIMITS:
                one = {**one, "allOf": [*one.get("allOf", []), FORMAT_LIMITS[one["format"]]]}
            if alone:
                _close_object(one, anything)
        return one

    made = map_subschemas(schema, change)
    if used[0]:
        made["$defs"] = {**made.get("$defs", {}), ANY_VALUE: _any_value_schema()}
    return made


def _is_conjunction(one: Json) -> bool:
    """Whether several schemas must hold at once, so that none may forbid the rest."""
    if not isinstance(one, dict):
        return False
    joined = [key for key in ("allOf", "anyOf", "oneOf", "$ref") if key in one]
    return bool(joined) and (
        len(one.get("allOf", ())) > 1 or bool(set(one) - ANNOTATIONS - {joined[0]})
    )


def _types_of(one: dict[str, Json]) -> Json:
    kinds = one.get("type", [])
    return [kinds] if isinstance(kinds, str) else kinds


def _bound_numbers(one: dict[str, Json]) -> None:
    kinds = _types_of(one)
    if "integer" not in kinds and "number" not in kinds:
        return
    most = MAX_NUMBER if "number" in kinds else MAX_SAFE_INTEGER
    low = [one[key] for key in ("minimum", "exclusiveMinimum") if key in one]
    high = [one[key] for key in ("maximum", "exclusiveMaximum") if key in one]
    if not low and all(is_number(h) and h > -most for h in high):
        one["minimum"] = -most
    if not high and all(is_number(x) and x < most for x in low):
        one["maximum"] = most


def _close_object(one: dict[str, Json], anything: Callable[[], Json]) -> None:
    kinds = _types_of(one)
    if "properties" in one and "additionalProperties" not in one:
        missing = [name for name in one.get("required", ()) if name not in one["properties"]]
        if one.get("minProperties", 0) > len(one["properties"]) or (
            missing and "patternProperties" in one
        ):
            return
        one["properties"] = {**one["properties"], **{name: anything() for name in missing}}
        one["additionalProperties"] = False
    elif "object" in kinds and "additionalProperties" not in one:
        one["additionalProperties"] = anything()
    if "array" in kinds and "items" not in one and "additionalItems" not in one:
        one["items"] = anything()


def _any_value_schema() -> Json:
    inner = {"$ref": f"#/$defs/{ANY_VALUE}"}
    return {
        "anyOf": [
            {"type": ["null", "boolean", "string"]},
            {"type": "number", "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER},
            {"type": "array", "items": inner},
            {"type": "object", "additionalProperties": inner},
        ]
    }
