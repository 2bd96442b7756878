"""Whether a server's JSON is what a schema asked for: not every server holds to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..core import Json
from .remote_json import iter_json, plain_json, unwrap_values


def response_format(schema: Json, way: str = "json_schema") -> dict[str, Any]:
    """The fields that ask for JSON of a schema: bound to it, as any object, or not at all."""
    if way == "json_object":
        return {"response_format": {"type": way}}
    if not way:
        return {}
    named = {"name": "answer", "schema": schema, "strict": True}
    return {"response_format": {"type": way, "json_schema": named}}


def schema_instruction(schema: Json) -> str:
    """The words that ask for JSON of a schema where the server cannot bind a reply to it."""
    written = json.dumps(schema, ensure_ascii=False)
    return f"Answer with JSON only, without any other word, by this JSON Schema:\n{written}"


def schema_problem(schema: Json) -> str:
    """What is wrong with a JSON schema itself, empty when nothing is."""
    if not isinstance(schema, dict):
        return f"a schema must be an object, not {type(schema).__name__}"
    library: Any = import_module("jsonschema")
    try:
        library.validators.validator_for(schema, library.Draft202012Validator).check_schema(schema)
    except library.SchemaError as error:
        return f"no valid JSON schema: {error.message}"
    return ""


def parse_value(schema: Json, text: str) -> tuple[Json, str]:
    """The value in ``text`` that fits a schema, and why there is none (empty when there is).

    The value may stand among words, in fences or wrapped in another. Where several fit that
    are not equal, none is taken: which one is meant, nobody knows."""
    fitted = _validator(schema)
    fitting: list[Json] = []
    wrong = ""
    for value in iter_json(text):
        for one in unwrap_values(value):
            found, fault = fitted(one)
            if not fault:
                fitting += [found] if found not in fitting else []
                break
            wrong = wrong or fault
    if len(fitting) > 1:
        return None, f"the reply holds {len(fitting)} different values that fit the schema"
    if fitting:
        return fitting[0], ""
    return None, wrong or "the reply is no complete JSON"


def _validator(schema: Json) -> Callable[[Json], tuple[Json, str]]:
    """What gives a value with its numbers as the schema types them, and why it does not fit."""
    library: Any = import_module("jsonschema")
    referencing: Any = import_module("referencing")
    kind = library.validators.validator_for(schema, library.Draft202012Validator)
    wholes: set[int] = set()

    def typed(validator: Any, types: Any, instance: Json, own: Any) -> Any:
        # 31.0 is an integer to JSON Schema; what asked for one is to get 31.
        if "integer" in ([types] if isinstance(types, str) else types):
            wholes.add(id(instance))
        yield from kind.VALIDATORS["type"](validator, types, instance, own)

    # An empty registry: a schema may not make this process fetch anything.
    checker = library.validators.extend(kind, {"type": typed})(
        schema, registry=referencing.Registry()
    )

    def fitted(value: Json) -> tuple[Json, str]:
        wholes.clear()  # ids of another value's numbers
        try:
            wrong = next(checker.iter_errors(value), None)
        except referencing.exceptions.Unresolvable as gone:
            return None, f"the schema refers to what is not in it ({gone})"
        except RecursionError:
            return None, "the reply is nested too deeply to be checked"
        if wrong is not None:
            return None, f"the reply does not fit the schema ({wrong.json_path}: {wrong.message})"
        return plain_json(value, wholes), ""

    return fitted
