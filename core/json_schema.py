"""JSON Schema (draft 2020-12): visiting subschemas, following references, validation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any
from urllib.parse import unquote

from .types import Json

SCHEMA_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
"""Keywords whose value maps names to schemas."""

SCHEMA_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems", "items")
"""Keywords whose value is, or may be, a list of schemas."""

SCHEMA_FIELDS = (
    *("items", "additionalItems", "contains", "additionalProperties", "propertyNames", "not"),
    *("if", "then", "else", "unevaluatedItems", "unevaluatedProperties", "contentSchema"),
)
"""Keywords whose value is, or may be, one schema."""

_REQUIRED: Any = object()


def iter_subschemas(
    schema: Json, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Json]]:
    """The schema and every schema inside it, outer ones first, each with its path of keys.

    >>> [path for path, _ in iter_subschemas({"items": {"anyOf": [{}, {}]}})]
    [(), ('items',), ('items', 'anyOf', '0'), ('items', 'anyOf', '1')]
    """
    yield path, schema
    if not isinstance(schema, dict):
        return
    for key, value in schema.items():
        if key in SCHEMA_MAPS and isinstance(value, dict):
            for name, subschema in value.items():
                yield from iter_subschemas(subschema, (*path, key, name))
        elif key in SCHEMA_LISTS and isinstance(value, list):
            for index, subschema in enumerate(value):
                yield from iter_subschemas(subschema, (*path, key, str(index)))
        elif key in SCHEMA_FIELDS:
            yield from iter_subschemas(value, (*path, key))


def map_subschemas(schema: Json, function: Callable[[Json], Json]) -> Json:
    """A copy of the schema with ``function`` applied to every subschema, inner ones first."""
    if not isinstance(schema, dict):
        return function(schema)
    copy: dict[str, Json] = {}
    for key, value in schema.items():
        if key in SCHEMA_MAPS and isinstance(value, dict):
            copy[key] = {name: map_subschemas(inner, function) for name, inner in value.items()}
        elif key in SCHEMA_LISTS and isinstance(value, list):
            copy[key] = [map_subschemas(inner, function) for inner in value]
        elif key in SCHEMA_FIELDS:
            copy[key] = map_subschemas(value, function)
        else:
            copy[key] = value
    return function(copy)


def resolve_pointer(document: Json, reference: str, default: Json = _REQUIRED) -> Json:
    """The value that a reference such as ``#/$defs/city`` (RFC 6901) points to.

    Returns ``default`` where the document has no such value; without a default raises KeyError.

    >>> resolve_pointer({"$defs": {"city": {"type": "string"}}}, "#/$defs/city")
    {'type': 'string'}
    """
    value = document
    for part in reference.split("/")[1:]:
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        elif default is _REQUIRED:
            raise KeyError(reference)
        else:
            return default
    return value


def schema_validator(
    schema: Json, *, keywords: Mapping[str, Any] | None = None, formats: bool = False
) -> Any:
    """A validator of the ``jsonschema`` package for the schema's own draft, 2020-12 by default.

    ``keywords`` replaces how single keywords are validated; with ``formats`` the keyword
    ``format`` is an assertion. References to other documents are never fetched. Raises
    ImportError where ``jsonschema`` is not installed.
    """
    library: Any = import_module("jsonschema")
    validator = _validator_class(library, schema)
    checker = validator.FORMAT_CHECKER if formats else None
    if keywords:
        validator = library.validators.extend(validator, keywords)
    registry = import_module("referencing").Registry()
    return validator(schema, registry=registry, format_checker=checker)


def schema_problem(schema: Json) -> str:
    """Why a value is no valid JSON Schema; empty where it is one. Raises ImportError where
    ``jsonschema`` is not installed."""
    if not isinstance(schema, dict):
        return f"a schema must be an object, not {type(schema).__name__}"
    library: Any = import_module("jsonschema")
    try:
        _validator_class(library, schema).check_schema(schema)
    except library.SchemaError as error:
        return f"no valid JSON schema: {error.message}"
    return ""


def _validator_class(library: Any, schema: Json) -> Any:
    return library.validators.validator_for(schema, library.Draft202012Validator)
