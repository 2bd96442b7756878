"""JSON Schemas prepared for a grammar: checked, normalized, restricted and flattened."""

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
# The formats that the standard defines (2020-12, section 7.3). Others are annotations only.
KNOWN_FORMATS = _word_set(
    "date-time date time duration email idn-email hostname idn-hostname ipv4 ipv6 uri "
    "uri-reference iri iri-reference uuid uri-template json-pointer relative-json-pointer "
    "regex"
)
REMEDIES = (
    ("Unimplemented keys", "no grammar supports it; omit the keyword and check the answer"),
    ("Unknown format", "describe the text by a pattern, or omit the format"),
    ("oneOf constraints", "use anyOf, or give each alternative a property of another const"),
    ("regex parse error", "a pattern may not look around or refer back; write it without"),
    ("Unsatisfiable", "no value can satisfy it; widen it"),
    ("Pointer", "define it under $defs"),
    ("Resource", "only references into the schema itself are followed; copy it under $defs"),
    ("min/maxProperties", "name every key as required, or none of them under properties"),
)


class SchemaError(ValueError):
    """A JSON Schema that has no grammar, or (``reason`` "limit") whose shortest value needs more
    tokens than the ask allows."""

    def __init__(self, message: str, reason: str = "schema") -> None:
        super().__init__(message)
        self.reason = reason


def schema_error(path: SchemaPath, problem: str, remedy: str) -> SchemaError:
    """The error for the schema at ``path``, with its remedy."""
    where = f"schema field '{'.'.join(path)}'" if path else "the schema"
    return SchemaError(f"{where}: {problem}; {remedy}")


def check_schema(schema: Json) -> None:
    """Raises SchemaError for a schema that contradicts itself, also where a grammar would silently
    omit the property or alternative that no value satisfies."""
    if not isinstance(schema, dict):
        raise SchemaError(f"a schema must be an object, not {type(schema).__name__}")
    for path, subschema in iter_subschemas(schema):
        if isinstance(subschema, bool):
            continue
        if not isinstance(subschema, dict):
            raise schema_error(
                path, f"holds {subschema!r}, which is no schema", "write an object there"
            )
        for kind in ("imum", "Length", "Items", "Properties"):
            low, high = subschema.get(f"min{kind}"), subschema.get(f"max{kind}")
            if is_number(low) and is_number(high) and low > high:  # type: ignore[operator]
                raise schema_error(path, f"min{kind} {low} is above max{kind} {high}", "swap them")
        for key in ("enum", "anyOf", "oneOf", "allOf", "type"):
            if subschema.get(key) == []:
                raise schema_error(
                    path, f"{key} is empty, so no value fits", "list what is allowed"
                )
        _check_reference(schema, path, subschema)


def _check_reference(schema: Json, path: SchemaPath, subschema: dict[str, Json]) -> None:
    reference = subschema.get("$ref")
    if not isinstance(reference, str) or (reference != "#" and not reference.startswith("#/")):
        return
    try:
        resolve_pointer(schema, reference)
    except KeyError:
        raise schema_error(
            path, f"'{reference}' is not in the schema", "define it under $defs"
        ) from None


def is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def normalize_schema(schema: Json) -> Json:
    """A schema of the same values in keywords that llguidance supports.

    ``propertyNames`` becomes properties, ``uniqueItems`` becomes a marker that is checked token by
    token (a grammar does not remember elements), and unknown formats and engine options are
    removed.
    """

    def normalize(subschema: Json) -> Json:
        if not isinstance(subschema, dict):
            return subschema
        if isinstance(subschema.get("format"), str) and subschema["format"] not in KNOWN_FORMATS:
            del subschema["format"]
        subschema.pop("x-guidance", None)
        subschema.pop(UNIQUE_KEYWORD, None)
        if subschema.pop("uniqueItems", False):
            subschema[UNIQUE_KEYWORD] = True
        if "propertyNames" in subschema:
            _name_properties(schema, subschema)
        return subschema

    return map_subschemas(schema, normalize)


