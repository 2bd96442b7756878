"""JSON schemas made safer to write by: what may be written only gets less, never more."""

from __future__ import annotations

from collections.abc import Callable

from ..core import Json
from .schema import NOTES, is_number, rebuilt, walk

SAFE = 2**53 - 1  # the whole numbers all JSON readers agree on: RFC 7493, section 2.2
BIG = 10**15
ANY = "any-json-value"
YEAR = "(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
# What readers of these formats refuse although a grammar lets it through: the year 0, a
# sixtieth second, numbers without end, names longer than the DNS has.
READABLE: dict[str, dict[str, Json]] = {
    "date": {"pattern": f"^{YEAR}-"},
    "time": {"pattern": "^[0-9]{2}:[0-9]{2}:[0-5]"},
    "date-time": {"pattern": f"^{YEAR}-[0-9]{{2}}-[0-9]{{2}}.[0-9]{{2}}:[0-9]{{2}}:[0-5]"},
    "duration": {"pattern": "^[^0-9]+([0-9]{1,4}[^0-9]+)+$"},
    "hostname": {"maxLength": 253},
    "email": {"maxLength": 253},
}


def narrowed(schema: Json) -> Json:
    """``schema`` without what only lets a small model run on.

    Objects that name their properties get no others unless the schema says so; numbers stay
    where every reader agrees on them (no 1e999, which Python reads as infinity).
    """
    alone = not any(_conjunction(one) for _, one in walk(schema))
    used = [False]

    def anything() -> Json:
        used[0] = True
        return {"$ref": f"#/$defs/{ANY}"}

    def change(one: Json) -> Json:
        if one is True or (isinstance(one, dict) and not set(one) - NOTES):
            return {**(one if isinstance(one, dict) else {}), **anything()}
        if isinstance(one, dict) and "enum" not in one and "const" not in one:
            _bound(one)
            if one.get("format") in READABLE:
                one = {**one, "allOf": [*one.get("allOf", []), READABLE[one["format"]]]}
            if alone:
                _close(one, anything)
        return one

    made = rebuilt(schema, change)
    if used[0]:
        made["$defs"] = {**made.get("$defs", {}), ANY: _any()}
    return made


def _conjunction(one: Json) -> bool:
    """Whether several schemas must hold at once, so that none may forbid the rest."""
    if not isinstance(one, dict):
        return False
    joined = [key for key in ("allOf", "anyOf", "oneOf", "$ref") if key in one]
    return bool(joined) and (len(one.get("allOf", ())) > 1 or bool(set(one) - NOTES - {joined[0]}))


def _kinds(one: dict[str, Json]) -> Json:
    kinds = one.get("type", [])
    return [kinds] if isinstance(kinds, str) else kinds


def _bound(one: dict[str, Json]) -> None:
    kinds = _kinds(one)
    if "integer" not in kinds and "number" not in kinds:
        return
    most = BIG if "number" in kinds else SAFE
    low = [one[key] for key in ("minimum", "exclusiveMinimum") if key in one]
    high = [one[key] for key in ("maximum", "exclusiveMaximum") if key in one]
    if not low and all(is_number(h) and h > -most for h in high):
        one["minimum"] = -most
    if not high and all(is_number(x) and x < most for x in low):
        one["maximum"] = most


def _close(one: dict[str, Json], anything: Callable[[], Json]) -> None:
    kinds = _kinds(one)
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


def _any() -> Json:
    inner = {"$ref": f"#/$defs/{ANY}"}
    return {
        "anyOf": [
            {"type": ["null", "boolean", "string"]},
            {"type": "number", "minimum": -BIG, "maximum": BIG},
            {"type": "array", "items": inner},
            {"type": "object", "additionalProperties": inner},
        ]
    }
