"""The Berkeley Function Calling Leaderboard (BFCL): requests, functions and right calls."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core import (
    NONE_OF_THESE,
    Choose,
    Json,
    Option,
    SettingError,
    ToolSpec,
    decode_text,
    map_subschemas,
    tool_option,
)

SETS = ("multiple", "live_multiple", "irrelevance", "simple_python")


@dataclass(frozen=True, slots=True)
class BfclItem:
    """A request, the functions offered, and the name of the right one ("" if none is right);
    ``accepted`` lists the accepted values of each of its arguments."""

    request: str
    functions: tuple[Any, ...]
    right: str
    accepted: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def specs(self) -> tuple[ToolSpec, ...]:
        """The functions as tools with JSON Schema parameters."""
        return tuple(
            ToolSpec(one["name"], one["description"], as_schema(one["parameters"]))
            for one in self.functions
        )

    def options(self) -> tuple[Option, ...]:
        """The functions as options of a decision."""
        return tuple(
            tool_option(one["name"], one["description"], one.get("parameters"))
            for one in self.functions
        )

    def plain_options(self) -> tuple[Option, ...]:
        """The functions as options with their descriptions only."""
        return tuple(Option(one["name"], one["description"]) for one in self.functions)

    def choose_ask(self, *, none: bool = False, plain: bool = False) -> Choose:
        """A Choose of the function that the request asks for; with ``none``, also none of them."""
        options = self.plain_options() if plain else self.options()
        return Choose(
            messages=(),
            options=(*options, NONE_OF_THESE) if none else options,
            about=self.request,
            role="tool",
        )


def load_bfcl(folder: Path, name: str) -> list[BfclItem]:
    """The items of one of ``SETS``, from all files ``BFCL_v4_NAME*.json`` or ``.jsonl`` in
    ``folder`` or ``folder/bfcl``, each request once. Answers are read from ``*.answers.jsonl``
    beside them, or from the same name in ``possible_answer`` as BFCL publishes them.

    Raises SettingError when there are no files or an answer is missing."""
    files = bfcl_files(folder, name)
    if not files:
        raise SettingError(
            f"{_bfcl_folder(folder)}: holds no file BFCL_v4_{name}*.jsonl; name the folder that "
            "holds it, or bfcl/, with --data or DENIZENS_DATA"
        )
    found: dict[str, BfclItem] = {}
    for path in files:
        rights = {} if name == "irrelevance" else _answers(path)
        for key, row in _rows(path).items():
            if name != "irrelevance" and key not in rights:
                raise SettingError(f"{path}: its answers lack '{key}'; add it to them")
            right = rights.get(key, ("", {}))
            item = BfclItem(row["question"][0][-1]["content"], tuple(row["function"]), *right)
            found.setdefault(key, item)
    return list(found.values())


def bfcl_files(folder: Path, name: str) -> list[Path]:
    """The files of one of ``SETS`` in a folder."""
    pattern = re.compile(rf"BFCL_v4_{name}(\.\w+)?\.jsonl?")
    return [
        path
        for path in sorted(_bfcl_folder(folder).glob(f"BFCL_v4_{name}*"))
        if pattern.fullmatch(path.name) and not path.stem.endswith(".answers")
    ]


def _bfcl_folder(folder: Path) -> Path:
    return folder / "bfcl" if (folder / "bfcl").is_dir() else folder


def _rows(path: Path) -> dict[str, Any]:
    """The lines of a file by their ids, or by line number where they have none."""
    try:
        lines = decode_text(path.read_bytes(), path).split("\n")
        rows = [json.loads(line) for line in lines if line.strip()]
        return {str(row.get("id", number)): row for number, row in enumerate(rows)}
    except (OSError, ValueError, AttributeError) as error:
        raise SettingError(f"{path}: cannot be read as JSON Lines ({error}); correct it") from error


def _answers(path: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """The right function and the accepted values of each argument, by request id."""
    beside = path.with_name(f"{path.name.rpartition('.')[0]}.answers.jsonl")
    answers_file = beside if beside.exists() else path.parent / "possible_answer" / path.name
    if not answers_file.exists():
        raise SettingError(
            f"{beside}: neither this file nor {answers_file} exists; add the answers"
        )
    rows = _rows(answers_file).items()
    return {key: next(iter(row["ground_truth"][0].items())) for key, row in rows}


_TYPES = {"dict": "object", "float": "number", "tuple": "array", "double": "number"}
_JSON = frozenset(("string", "integer", "number", "boolean", "array", "object", "null"))


def as_schema(parameters: Json) -> Json:
    """Function parameters as JSON Schema: dict, float and tuple become object, number and array; an
    unknown type ("any") is dropped.

    >>> as_schema({"type": "dict", "properties": {"x": {"type": "float"}}})
    {'type': 'object', 'properties': {'x': {'type': 'number'}}}
    """
    return map_subschemas(parameters, _standard_type)


def _standard_type(schema: Json) -> Json:
    if not isinstance(schema, dict) or not isinstance(schema.get("type"), str):
        return schema
    name = schema["type"].lower()
    name = _TYPES.get(name, name)
    if name in _JSON:
        return {**schema, "type": name}
    return {key: value for key, value in schema.items() if key != "type"}


def is_right_call(item: BfclItem, name: str, arguments: Mapping[str, Json]) -> bool:
    """Whether a call is right by BFCL's rules: the right function, and each argument one of its
    accepted values; "" among them makes it optional."""
    return name == item.right and accepts(item.accepted, arguments)


def accepts(accepted: Mapping[str, Any], arguments: Mapping[str, Json]) -> bool:
    """Whether each argument has an accepted value, and the missing ones are optional."""
    return all(
        key in accepted and accepts_value(accepted[key], value) for key, value in arguments.items()
    ) and all("" in values for key, values in accepted.items() if key not in arguments)


def accepts_value(accepted: Sequence[Any], value: Json) -> bool:
    """Whether a value is one of the accepted ones.

    >>> accepts_value(["New York, NY"], "new york ny"), accepts_value([5.0], 5)
    (True, True)
    """
    return any(_equal(one, value) for one in accepted)


def _equal(accepted: Any, value: Json) -> bool:
    if isinstance(accepted, dict) and isinstance(value, dict):
        each = {key: one if isinstance(one, list) else [one] for key, one in accepted.items()}
        return accepts(each, value)
    if isinstance(accepted, list) and isinstance(value, list):
        return len(accepted) == len(value) and all(map(_equal, accepted, value))
    if isinstance(accepted, str) and isinstance(value, str):
        return _normalized(accepted) == _normalized(value)
    if isinstance(accepted, bool) or isinstance(value, bool):
        return accepted is value
    return bool(accepted == value)


def _normalized(text: str) -> str:
    """A text as BFCL compares it: without blanks, case and some punctuation."""
    return re.sub(r"[ ,./\-_*^]", "", text).lower().replace("'", '"')