def _name_properties(root: Json, schema: dict[str, Json]) -> None:
    names = schema["propertyNames"]
    try:
        while isinstance(names, dict) and set(names) - ANNOTATIONS == {"$ref"}:
            names = resolve_pointer(root, names["$ref"])
    except KeyError:
        return
    if names is True or (isinstance(names, dict) and not set(names) - ANNOTATIONS - {"type"}):
        del schema["propertyNames"]
        return
    if not isinstance(names, dict) or "properties" in schema or "patternProperties" in schema:
        return
    keywords = set(names) - ANNOTATIONS - {"type"}
    if keywords in ({"enum"}, {"const"}):
        values = names.get("enum", [names.get("const")])
        if not isinstance(values, list) or not all(isinstance(name, str) for name in values):
            return
        schema["properties"] = {name: schema.get("additionalProperties", {}) for name in values}
    elif keywords == {"pattern"}:
        schema["patternProperties"] = {names["pattern"]: schema.get("additionalProperties", {})}
    else:
        return
    del schema["propertyNames"]
    schema["additionalProperties"] = False


def locate_error(schema: Json, message: str, compile_error: Callable[[Json], str]) -> SchemaPath:
    """The path of the innermost subschema that, compiled alone, fails with ``message`` too."""
    shared = {key: schema[key] for key in ("$schema", "$defs", "definitions") if key in schema}
    best: SchemaPath = ()
    for path, subschema in iter_subschemas(schema):
        if len(path) > len(best) and isinstance(subschema, dict):
            isolated = {**{k: v for k, v in shared.items() if k not in subschema}, **subschema}
            if compile_error(isolated) == message:
                best = path
    return best


def drop_unsupported(schema: Json, compile_error: Callable[[Json], str]) -> Json:
    """The schema without those alternatives of an anyOf that have no grammar.

    ``compile_error`` returns the compiler's error for a schema, or an empty text. Raises
    SchemaError where no alternative remains.
    """
    schema = json.loads(json.dumps(schema))
    while message := compile_error(schema):
        path = locate_error(schema, message, compile_error)
        problem = " ".join(message.split())
        remedy = next((r for start, r in REMEDIES if start in message), "correct it")
        if "anyOf" not in path or message.startswith("Unsatisfiable"):
            raise schema_error(path, problem, remedy)
        index = max(i for i, part in enumerate(path) if part == "anyOf")
        branches: Json = schema
        for part in path[: index + 1]:
            branches = branches[int(part)] if isinstance(branches, list) else branches[part]
        branches[int(path[index + 1])] = False
        if not any(branches):
            raise schema_error(path, problem, remedy)
    return schema


MAX_SAFE_INTEGER = 2**53 - 1  # the largest integer all JSON readers agree on (RFC 7493, 2.2)
MAX_NUMBER = 10**15
ANY_VALUE = "any-json-value"
YEAR_PATTERN = "(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
# Parsers of these formats reject what the grammar's own formats accept: the year 0, second 60,
# numbers of unlimited length, names longer than DNS allows.
FORMAT_LIMITS: dict[str, dict[str, Json]] = {
    "date": {"pattern": f"^{YEAR_PATTERN}-"},
    "time": {"pattern": "^[0-9]{2}:[0-9]{2}:[0-5]"},
    "date-time": {"pattern": f"^{YEAR_PATTERN}-[0-9]{{2}}-[0-9]{{2}}.[0-9]{{2}}:[0-9]{{2}}:[0-5]"},
    "duration": {"pattern": "^[^0-9]+([0-9]{1,4}[^0-9]+)+$"},
    "hostname": {"maxLength": 253},
    "email": {"maxLength": 253},
}


def restrict_schema(schema: Json) -> Json:
    """A schema of fewer values, which keeps a small model from writing without end.

    Objects that name their properties get no others unless the schema allows them explicitly.
    Numbers stay in the range that every JSON reader agrees on (Python reads 1e999 as infinity).
    """
    can_close = not any(_is_conjunction(subschema) for _, subschema in iter_subschemas(schema))
    is_used = [False]

    def any_value() -> Json:
        is_used[0] = True
        return {"$ref": f"#/$defs/{ANY_VALUE}"}

    def restrict(subschema: Json) -> Json:
        if subschema is True or (isinstance(subschema, dict) and not set(subschema) - ANNOTATIONS):
            return {**(subschema if isinstance(subschema, dict) else {}), **any_value()}
        if isinstance(subschema, dict) and "enum" not in subschema and "const" not in subschema:
            _bound_numbers(subschema)
            if subschema.get("format") in FORMAT_LIMITS:
                subschema = {
                    **subschema,
                    "allOf": [*subschema.get("allOf", []), FORMAT_LIMITS[subschema["format"]]],
                }
            if can_close:
                _close_object(subschema, any_value)
        return subschema

    restricted = map_subschemas(schema, restrict)
    if is_used[0]:
        restricted["$defs"] = {**restricted.get("$defs", {}), ANY_VALUE: _any_value_schema()}
    return restricted


