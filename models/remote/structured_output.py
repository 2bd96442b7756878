"""JSON by a schema from servers: how it is requested, found in a reply, and validated."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from importlib import import_module
from typing import Any

from ...core import Json, replace_surrogates, schema_validator

MAX_STARTS = 64  # brackets at which a value is searched


class LiteralFloat(float):
    """A float that keeps its literal, which may have more digits than a float holds."""

    text: str

    def __new__(cls, text: str) -> LiteralFloat:
        """The number of a JSON literal."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    @property
    def as_integer(self) -> int | None:
        """The exact integer of the literal, 31 for 31.0; None where it is none."""
        try:
            exact = Decimal(self.text)
        except InvalidOperation:
            return None
        # A large exponent would make an integer of as many digits.
        if exact.adjusted() > 400 or exact != exact.to_integral_value():
            return None
        return int(exact)


def iter_json(text: str) -> Iterator[Json]:
    """The JSON values in a text: the whole text or the content of its fences where that is JSON,
    else every object and list among the words, in order.

    >>> list(iter_json('Well: ```json\\n{"choice": "wait"}\\n``` as {asked}.'))
    [{'choice': 'wait'}]
    """
    decoder = json.JSONDecoder(
        # Not strict: small models write line breaks inside strings.
        parse_float=LiteralFloat,
        parse_constant=_reject_constant,
        strict=False,
    )
    try:
        yield decoder.decode(_unfenced(text).strip())
        return
    except (ValueError, RecursionError):
        pass
    position = 0
    for _ in range(MAX_STARTS):
        starts = [
            position_of for bracket in "{[" if (position_of := text.find(bracket, position)) >= 0
        ]
        if not starts:
            return
        position = min(starts)
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            position += 1
            continue
        yield value


def _unfenced(text: str) -> str:
    """The content of a text that is one fenced block; of other texts the text itself."""
    body = text.strip()
    for fence in ("```", "~~~"):
        if body.startswith(fence) and body.endswith(fence) and body.count("\n") >= 2:
            return body[body.index("\n") : body.rindex("\n")]
    return text


def unwrap_values(value: Json) -> Iterator[Json]:
    """A value, and the values inside it that it only wraps: {"answer": {...}} or [{...}].

    >>> list(unwrap_values([{"answer": {"age": 3}}]))[-1]
    {'age': 3}
    """
    yield value
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        value = next(iter_json(value), None)  # JSON encoded twice
        yield value
    while isinstance(value, dict | list) and len(value) == 1:
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
        if not isinstance(value, dict | list):
            return
        yield value


def plain_json(value: Json, integer_ids: set[int]) -> Json:
    """A value with plain numbers instead of LiteralFloats, integers where their id is in
    ``integer_ids``, and without lone surrogates."""
    if isinstance(value, str):
        return replace_surrogates(value)
    if isinstance(value, dict):
        return {
            replace_surrogates(key): plain_json(item, integer_ids) for key, item in value.items()
        }
    if isinstance(value, list):
        return [plain_json(item, integer_ids) for item in value]
    if isinstance(value, LiteralFloat):
        integer = value.as_integer if id(value) in integer_ids else None
        return float(value) if integer is None else integer
    return value


def _reject_constant(text: str) -> Json:
    raise ValueError(f"{text} is no JSON")


def response_format(schema: Json, kind: str = "json_schema") -> dict[str, Any]:
    """The request fields for JSON of a schema; ``kind`` is one of ``JSON_FORMATS``."""
    if kind == "json_object":
        return {"response_format": {"type": kind}}
    if not kind:
        return {}
    json_schema = {"name": "answer", "schema": schema, "strict": True}
    return {"response_format": {"type": kind, "json_schema": json_schema}}


def schema_instruction(schema: Json) -> str:
    """The prompt that asks for JSON of a schema, for servers that cannot constrain a reply."""
    schema_text = json.dumps(schema, ensure_ascii=False)
    return f"Answer with JSON only, without any other word, by this JSON Schema:\n{schema_text}"


def parse_value(schema: Json, text: str) -> tuple[Json, str]:
    """The value in ``text`` that matches a schema, and the problem (empty where there is one).

    The value may be among words, in fences, or wrapped in another value. Several different
    matching values are ambiguous and count as a problem.
    """
    validate = _validator(schema)
    matches: list[Json] = []
    first_problem = ""
    for value in iter_json(text):
        for candidate in unwrap_values(value):
            match, problem = validate(candidate)
            if not problem:
                matches += [match] if match not in matches else []
                break
            first_problem = first_problem or problem
    if len(matches) > 1:
        return None, f"the reply holds {len(matches)} different values that fit the schema"
    if matches:
        return matches[0], ""
    return None, first_problem or "the reply is no complete JSON"


def _validator(schema: Json) -> Callable[[Json], tuple[Json, str]]:
    """A function of a value: the value with its numbers as the schema types them, and why it
    does not match the schema (empty where it does)."""
    validate_type = import_module("jsonschema").Draft202012Validator.VALIDATORS["type"]
    unresolvable = import_module("referencing").exceptions.Unresolvable
    integer_ids: set[int] = set()

    def checked_type(validator: Any, types: Any, instance: Json, subschema: Any) -> Any:
        # JSON Schema accepts 31.0 as an integer; callers that asked for an integer get 31.
        if "integer" in ([types] if isinstance(types, str) else types):
            integer_ids.add(id(instance))
        yield from validate_type(validator, types, instance, subschema)

    validator = schema_validator(schema, keywords={"type": checked_type})

    def validate(value: Json) -> tuple[Json, str]:
        integer_ids.clear()  # they belong to another value's numbers
        try:
            error = next(validator.iter_errors(value), None)
        except unresolvable as missing:
            return None, f"the schema refers to what is not in it ({missing})"
        except RecursionError:
            return None, "the reply is nested too deeply to be checked"
        if error is not None:
            return None, f"the reply does not fit the schema ({error.json_path}: {error.message})"
        return plain_json(value, integer_ids), ""

    return validate
