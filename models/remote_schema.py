"""Whether a server's JSON is what a schema asked for: not every server holds to it."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

from ..core import Json


def json_format(schema: Json) -> dict[str, Any]:
    """The ``response_format`` that binds a reply to a schema."""
    named = {"name": "answer", "schema": schema, "strict": True}
    return {"type": "json_schema", "json_schema": named}


def schema_fault(schema: Json) -> str:
    """What is wrong with a JSON schema itself, empty when nothing is."""
    if not isinstance(schema, dict):
        return f"a schema must be an object, not {type(schema).__name__}"
    library: Any = import_module("jsonschema")
    try:
        library.validators.validator_for(schema, library.Draft202012Validator).check_schema(schema)
    except library.SchemaError as error:
        return f"no valid JSON schema: {error.message}"
    return ""


def value_of(schema: Json, text: str) -> tuple[Json, str]:
    """The value written as JSON in ``text``, and why it does not fit (empty when it does)."""
    try:
        found: Json = json.loads(text)
    except ValueError as error:
        return None, f"the reply is no complete JSON ({error})"
    library: Any = import_module("jsonschema")
    referencing: Any = import_module("referencing")
    kind = library.validators.validator_for(schema, library.Draft202012Validator)
    # An empty registry: a schema may not make this process fetch anything.
    checker = kind(schema, registry=referencing.Registry())
    try:
        wrong = next(checker.iter_errors(found), None)
    except referencing.exceptions.Unresolvable as gone:
        return None, f"the schema refers to what is not in it ({gone})"
    if wrong is not None:
        return None, f"the reply does not fit the schema ({wrong.json_path}: {wrong.message})"
    return found, ""
