"""Reading TOML and JSON files into checked settings."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from .errors import SettingError
from .words import Json


def read_settings(path: Path | str) -> dict[str, Json]:
    """The table in a ``.toml`` or ``.json`` file.

    Raises SettingError naming the file and the line when it is missing or not well formed.
    """
    source = Path(path)
    try:
        text = source.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingError(f"{source}: cannot be read ({reason}); check the path") from error
    except UnicodeDecodeError as error:
        raise SettingError(
            f"{source}: is not UTF-8 text ({error.reason}); save it as UTF-8"
        ) from error
    try:
        data = tomllib.loads(text) if source.suffix == ".toml" else json.loads(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        kind = "TOML" if source.suffix == ".toml" else "JSON"
        raise SettingError(
            f"{source}: is not well-formed {kind}: {error}; mend that line"
        ) from error
    if not isinstance(data, dict):
        raise SettingError(f"{source}: must hold a table of settings, not a {type(data).__name__}")
    return data


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint " (did you mean 'x'?)" when a known name lies close, else an empty string.

    >>> nearest("plannr", ["planner", "model"])
    " (did you mean 'planner'?)"
    >>> nearest("zzz", ["planner", "model"])
    ''
    """
    found = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean '{found[0]}'?)" if found else ""
