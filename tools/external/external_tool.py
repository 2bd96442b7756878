"""External tools: run by another program; unique names, sanitized schemas, validated arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from importlib import import_module
from itertools import islice
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

_MAX_FAULT_CHARS = 160
_MAX_DESCRIPTION_CHARS = 600
_MAX_NAME_CHARS = 64
_MAX_ERRORS = 50


class ToolUnavailable(ConnectionError):
    """The program that runs the tool died, was ended, or cannot be reached."""


class ExternalTool:
    """A tool that another program runs, as a Toolbox takes it.

    Its schema and texts are untrusted: the schema is sanitized, the texts are cleaned, and results
    are marked as outside words. ``run`` makes the call with the arguments and a progress callback.
    """

    # No argument can have this name: names of properties consist of visible characters.
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
        self.name = checked_name(name)
        text = clean_text(description, _MAX_DESCRIPTION_CHARS) or name.replace("_", " ").replace(
            ".", ": "
        )
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
        """The arguments unchanged. Raises ValueError with the faults if they are invalid."""
        known = self.spec.parameters.get("properties", {})
        faults = []
        for error in islice(self._validator.iter_errors(dict(given)), _MAX_ERRORS):
            faults += list(_fault_texts(error, known))
        if faults:
            raise ValueError(join_faults(faults))
        return dict(given)

    @cached_property
    def _validator(self) -> Any:
        return schema_validator(self.spec.parameters, keywords={"pattern": _pattern_errors})


def ignore_progress(text: str, share: float | None) -> None:
    """A ProgressCallback that does nothing."""


def import_optional(module: str) -> Any:
    """A module of the extra ``mcp``. Raises SettingError if it is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        raise SettingError(
            f"external tools need the package {module.partition('.')[0]} ({error}): "
            "pip install 'denizens[mcp]'"
        ) from error


def unique_tool_name(namespace: str, name: object, taken: Collection[str]) -> str:
    """A valid tool name similar to the external name and not in ``taken``.

    >>> unique_tool_name("git", "repo/list files", ())
    'git.repo_list_files'
    >>> unique_tool_name("git", "repo list files", ["git.repo_list_files"])
    'git.repo_list_files_2'
    """
    original = name if isinstance(name, str) else ""
    word = re.sub(r"[^A-Za-z0-9_-]+", "_", original).strip("_-") or "tool"
    if not re.match(r"[A-Za-z_]", word):
        word = f"_{word}"
    prefix = f"{namespace}." if namespace else ""
    room = _MAX_NAME_CHARS - len(prefix) - 4
    if len(word) > room:
        # Long names with a common beginning differ by digest, independent of their order.
        word = f"{word[: room - 7]}_{digest_text(original)[:6]}"
    unique, count = prefix + word, 1
    while unique in taken:
        count += 1
        unique = f"{prefix}{word}_{count}"
    return unique


def _pattern_errors(
    validator: Any, pattern: str, instance: Json, schema: Json
) -> Iterator[Exception]:
    from pydantic_core import ValidationError

    checker = linear_time_pattern(pattern)
    if not isinstance(instance, str) or checker is None:
        return
    try:
        checker.validate_python(instance)
    except ValidationError:
        message = f"{instance[:40]!r} does not match {pattern!r}"
        yield import_module("jsonschema").ValidationError(message)


def _fault_texts(error: Any, known: Mapping[str, Json]) -> Iterator[str]:
    """One jsonschema error as messages by which a model can correct the arguments."""
    path = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "required" and not path:
        yield f"argument {error.message.removesuffix(' is a required property')} is missing"
    elif error.validator == "additionalProperties" and not path:
        for name in error.instance:
            if name not in known:
                yield unknown_argument(name, known)
    else:
        where = f"argument '{path}'" if path else "the arguments"
        yield clean_text(f"{where}: {error.message}", _MAX_FAULT_CHARS)
