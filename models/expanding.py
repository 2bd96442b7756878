"""A schema's alternatives, each without references and without anyOf, oneOf and allOf."""

from __future__ import annotations

from collections.abc import Iterator

from ..core import Json
from .schema import resolve_pointer


def flatten_schema(
    root: Json, schema: Json, seen: frozenset[str] = frozenset()
) -> Iterator[dict[str, Json]]:
    """The alternatives of a schema, without references and without anyOf, oneOf, allOf."""
    if not isinstance(schema, dict):
        if schema is True:
            yield {}
        return
    for joint in ("$ref", "allOf", "anyOf", "oneOf"):
        if joint in schema:
            break
    else:
        yield schema
        return
    base = {key: value for key, value in schema.items() if key != joint}
    if joint == "$ref":
        reference = schema["$ref"]
        if reference not in seen:
            for one in flatten_schema(root, _resolve_or_any(root, reference), seen | {reference}):
                yield from flatten_schema(root, merge_schemas(base, one), seen)
    elif joint == "allOf":
        whole: Json = base
        for one in schema["allOf"]:
            if _is_reference(one):
                if one["$ref"] in seen:
                    return
                seen |= {one["$ref"]}
                one = _resolve_or_any(root, one["$ref"])
            whole = merge_schemas(whole, one)
        yield from flatten_schema(root, whole, seen)
    else:
        for one in schema[joint]:
            for branch in flatten_schema(root, one, seen):
                yield from flatten_schema(root, merge_schemas(base, branch), seen)


def _resolve_or_any(root: Json, reference: str) -> Json:
    try:
        return resolve_pointer(root, reference)
    except KeyError:
        return {}  # an $id or $anchor; the grammar engine knows


def _is_reference(schema: Json) -> bool:
    return isinstance(schema, dict) and set(schema) == {"$ref"}


def merge_schemas(one: dict[str, Json], other: Json) -> Json:
    """Both at once, near enough: what comes of it is held against the grammar."""
    if not isinstance(other, dict):
        return one if other is True else {"enum": []}
    made = dict(one)
    for key, value in other.items():
        if key not in made or made[key] == value:
            made[key] = value
        elif key == "properties":
            both = {k: {"allOf": [made[key][k], value[k]]} for k in made[key] if k in value}
            made[key] = {**made[key], **value, **both}
        elif key == "required":
            made[key] = [*made[key], *value]
        elif key.startswith(("min", "exclusiveMin")):
            made[key] = max(made[key], value)
        elif key.startswith(("max", "exclusiveMax")):
            made[key] = min(made[key], value)
        elif key == "enum":
            made[key] = [item for item in made[key] if item in value]
        elif key in ("allOf", "anyOf", "oneOf", "$ref"):
            made["allOf"] = [*made.get("allOf", []), {key: value}]
        else:
            made[key] = value
    return made
