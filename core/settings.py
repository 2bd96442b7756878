"""Reading TOML and JSON files into settings records, with errors that name file and field."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import TypeVar

from .argument_checks import check_arguments
from .codec import first_error, type_adapter
from .errors import SettingError
from .files import read_text_file
from .text import replace_surrogates
from .types import Json

T = TypeVar("T")

MAX_DEPTH = 64
"""Most levels of nested lists and tables in a settings file."""
_MAX_INTEGER_BITS = 1024
"""Size of the largest integer accepted: no float holds a larger one."""
_TOO_DEEP = f"is nested more than {MAX_DEPTH} levels deep; flatten it"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@check_arguments
def read_settings(path: Path | str) -> dict[str, Json]:
    """The table in a ``.toml`` or ``.json`` file.

    Raises SettingError with the file, and the line if known, when the file is missing, is not
    well formed, gives a key twice, holds NaN or infinity, or is nested deeper than
    ``MAX_DEPTH``.
    """
    source = Path(path)
    data = parse_settings(read_text_file(source), source)
    if not isinstance(data, dict):
        raise SettingError(f"{source}: must hold a table of settings, not a {type(data).__name__}")
    return data


@check_arguments
def parse_settings(text: str, source: Path | str) -> Json:
    """The values in a text of TOML if ``source`` ends in ``.toml``, else of JSON.

    Raises SettingError under the same conditions as ``read_settings``.
    """
    toml = Path(source).suffix.lower() == ".toml"
    kind = "TOML" if toml else "JSON"
    try:
        data: Json = tomllib.loads(text) if toml else _parse_json(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise SettingError(
            f"{source}: is not well-formed {kind}: {error}; correct that line"
        ) from error
    except _AmbiguousJson as error:
        raise SettingError(f"{source}: {error}") from error
    except RecursionError as error:
        raise SettingError(f"{source}: {_TOO_DEEP}") from error
    except ValueError as error:
        # int() refuses integers of more than 4300 digits.
        raise SettingError(
            f"{source}: holds a number too large to use ({error}); write a smaller one"
        ) from error
    _check_values(data, source)
    # JSON may escape a lone surrogate (\\ud83d), which no UTF-8 file holds.
    return _repair_texts(data) if _SURROGATE.search(text) else data


def _repair_texts(data: Json) -> Json:
    """The values with every text passed through ``replace_surrogates``."""
    if isinstance(data, str):
        return replace_surrogates(data)
    if isinstance(data, list):
        return [_repair_texts(item) for item in data]
    if isinstance(data, dict):
        return {replace_surrogates(key): _repair_texts(value) for key, value in data.items()}
    return data


class _AmbiguousJson(Exception):
    """Well-formed JSON without a single meaning."""


def _parse_json(text: str) -> Json:
    return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)


def _unique_keys(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    table = dict(pairs)
    if len(table) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _AmbiguousJson(f"gives the key '{key}' twice in one object; keep one of them")
            seen.add(key)
    return table


def _refuse_constant(name: str) -> Json:
    raise _AmbiguousJson(f"holds {name}, which is not a JSON number; write a number or null")


def _check_values(data: Json, source: Path | str) -> None:
    """Refuse numbers that are not finite or too large, and values nested too deep. Iterative, so
    that no depth exhausts the stack."""
    level: list[Json] = [data]
    for _ in range(MAX_DEPTH + 1):
        next_level: list[Json] = []
        for value in level:
            if isinstance(value, dict):
                next_level.extend(value.values())
            elif isinstance(value, list):
                next_level.extend(value)
            elif isinstance(value, float) and not isfinite(value):
                raise SettingError(f"{source}: holds the number {value}; write a finite one")
            elif isinstance(value, int) and value.bit_length() > _MAX_INTEGER_BITS:
                raise SettingError(
                    f"{source}: holds a number too large to use; write a smaller one"
                )
        if not next_level:
            return
        level = next_level
    raise SettingError(f"{source}: {_TOO_DEEP}")


@check_arguments
def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The hint " (did you mean 'x'?)" if a known name is similar, else an empty text.

    >>> did_you_mean("plannr", ["planner", "model"])
    " (did you mean 'planner'?)"
    >>> did_you_mean("zzz", ["planner", "model"])
    ''
    """
    matches = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean '{matches[0]}'?)" if matches else ""


@check_arguments
def build_settings(cls: type[T], data: Json, source: Path | str) -> T:
    """An instance of the dataclass ``cls`` from a table of its fields.

    Raises SettingError, with ``source`` and the field, for an unknown key (with a suggestion) or
    a value that does not fit.
    """
    from pydantic import ValidationError

    if not isinstance(data, Mapping) or not is_dataclass(cls):
        kind = type(data).__name__
        raise SettingError(f"{source}: must be a table of named values, not {kind}; correct it")
    _refuse_unknown(data, cls, source, "")
    try:
        settings = type_adapter(cls).validate_python(data)
    except ValidationError as error:
        field, message = first_error(error)
        field = field or cls.__name__
        raise SettingError(f"{source}: field '{field}': {message}; correct it") from error
    _refuse_unknown_inside(data, settings, source, "")
    return settings


def _refuse_unknown(data: Json, cls: type, source: Path | str, prefix: str) -> None:
    known = [field.name for field in fields(cls)]
    for key in data:
        if key not in known:
            hint = f"{did_you_mean(key, known)}; known: {', '.join(known)}"
            raise SettingError(f"{source}: unknown key '{prefix}{key}'{hint}")


def _refuse_unknown_inside(data: Json, settings: object, source: Path | str, prefix: str) -> None:
    """Refuse unknown keys of nested dataclasses, which pydantic ignores."""
    if isinstance(settings, tuple) and isinstance(data, list):
        for place, (item_data, item) in enumerate(zip(data, settings)):
            _refuse_unknown_inside(item_data, item, source, f"{prefix}{place}.")
    elif is_dataclass(settings) and isinstance(data, dict):
        _refuse_unknown(data, type(settings), source, prefix)
        for key, value in data.items():
            _refuse_unknown_inside(value, getattr(settings, key), source, f"{prefix}{key}.")
