"""JSON schemas: where they contradict themselves, and said in words that grammars know."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from ..core import Json

SchemaPath = tuple[str, ...]


def _word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


SCHEMA_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
SCHEMA_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems", "items")
SCHEMA_FIELDS = _word_set(
    "items additionalProperties additionalItems propertyNames contains not if then else "
    "unevaluatedItems unevaluatedProperties contentSchema"
)
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


def iter_subschemas(schema: Json, path: SchemaPath = ()) -> Iterator[tuple[SchemaPath, Json]]:
    """Every schema inside of a schema, itself first, with the way to it."""
    yield path, schema
    if not isinstance(schema, dict):
        return
    for key, inner in schema.items():
        if key in SCHEMA_MAPS and isinstance(inner, dict):
            for name, one in inner.items():
                yield from iter_subschemas(one, (*path, key, name))
        elif key in SCHEMA_LISTS and isinstance(inner, list):
            for place, one in enumerate(inner):
                yield from iter_subschemas(one, (*path, key, str(place)))
        elif key in SCHEMA_FIELDS:
            yield from iter_subschemas(inner, (*path, key))


def map_subschemas(schema: Json, change: Callable[[Json], Json]) -> Json:
    """A copy in which ``change`` was applied to each schema, inner ones first."""
    if not isinstance(schema, dict):
        return change(schema)
    made: dict[str, Json] = {}
    for key, inner in schema.items():
        if key in SCHEMA_MAPS and isinstance(inner, dict):
            made[key] = {name: map_subschemas(one, change) for name, one in inner.items()}
        elif key in SCHEMA_LISTS and isinstance(inner, list):
            made[key] = [map_subschemas(one, change) for one in inner]
        elif key in SCHEMA_FIELDS:
            made[key] = map_subschemas(inner, change)
        else:
            made[key] = inner
    return change(made)


def resolve_pointer(root: Json, reference: str) -> Json:
    """What ``#/a/b`` points to. Raises KeyError."""
    found = root
    for part in reference.removeprefix("#").split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        try:
            found = found[int(name)] if isinstance(found, list) else found[name]
        except (TypeError, ValueError, IndexError) as error:
            raise KeyError(reference) from error
    return found


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
