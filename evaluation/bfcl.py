"""Requests and functions of the Berkeley Function Calling Leaderboard, as decisions."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import NONE, Choose, Option, SettingError, tool_option

SETS = {
    "multiple": "BFCL_v4_multiple.first100",
    "live_multiple": "BFCL_v4_live_multiple.first200",
    "irrelevance": "BFCL_v4_irrelevance.first120",
    "simple_python": "BFCL_v4_simple_python.first200",
}


@dataclass(frozen=True, slots=True)
class Item:
    """A request, the functions on offer, and the name of the right one ("" where none is)."""

    request: str
    functions: tuple[Any, ...]
    right: str

    def options(self) -> tuple[Option, ...]:
        """The functions as tools."""
        return tuple(
            tool_option(one["name"], one["description"], one.get("parameters"))
            for one in self.functions
        )

    def plain_options(self) -> tuple[Option, ...]:
        """The functions by their descriptions alone."""
        return tuple(Option(one["name"], one["description"]) for one in self.functions)

    def ask(self, *, none: bool = False, plain: bool = False) -> Choose:
        """Which function the request means; with ``none`` it may be none of them."""
        options = self.plain_options() if plain else self.options()
        return Choose(
            messages=(),
            options=(*options, NONE) if none else options,
            about=self.request,
            role="tool",
        )


def data_folder(named: str | None = None) -> Path:
    """The folder of test data: ``named``, else $DENIZENS_DATA, else ../shared/data beside
    the repository. It need not exist."""
    named = named or os.environ.get("DENIZENS_DATA")
    if named:
        return Path(named).expanduser()
    return Path(__file__).resolve().parent.parent.parent / "shared" / "data"


def load(folder: Path, name: str) -> list[Item]:
    """The items of one of ``SETS``. Raises SettingError when its files are not there."""
    path = folder / "bfcl" / f"{SETS[name]}.jsonl"
    answers = path.with_name(f"{SETS[name]}.answers.jsonl")
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        rights = [""] * len(rows)
        if name != "irrelevance":
            told = answers.read_text(encoding="utf-8").splitlines()
            rights = [next(iter(json.loads(line)["ground_truth"][0])) for line in told]
    except FileNotFoundError as error:
        raise SettingError(
            f"{error.filename}: not there; name the folder that holds bfcl/ with --data or "
            "DENIZENS_DATA"
        ) from error
    return [
        Item(row["question"][0][-1]["content"], tuple(row["function"]), right)
        for row, right in zip(rows, rights, strict=True)
    ]
