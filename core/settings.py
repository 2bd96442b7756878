"""Reading TOML and JSON files into checked settings."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from math import isfinite
from pathlib import Path

from .argument_checks import check_arguments
from .errors import SettingError
from .text import read_text_file, replace_surrogates
from .types import Json

MAX_DEPTH = 64
"""How deep a file's lists and tables may lie in one another; ours need 6."""
_MAX_INTEGER_BITS = 1024
"""Of the largest whole number read: beyond it no float holds it."""


@check_arguments
def read_settings(path: Path | str) -> dict[str, Json]:
    """The table in a ``.toml`` or ``.json`` file.

    Raises SettingError naming the file, and the line where there is one, when it is missing,
    not well formed, gives a key twice, holds a number that is none (NaN, infinity) or is
    nested more than ``MAX_DEPTH`` deep.
    """
    source = Path(path)
    data = parse_settings(read_text_file(source), source)
    if not isinstance(data, dict):
        raise SettingError(f"{source}: must hold a table of settings, not a {type(data).__name__}")
    return data


@check_arguments
def parse_settings(text: str, source: Path | str) -> Json:
    """The values in a text of TOML, where ``source`` ends in ``.toml``, or of JSON.

    Raises SettingError as ``read_settings`` does.
    """
    toml = Path(source).suffix.lower() == ".toml"
    kind = "TOML" if toml else "JSON"
    try:
        data: Json = tomllib.loads(text) if toml else _parse_json(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise SettingError(
            f"{source}: is not well-formed {kind}: {error}; mend that line"
        ) from error
    except _AmbiguousJson as error:
        raise SettingError(f"{source}: {error}") from error
    except RecursionError as error:
        raise SettingError(f"{source}: {_TOO_DEEP}") from error
    except ValueError as error:
        # int() refuses numbers of more digits than it converts.
        raise SettingError(
            f"{source}: holds a number too large to use ({error}); write a smaller one"
        ) from error
    _check_values(data, source)
    # Half an emoji is written \\ud83d in JSON; no file of ours could hold it.
    return _repair_texts(data) if _SURROGATE.search(text) else data


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_TOO_DEEP = f"is nested more than {MAX_DEPTH} levels deep; flatten it"


def _repair_texts(data: Json) -> Json:
    """The values with texts that can be written; nested no deeper than ``MAX_DEPTH``."""
    if isinstance(data, str):
        return replace_surrogates(data)
    if isinstance(data, list):
        return [_repair_texts(one) for one in data]
    if isinstance(data, dict):
        return {replace_surrogates(key): _repair_texts(one) for key, one in data.items()}
    return data


class _AmbiguousJson(Exception):
    """Well-formed JSON that has no one meaning."""


def _parse_json(text: str) -> Json:
    return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)


def _unique_keys(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _AmbiguousJson(f"gives the key '{key}' twice in one object; keep one of them")
            seen.add(key)
    return made


def _refuse_constant(name: str) -> Json:
    raise _AmbiguousJson(f"holds {name}, which is no JSON number; write a number or null")


def _check_values(data: Json, source: Path | str) -> None:
    """Refuse what a parser lets through: numbers that are not finite, and too much depth.
    Walks without recursion."""
    level: list[Json] = [data]
    for _ in range(MAX_DEPTH + 1):
        below: list[Json] = []
        for one in level:
            if isinstance(one, dict):
                below.extend(one.values())
            elif isinstance(one, list):
                below.extend(one)
            elif isinstance(one, float) and not isfinite(one):
                raise SettingError(f"{source}: holds the number {one}; write a finite one")
            elif isinstance(one, int) and one.bit_length() > _MAX_INTEGER_BITS:
                raise SettingError(
                    f"{source}: holds a number too large to use; write a smaller one"
                )
        if not below:
            return
        level = below
    raise SettingError(f"{source}: {_TOO_DEEP}")


@check_arguments
def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint " (did you mean 'x'?)" when a known name lies close, else an empty string.

    >>> did_you_mean("plannr", ["planner", "model"])
    " (did you mean 'planner'?)"
    >>> did_you_mean("zzz", ["planner", "model"])
    ''
    """
    found = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean '{found[0]}'?)" if found else ""
