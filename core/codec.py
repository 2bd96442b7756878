"""JSON of records: conversion, canonical text, digests, and JSON Schemas of Python types."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, is_dataclass
from functools import cache, lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_origin

from .errors import ArgumentError, DataError
from .text import replace_surrogates
from .types import Json

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")


def to_json(value: object) -> Json:
    """A dataclass instance as plain JSON values.

    Fields listed in a class's ``OMITTED_AT_DEFAULT`` are left out while they hold their default,
    at any depth: a field that is added to a record changes no digest of older records. Raises
    ArgumentError for a value that does not fit into JSON.
    """
    from pydantic_core import PydanticSerializationError

    try:
        data = type_adapter(type(value)).dump_python(value, mode="json")
    except (PydanticSerializationError, UnicodeDecodeError) as error:
        kind = type(value).__name__
        raise ArgumentError(f"to_json(): a {kind} does not fit into JSON: {error}") from error
    _drop_defaults(value, data)
    return data


def _drop_defaults(value: object, data: Json) -> None:
    """Delete from ``data``, the JSON of ``value``, the fields that are omitted at their default."""
    if isinstance(value, tuple):
        for item, item_data in zip(value, data):
            _drop_defaults(item, item_data)
        return
    omitted = getattr(value, "OMITTED_AT_DEFAULT", ())
    for name, default in _field_defaults(cast(Any, type(value))).items():
        field_value = getattr(value, name)
        if isinstance(field_value, tuple) or is_dataclass(field_value):
            _drop_defaults(field_value, data[name])
        if name in omitted and field_value == default:
            del data[name]


@cache
def _field_defaults(cls: type) -> dict[str, object]:
    return {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in (fields(cls) if is_dataclass(cls) else ())
    }


def from_json(cls: type[T], data: Json) -> T:
    """The instance of ``cls`` whose ``to_json`` is ``data``. Raises DataError otherwise."""
    if not _is_type(cls):
        raise ArgumentError(f"from_json(): 'cls' must be a class, not {type(cls).__name__}")
    return validate_with(type_adapter(cls), data, getattr(cls, "__name__", str(cls)))


def validate_with(adapter: TypeAdapter[T], data: Json, name: str) -> T:
    """``data`` as an instance of the adapter's type. Raises DataError, which calls it ``name``."""
    from pydantic import ValidationError

    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        raise _data_error(error, name) from error


def read_as(kind: type[T], data: Json) -> T:
    """JSON values as an instance of a type; dates, sets and tuples are read from their JSON forms.

    Raises DataError if the values do not fit.

    >>> read_as(dict[str, tuple[int, int]], {"home": [3, 4]})
    {'home': (3, 4)}
    """
    from pydantic import ValidationError

    try:
        return validate_json_values(kind, data)
    except ValidationError as error:
        raise _data_error(error, str(kind)) from error


def validate_json_values(kind: type[T], data: Json) -> T:
    """``read_as`` that raises pydantic.ValidationError if the values do not fit."""
    try:
        text = json.dumps(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(f"read_as(): 'data' does not fit into JSON: {error}") from error
    return type_adapter(kind).validate_json(text)


def first_error(error: ValidationError) -> tuple[str, str]:
    """The field of pydantic's first error (empty: the whole value), and its message."""
    first = error.errors()[0]
    return ".".join(str(part) for part in first["loc"]), first["msg"]


def _data_error(error: ValidationError, name: str) -> DataError:
    field, message = first_error(error)
    return DataError(f"not a valid {name}: {f'field {field!r}: ' if field else ''}{message}")


def schema_of(kind: Any) -> Json:
    """The JSON Schema of a pydantic model, a dataclass, or any type that pydantic supports.

    Titles that only repeat a name are left out. Raises ArgumentError if the type has no JSON
    form.

    >>> schema_of(list[int])
    {'items': {'type': 'integer'}, 'type': 'array'}
    """
    from pydantic.errors import PydanticUserError
    from pydantic.json_schema import GenerateJsonSchema

    class WithoutTitles(GenerateJsonSchema):
        def field_title_should_be_set(self, schema: Any) -> bool:
            return False

    try:
        schema = type_adapter(kind).json_schema(schema_generator=WithoutTitles)
    except PydanticUserError as error:
        raise ArgumentError(f"{kind!r} does not fit into JSON: {error.message}") from error
    for part in (schema, *schema.get("$defs", {}).values()):
        part.pop("title", None)
    return schema


def type_adapter(kind: type[T]) -> TypeAdapter[T]:
    """The pydantic adapter of a type, made once. Raises ArgumentError if there is none."""
    try:
        return _cached_adapter(cast(Any, kind))
    except ArgumentError:
        raise
    except TypeError:  # a type that has no hash
        return _cached_adapter.__wrapped__(kind)


@lru_cache(maxsize=1024)
def _cached_adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    if not _is_type(kind):
        raise ArgumentError(f"{type(kind).__name__} {kind!r:.80} is not a type of values")
    try:
        return TypeAdapter(kind)
    except PydanticUserError as error:
        raise ArgumentError(f"{kind!r} does not fit into JSON: {error.message}") from error


def _is_type(kind: object) -> bool:
    """Whether ``kind`` is a class or another type that values can be read as."""
    plain = kind is None or kind is Any or isinstance(kind, type | TypeVar)
    return plain or get_origin(kind) is not None


def canonical(data: Json) -> str:
    """JSON text with sorted keys and no spaces: equal values give equal text.

    A lone surrogate is replaced by U+FFFD, so that the text can be encoded as UTF-8.

    >>> canonical({"b": [1, 2], "a": "é"})
    '{"a":"é","b":[1,2]}'
    """
    try:
        text = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(f"canonical(): does not fit into JSON: {error}") from error
    return text if text.isascii() else replace_surrogates(text)


def digest(data: Json) -> str:
    """blake2b (128 bits, hexadecimal) of the canonical JSON."""
    return digest_text(canonical(data))


def digest_text(text: str) -> str:
    """blake2b (128 bits, hexadecimal) of a text; a lone surrogate counts as U+FFFD."""
    if not isinstance(text, str):
        raise ArgumentError(f"digest_text(): 'text' must be str, not {type(text).__name__}")
    return blake2b(replace_surrogates(text).encode(), digest_size=16).hexdigest()
