"""Tools that another program runs: their names, their schemas, their arguments' check."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from importlib import import_module
from typing import Any

from ...core import Json, SettingError, ToolSpec, digest_text, schema_validator
from ..declaration import (
    Effect,
    ProgressCallback,
    ToolContext,
    checked_name,
    join_faults,
    unknown_argument,
)
from .schema_sanitizer import clean_text, linear_time_pattern, sanitize_schema

_FAULT = 160
_DESCRIPTION = 600
_LONGEST = 64


class ToolUnavailable(ConnectionError):
    """Whatever runs the tool is gone: it died, was ended, or cannot be reached."""


class ExternalTool:
    """A tool that another program runs, as a Toolbox takes it.

    What the program says about it is data from outside: the schema is tamed, the texts are
    cleaned, and what a call brings counts as outside words. ``run`` does the call; it gets the
    arguments, and what to tell how the work goes on. Raises SettingError without the extra
    ``mcp``, by which arguments are checked.
    """

    # No argument can have this name: the properties of a schema are visible characters.
    context = "\0context"

    def __init__(
        self,
        name: str,
        description: str,
        schema: Json,
        *,
        effect: Effect,
        run: Callable[[dict[str, Json], ProgressCallback], object],
    ) -> None:
        # By now, not at the first call: a toolbox's call never raises.
        import_optional("jsonschema")
        self.name = checked_name(name)
        text = clean_text(description, _DESCRIPTION) or name.replace("_", " ").replace(".", ": ")
        self.spec = ToolSpec(self.name, text, sanitize_schema(schema), effect, outside=True)
        self._run = run

    def __repr__(self) -> str:
        return f"<ExternalTool {self.name} ({self.spec.effect})>"

    def function(self, /, **arguments: Any) -> object:
        """Call it; the arguments may have any names."""
        context = arguments.pop(self.context, None)
        return self._run(
            arguments,
            context.report_progress if isinstance(context, ToolContext) else ignore_progress,
        )

    def arguments(self, given: Mapping[str, Json]) -> dict[str, Any]:
        """The arguments as they are. Raises ValueError, saying what does not fit."""
        known = self.spec.parameters.get("properties", {})
        faults = []
        for place, error in enumerate(self._checker.iter_errors(dict(given))):
            if place == 50:
                break
            faults += list(_told(error, known))
        if faults:
            raise ValueError(join_faults(faults))
        return dict(given)

    @cached_property
    def _checker(self) -> Any:
        """Validates arguments; patterns are matched in linear time."""
        return schema_validator(self.spec.parameters, keywords={"pattern": _fits})


def ignore_progress(text: str, share: float | None) -> None:
    """Nobody wants to hear what a tool says while it works."""


def import_optional(module: str) -> Any:
    """A module of the extra ``mcp``. Raises SettingError where it is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        raise SettingError(
            f"foreign tools need the package {module.partition('.')[0]} ({error}): "
            "pip install 'denizens[mcp]'"
        ) from error


def unique_tool_name(namespace: str, name: object, taken: Collection[str]) -> str:
    """A name that a Toolbox takes, like the foreign one and unlike those taken.

    >>> unique_tool_name("git", "repo/list files", ())
    'git.repo_list_files'
    >>> unique_tool_name("git", "repo list files", ["git.repo_list_files"])
    'git.repo_list_files_2'
    """
    given = name if isinstance(name, str) else ""
    word = re.sub(r"[^A-Za-z0-9_-]+", "_", given).strip("_-") or "tool"
    if not re.match(r"[A-Za-z_]", word):
        word = f"_{word}"
    prefix = f"{namespace}." if namespace else ""
    room = _LONGEST - len(prefix) - 4
    if len(word) > room:
        # Long names that begin alike stay apart, whatever their order.
        word = f"{word[: room - 7]}_{digest_text(given)[:6]}"
    found, count = prefix + word, 1
    while found in taken:
        count += 1
        found = f"{prefix}{word}_{count}"
    return found


def _fits(validator: Any, pattern: str, instance: Json, schema: Json) -> Iterator[Exception]:
    """The keyword ``pattern``, for jsonschema."""
    from pydantic_core import ValidationError

    checker = linear_time_pattern(pattern)
    if not isinstance(instance, str) or checker is None:
        return
    try:
        checker.validate_python(instance)
    except ValidationError:
        message = f"{instance[:40]!r} does not match {pattern!r}"
        yield import_optional("jsonschema").ValidationError(message)


def _told(error: Any, known: Mapping[str, Json]) -> Iterator[str]:
    """One fault in words that a model can mend it by."""
    path = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "required" and not path:
        yield f"argument {error.message.removesuffix(' is a required property')} is missing"
    elif error.validator == "additionalProperties" and not path:
        for one in error.instance:
            if one not in known:
                yield unknown_argument(one, known)
    else:
        where = f"argument '{path}'" if path else "the arguments"
        yield clean_text(f"{where}: {error.message}", _FAULT)
