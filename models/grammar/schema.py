"""JSON schemas: where they contradict themselves, and said in words that grammars know.

JSON schemas made safer to write by: what may be written only gets less, never more.

A schema's alternatives, each without references and without anyOf, oneOf and allOf.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from ...core import Json, iter_subschemas, map_subschemas, resolve_pointer

SchemaPath = tuple[str, ...]


def _word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


ANNOTATIONS = _word_set(
    "title description default examples example deprecated readOnly writeOnly discriminator "
    "$comment $schema $id $defs definitions"
)
UNIQUE_KEYWORD = "x-unique"
# The formats the standard defines (2020-12, section 7.3). Any other is a note to people.
KNOWN_FORMATS = _word_set(
    "date-time date time duration email idn-email hostname idn-hostname ipv4 ipv6 uri "
    "uri-reference iri iri-reference uuid uri-template json-pointer relative-json-pointer "
    "regex"
)
REMEDIES = (
    ("Unimplemented keys", "no grammar can hold it; leave the keyword out and check the answer"),
    ("Unknown format", "describe the text by a pattern, or leave the format out"),
    ("oneOf constraints", "use anyOf, or give each alternative a property of another const"),
    ("regex parse error", "a pattern may not look around or refer back; write it without"),
    ("Unsatisfiable", "no value can satisfy it; widen it"),
    ("Pointer", "define it under $defs"),
    ("Resource", "only references into the schema itself are followed; copy it under $defs"),
    ("min/maxProperties", "name every key as required, or none of them under properties"),
)


class SchemaError(ValueError):
    """A JSON schema that cannot be turned into a grammar, or (``reason`` "limit") one whose
    shortest value needs more tokens than the ask allows."""

    def __init__(self, message: str, reason: str = "schema") -> None:
        super().__init__(message)
        self.reason = reason


def schema_error(path: SchemaPath, what: str, remedy: str) -> SchemaError:
    """The error for the field at ``path``."""
    where = f"schema field '{'.'.join(path)}'" if path else "the schema"
    return SchemaError(f"{where}: {what}; {remedy}")


def check_schema(schema: Json) -> None:
    """Raises SchemaError where a schema contradicts itself, also where a grammar would just
    leave out the field or the alternative that nothing satisfies."""
    if not isinstance(schema, dict):
        raise SchemaError(f"a schema must be an object, not {type(schema).__name__}")
    for path, one in iter_subschemas(schema):
        if isinstance(one, bool):
            continue
        if not isinstance(one, dict):
            raise schema_error(path, f"holds {one!r}, which is no schema", "write an object there")
        for what in ("imum", "Length", "Items", "Properties"):
            low, high = one.get(f"min{what}"), one.get(f"max{what}")
            if is_number(low) and is_number(high) and low > high:  # type: ignore[operator]
                raise schema_error(path, f"min{what} {low} is above max{what} {high}", "swap them")
        for key in ("enum", "anyOf", "oneOf", "allOf", "type"):
            if one.get(key) == []:
                raise schema_error(
                    path, f"{key} is empty, so no value fits", "name what may be written"
                )
        _check_reference(schema, path, one)


def _check_reference(root: Json, path: SchemaPath, one: dict[str, Json]) -> None:
    reference = one.get("$ref")
    if not isinstance(reference, str) or (reference != "#" and not reference.startswith("#/")):
        return
    try:
        resolve_pointer(root, reference)
    except KeyError:
        raise schema_error(
            path, f"'{reference}' is not in the schema", "define it under $defs"
        ) from None


def is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def normalize_schema(schema: Json) -> Json:
    """The same values, said in words that grammars know: property names from a list, formats
    that are notes, options of the grammar engine that a schema may not set."""

    def change(one: Json) -> Json:
        if not isinstance(one, dict):
            return one
        if isinstance(one.get("format"), str) and one["format"] not in KNOWN_FORMATS:
            del one["format"]
        one.pop("x-guidance", None)
        one.pop(UNIQUE_KEYWORD, None)
        if one.pop("uniqueItems", False):
            one[UNIQUE_KEYWORD] = (
                True  # seen to token by token: a grammar does not remember elements
            )
        if "propertyNames" in one:
            _name_properties(schema, one)
        return one

    return map_subschemas(schema, change)


def _name_properties(root: Json, one: dict[str, Json]) -> None:
    names = one["propertyNames"]
    try:
        while isinstance(names, dict) and set(names) - ANNOTATIONS == {"$ref"}:
            names = resolve_pointer(root, names["$ref"])
    except KeyError:
        return
    if names is True or (isinstance(names, dict) and not set(names) - ANNOTATIONS - {"type"}):
        del one["propertyNames"]
        return
    if not isinstance(names, dict) or "properties" in one or "patternProperties" in one:
        return
    words = set(names) - ANNOTATIONS - {"type"}
    if words in ({"enum"}, {"const"}):
        listed = names.get("enum", [names.get("const")])
        if not isinstance(listed, list) or not all(isinstance(k, str) for k in listed):
            return
        one["properties"] = {k: one.get("additionalProperties", {}) for k in listed}
    elif words == {"pattern"}:
        one["patternProperties"] = {names["pattern"]: one.get("additionalProperties", {})}
    else:
        return
    del one["propertyNames"]
    one["additionalProperties"] = False


def locate_error(schema: Json, message: str, compiled: Callable[[Json], str]) -> SchemaPath:
    """The way to the innermost schema that fails alone with ``message`` as the whole does."""
    shared = {key: schema[key] for key in ("$schema", "$defs", "definitions") if key in schema}
    best: SchemaPath = ()
    for path, one in iter_subschemas(schema):
        if len(path) > len(best) and isinstance(one, dict):
            alone = {**{k: v for k, v in shared.items() if k not in one}, **one}
            if compiled(alone) == message:
                best = path
    return best


def drop_unsupported(schema: Json, compiled: Callable[[Json], str]) -> Json:
    """``schema`` less the alternatives of an anyOf that no grammar can hold, where another
    remains. ``compiled`` gives a schema's error, or an empty text. Raises SchemaError."""
    schema = json.loads(json.dumps(schema))
    while message := compiled(schema):
        path = locate_error(schema, message, compiled)
        what = " ".join(message.split())
        remedy = next((r for start, r in REMEDIES if start in message), "mend it")
        if "anyOf" not in path or message.startswith("Unsatisfiable"):
            raise schema_error(path, what, remedy)
        place = max(i for i, part in enumerate(path) if part == "anyOf")
        branches: Json = schema
        for part in path[: place + 1]:
            branches = branches[int(part)] if isinstance(branches, list) else branches[part]
        branches[int(path[place + 1])] = False
        if not any(branches):
            raise schema_error(path, what, remedy)
    return schema


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