def _is_conjunction(schema: Json) -> bool:
    """Whether several schemas apply at once, so that none may forbid the others' properties."""
    if not isinstance(schema, dict):
        return False
    combiners = [key for key in ("allOf", "anyOf", "oneOf", "$ref") if key in schema]
    return bool(combiners) and (
        len(schema.get("allOf", ())) > 1 or bool(set(schema) - ANNOTATIONS - {combiners[0]})
    )


def _types_of(schema: dict[str, Json]) -> Json:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else types


def _bound_numbers(schema: dict[str, Json]) -> None:
    types = _types_of(schema)
    if "integer" not in types and "number" not in types:
        return
    limit = MAX_NUMBER if "number" in types else MAX_SAFE_INTEGER
    lower = [schema[key] for key in ("minimum", "exclusiveMinimum") if key in schema]
    upper = [schema[key] for key in ("maximum", "exclusiveMaximum") if key in schema]
    if not lower and all(is_number(bound) and bound > -limit for bound in upper):
        schema["minimum"] = -limit
    if not upper and all(is_number(bound) and bound < limit for bound in lower):
        schema["maximum"] = limit


def _close_object(schema: dict[str, Json], any_value: Callable[[], Json]) -> None:
    types = _types_of(schema)
    if "properties" in schema and "additionalProperties" not in schema:
        unnamed = [name for name in schema.get("required", ()) if name not in schema["properties"]]
        if schema.get("minProperties", 0) > len(schema["properties"]) or (
            unnamed and "patternProperties" in schema
        ):
            return
        schema["properties"] = {**schema["properties"], **{name: any_value() for name in unnamed}}
        schema["additionalProperties"] = False
    elif "object" in types and "additionalProperties" not in schema:
        schema["additionalProperties"] = any_value()
    if "array" in types and "items" not in schema and "additionalItems" not in schema:
        schema["items"] = any_value()


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
    """The alternatives of a schema, each without $ref, anyOf, oneOf and allOf.

    ``root`` is the document of the references; those in ``seen`` are not followed again.
    """
    if not isinstance(schema, dict):
        if schema is True:
            yield {}
        return
    for combiner in ("$ref", "allOf", "anyOf", "oneOf"):
        if combiner in schema:
            break
    else:
        yield schema
        return
    rest = {key: value for key, value in schema.items() if key != combiner}
    if combiner == "$ref":
        reference = schema["$ref"]
        if reference not in seen:
            for part in flatten_schema(root, _resolve_or_any(root, reference), seen | {reference}):
                yield from flatten_schema(root, merge_schemas(rest, part), seen)
    elif combiner == "allOf":
        merged: Json = rest
        for part in schema["allOf"]:
            if isinstance(part, dict) and set(part) == {"$ref"}:
                if part["$ref"] in seen:
                    return
                seen |= {part["$ref"]}
                part = _resolve_or_any(root, part["$ref"])
            merged = merge_schemas(merged, part)
        yield from flatten_schema(root, merged, seen)
    else:
        for part in schema[combiner]:
            for branch in flatten_schema(root, part, seen):
                yield from flatten_schema(root, merge_schemas(rest, branch), seen)


def _resolve_or_any(root: Json, reference: str) -> Json:
    try:
        return resolve_pointer(root, reference)
    except KeyError:
        return {}  # an $id or $anchor, which llguidance resolves


def merge_schemas(schema: dict[str, Json], other: Json) -> Json:
    """An approximate conjunction of two schemas; the grammar checks what is derived from it."""
    if not isinstance(other, dict):
        return schema if other is True else {"enum": []}
    merged = dict(schema)
    for key, value in other.items():
        if key not in merged or merged[key] == value:
            merged[key] = value
        elif key == "properties":
            conjunctions = {
                name: {"allOf": [merged[key][name], value[name]]}
                for name in merged[key]
                if name in value
            }
            merged[key] = {**merged[key], **value, **conjunctions}
        elif key == "required":
            merged[key] = [*merged[key], *value]
        elif key.startswith(("min", "exclusiveMin")):
            merged[key] = max(merged[key], value)
        elif key.startswith(("max", "exclusiveMax")):
            merged[key] = min(merged[key], value)
        elif key == "enum":
            merged[key] = [item for item in merged[key] if item in value]
        elif key in ("allOf", "anyOf", "oneOf", "$ref"):
            merged["allOf"] = [*merged.get("allOf", []), {key: value}]
        else:
            merged[key] = value
    return merged
