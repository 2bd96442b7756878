"""One canonical JSON for all records, and its digest."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .argument_checks import check_arguments
from .errors import ArgumentError, DataError, SettingError
from .protocols import Answer, Ask
from .schemas import first_error, is_type
from .settings import did_you_mean
from .text import replace_surrogates
from .types import Json

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")


@cache
def _record_adapter(cls: Hashable) -> TypeAdapter[Json]:
    from pydantic import TypeAdapter

    return TypeAdapter(cast(type[Json], cls))


@cache
def _ask_adapter() -> TypeAdapter[Ask]:
    from typing import Annotated

    from pydantic import Field, TypeAdapter

    return TypeAdapter(Annotated[Ask, Field(discriminator="kind")])


@cache
def _answer_adapter() -> TypeAdapter[Answer]:
    from typing import Annotated

    from pydantic import Field, TypeAdapter

    return TypeAdapter(Annotated[Answer, Field(discriminator="kind")])


def to_json(value: object) -> Json:
    """A record (any frozen dataclass of the core) as plain JSON values."""
    from pydantic_core import PydanticSerializationError

    try:
        data = _record_adapter(cast(Hashable, type(value))).dump_python(value, mode="json")
    except (PydanticSerializationError, UnicodeDecodeError) as error:
        told = f"a {type(value).__name__} does not fit into JSON: {error}"
        raise ArgumentError(f"to_json(): {told}") from error
    _drop_defaults(value, data)
    return data


def _drop_defaults(value: object, data: Json) -> None:
    """Take out the fields that came later where they hold their default, at any depth, so
    that records of old runs keep their digests."""
    cls = cast(Hashable, type(value))
    if isinstance(value, tuple):
        for one, part in zip(value, data):
            _drop_defaults(one, part)
    elif names := _field_defaults(cls):
        for name, default in names.items():
            inner = getattr(value, name)
            if isinstance(inner, tuple) or is_dataclass(inner):
                _drop_defaults(inner, data[name])
            if name in _omitted_fields(cls) and inner == default:
                del data[name]


def _omitted_fields(cls: Hashable) -> tuple[str, ...]:
    return getattr(cls, "LATER", ())


@cache
def _field_defaults(cls: Hashable) -> dict[str, object]:
    known = fields(cast(type[Any], cls)) if is_dataclass(cls) else ()
    return {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in known
    }


def from_json(cls: type[T], data: Json) -> T:
    """The record of class ``cls`` that ``to_json`` made ``data`` of.

    Raises DataError when it does not fit.
    """
    if not is_type(cls):
        raise ArgumentError(f"from_json(): 'cls' must be a class, not {type(cls).__name__}")
    return cast(
        T, _validate(_record_adapter(cast(Hashable, cls)), data, getattr(cls, "__name__", str(cls)))
    )


def _validate(adapter: TypeAdapter[T], data: Json, what: str) -> T:
    from pydantic import ValidationError

    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        where, told = first_error(error)
        field = f"field '{where}': " if where else ""
        raise DataError(f"no {what}: {field}{told}") from error


def ask_from_json(data: Json) -> Ask:
    """Any ask, told apart by its ``kind``. Raises DataError for what is none."""
    return _validate(_ask_adapter(), data, "ask")


def answer_from_json(data: Json) -> Answer:
    """Any answer, told apart by its ``kind``. Raises DataError for what is none."""
    return _validate(_answer_adapter(), data, "answer")


def canonical(data: Json) -> str:
    """JSON text with sorted keys and no spaces: equal values give equal text. UTF-8 holds it: of
    half a character U+FFFD is left (see ``replace_surrogates``).

    >>> canonical({"b": [1, 2], "a": "é"})
    '{"a":"é","b":[1,2]}'
    """
    try:
        text = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(f"canonical(): does not fit into JSON: {error}") from error
    return text if text.isascii() else replace_surrogates(text)


def digest(data: Json) -> str:
    """blake2b (128 bits, hex) of the canonical JSON."""
    return digest_text(canonical(data))


def digest_text(text: str) -> str:
    """blake2b (128 bits, hex) of a text; of half a character U+FFFD counts."""
    if not isinstance(text, str):
        raise ArgumentError(f"digest_text(): 'text' must be str, not {type(text).__name__}")
    return blake2b(replace_surrogates(text).encode(), digest_size=16).hexdigest()


@check_arguments
def build_settings(cls: type[T], data: Json, source: Path | str) -> T:
    """Build a settings record, refusing unknown keys and naming the file and the field.

    Raises SettingError.
    """
    from pydantic import ValidationError

    if not isinstance(data, Mapping) or not is_dataclass(cls):
        kind = type(data).__name__
        raise SettingError(f"{source}: must be a table of named values, not {kind}; mend it")
    _refuse_unknown(data, cls, source, "")
    try:
        made = cast(T, _record_adapter(cast(Hashable, cls)).validate_python(data))
    except ValidationError as error:
        where, told = first_error(error)
        field = where or cls.__name__
        raise SettingError(f"{source}: field '{field}': {told}; mend it") from error
    _refuse_unknown_inside(data, made, source, "")
    return made


def _refuse_unknown(data: Json, cls: type, source: Path | str, where: str) -> None:
    known = [field.name for field in fields(cls)]
    for key in data:
        if key not in known:
            hint = f"{did_you_mean(key, known)}; known: {', '.join(known)}"
            raise SettingError(f"{source}: unknown key '{where}{key}'{hint}")


def _refuse_unknown_inside(data: Json, made: object, source: Path | str, where: str) -> None:
    """pydantic drops what a nested dataclass does not know; so hold the data against it."""
    if isinstance(made, tuple) and isinstance(data, list):
        for place, (inner, one) in enumerate(zip(data, made)):
            _refuse_unknown_inside(inner, one, source, f"{where}{place}.")
    elif is_dataclass(made) and isinstance(data, dict):
        _refuse_unknown(data, type(made), source, where)
        for key, inner in data.items():
            _refuse_unknown_inside(inner, getattr(made, key), source, f"{where}{key}.")
