"""One canonical JSON for all records, and its digest."""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import fields, is_dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .asks import Answer, Ask
from .errors import SettingError
from .settings import nearest
from .text import repaired
from .words import Json

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")


@cache
def _adapter(cls: Hashable) -> TypeAdapter[Json]:
    from pydantic import TypeAdapter

    return TypeAdapter(cast(type[Json], cls))


@cache
def _asks() -> TypeAdapter[Ask]:
    from typing import Annotated

    from pydantic import Field, TypeAdapter

    return TypeAdapter(Annotated[Ask, Field(discriminator="kind")])


@cache
def _answers() -> TypeAdapter[Answer]:
    from typing import Annotated

    from pydantic import Field, TypeAdapter

    return TypeAdapter(Annotated[Answer, Field(discriminator="kind")])


def to_json(value: object) -> Json:
    """A record (any frozen dataclass of the core) as plain JSON values."""
    data = _adapter(cast(Hashable, type(value))).dump_python(value, mode="json")
    _drop_later(value, data)
    return data


def _drop_later(value: object, data: Json) -> None:
    """Take out the fields that came later where they hold their default, at any depth, so
    that records of old runs keep their digests."""
    cls = cast(Hashable, type(value))
    if isinstance(value, tuple):
        for one, part in zip(value, data):
            _drop_later(one, part)
    elif names := _defaults(cls):
        for name, default in names.items():
            inner = getattr(value, name)
            if isinstance(inner, tuple) or is_dataclass(inner):
                _drop_later(inner, data[name])
            if name in _later(cls) and inner == default:
                del data[name]


def _later(cls: Hashable) -> tuple[str, ...]:
    return getattr(cls, "LATER", ())


@cache
def _defaults(cls: Hashable) -> dict[str, object]:
    known = fields(cast(type[Any], cls)) if is_dataclass(cls) else ()
    return {field.name: field.default for field in known}


def from_json(cls: type[T], data: Json) -> T:
    """The record of class ``cls`` that ``to_json`` made ``data`` of.

    Raises pydantic.ValidationError when it does not fit.
    """
    return cast(T, _adapter(cast(Hashable, cls)).validate_python(data))


def ask_from_json(data: Json) -> Ask:
    """Any ask, told apart by its ``kind``."""
    return _asks().validate_python(data)


def answer_from_json(data: Json) -> Answer:
    """Any answer, told apart by its ``kind``."""
    return _answers().validate_python(data)


def canonical(data: Json) -> str:
    """JSON text with sorted keys and no spaces: equal values give equal text. UTF-8 holds it: of
    half a character U+FFFD is left (see ``repaired``).

    >>> canonical({"b": [1, 2], "a": "é"})
    '{"a":"é","b":[1,2]}'
    """
    text = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text if text.isascii() else repaired(text)


def digest(data: Json) -> str:
    """blake2b (128 bits, hex) of the canonical JSON."""
    return digest_text(canonical(data))


def digest_text(text: str) -> str:
    """blake2b (128 bits, hex) of a text."""
    return blake2b(text.encode(), digest_size=16).hexdigest()


def checked(cls: type[T], data: Json, source: Path | str) -> T:
    """Build a settings record, refusing unknown keys and naming the file and the field.

    Raises SettingError.
    """
    from pydantic import ValidationError

    _refuse_unknown(data, cls, source, "")
    try:
        made = from_json(cls, data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or cls.__name__
        raise SettingError(f"{source}: field '{where}': {first['msg']}; mend it") from error
    _refuse_unknown_inside(data, made, source, "")
    return made


def _refuse_unknown(data: Json, cls: type, source: Path | str, where: str) -> None:
    known = [field.name for field in fields(cls)]
    for key in data:
        if key not in known:
            hint = f"{nearest(key, known)}; known: {', '.join(known)}"
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
