"""JSON Schemas of Python types, and answers read back as those types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, get_origin

from .errors import ArgumentError, DataError
from .types import Json

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")


def schema_of(kind: Any) -> Json:
    """The JSON Schema of a pydantic model, a dataclass, or any type that pydantic knows.

    It is a plain value, so ``Generate(schema=schema_of(PersonMatcher))`` has its canonical JSON
    like
    any ask. The titles that only repeat names are left out. Raises ArgumentError, a TypeError,
    where a type does not fit into JSON.

    >>> schema_of(list[int])
    {'items': {'type': 'integer'}, 'type': 'array'}
    """
    from pydantic.errors import PydanticUserError
    from pydantic.json_schema import GenerateJsonSchema

    class Plain(GenerateJsonSchema):
        def field_title_should_be_set(self, schema: Any) -> bool:
            return False

    try:
        schema = _type_adapter(kind).json_schema(schema_generator=Plain)
    except PydanticUserError as error:
        raise ArgumentError(f"{kind!r} does not fit into JSON: {error.message}") from error
    for one in (schema, *schema.get("$defs", {}).values()):
        one.pop("title", None)
    return schema


def is_type(kind: object) -> bool:
    """Whether something is a class or another type that values can be read as."""
    plain = kind is None or kind is Any or isinstance(kind, type | TypeVar)
    return plain or get_origin(kind) is not None


def read_as(kind: type[T], data: Json) -> T:
    """JSON values as an instance of a type. Raises DataError where they do not fit.

    Dates, sets, tuples and the like are made of what stands for them in JSON.

    >>> read_as(dict[str, tuple[int, int]], {"home": [3, 4]})
    {'home': (3, 4)}
    """
    from pydantic import ValidationError

    try:
        return validate_as(kind, data)
    except ValidationError as error:
        where, told = first_error(error)
        raise DataError(f"no {kind}: {f'{where}: ' if where else ''}{told}") from error


def validate_as(kind: type[T], data: Json) -> T:
    """What ``read_as`` gives. Raises pydantic.ValidationError where the values do not fit."""
    import json

    try:
        text = json.dumps(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(f"read_as(): 'data' does not fit into JSON: {error}") from error
    return _type_adapter(kind).validate_json(text)


def first_error(error: ValidationError) -> tuple[str, str]:
    """The field of the first of pydantic's complaints (empty: the whole), and what it says."""
    first = error.errors()[0]
    return ".".join(str(part) for part in first["loc"]), first["msg"]


def _type_adapter(kind: type[T]) -> TypeAdapter[T]:
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    if not is_type(kind):
        raise ArgumentError(f"{type(kind).__name__} {kind!r:.80} is no type to read values as")
    try:
        return TypeAdapter(kind)
    except PydanticUserError as error:
        raise ArgumentError(f"{kind!r} does not fit into JSON: {error.message}") from error
