"""The JSON in a reply, wherever a model writes it, with its numbers as they stand there.

Whether a server's JSON is what a schema asked for: not every server holds to it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from importlib import import_module
from typing import Any

from ...core import Json, replace_surrogates, schema_validator

MAX_STARTS = 64  # brackets at which a value is looked for; a reply is short


class LiteralFloat(float):
    """A number with a point or an exponent, and its digits, which a float may not hold."""

    text: str

    def __new__(cls, text: str) -> LiteralFloat:
        """The number that ``text`` writes."""
        made = super().__new__(cls, text)
        made.text = text
        return made

    @property
    def as_integer(self) -> int | None:
        """The whole number that was written, to its last digit: 31 for 31.0."""
        try:
            exact = Decimal(self.text)
        except InvalidOperation:
            return None
        # A large exponent would write out as many digits.
        if exact.adjusted() > 400 or exact != exact.to_integral_value():
            return None
        return int(exact)


def iter_json(text: str) -> Iterator[Json]:
    """The JSON values of a text: the whole text where it is one, what stands between fences,
    and every object or list among words, in order.

    >>> list(iter_json('Well: ```json\\n{"choice": "wait"}\\n``` as {asked}.'))
    [{'choice': 'wait'}]
    """
    decoder = json.JSONDecoder(
        # Not strict: small models break lines inside strings.
        parse_float=LiteralFloat,
        parse_constant=_reject_constant,
        strict=False,
    )
    try:
        yield decoder.decode(_unfenced(text).strip())
        return
    except (ValueError, RecursionError):
        pass
    at = 0
    for _ in range(MAX_STARTS):
        starts = [place for mark in "{[" if (place := text.find(mark, at)) >= 0]
        if not starts:
            return
        at = min(starts)
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        yield value


def _unfenced(text: str) -> str:
    """What stands in a text that is one fenced block, else the text itself."""
    body = text.strip()
    for fence in ("```", "~~~"):
        if body.startswith(fence) and body.endswith(fence) and body.count("\n") >= 2:
            return body[body.index("\n") : body.rindex("\n")]
    return text


def unwrap_values(value: Json) -> Iterator[Json]:
    """A value, and what it is only a wrapping of: {"answer": {...}} or [{...}].

    >>> list(unwrap_values([{"answer": {"age": 3}}]))[-1]
    {'age': 3}
    """
    yield value
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        value = next(iter_json(value), None)  # JSON written as text once more
        yield value
    while isinstance(value, dict | list) and len(value) == 1:
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
        if not isinstance(value, dict | list):
            return
        yield value


def plain_json(value: Json, wholes: set[int]) -> Json:
    """A value with common numbers for the written ones, whole where ``wholes`` holds the id,
    and without halves of characters."""
    if isinstance(value, str):
        return replace_surrogates(value)
    if isinstance(value, dict):
        return {replace_surrogates(key): plain_json(one, wholes) for key, one in value.items()}
    if isinstance(value, list):
        return [plain_json(one, wholes) for one in value]
    if isinstance(value, LiteralFloat):
        whole = value.as_integer if id(value) in wholes else None
        return float(value) if whole is None else whole
    return value


def _reject_constant(text: str) -> Json:
    raise ValueError(f"{text} is no JSON")


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
