"""A check that anybody's tool keeps the contract of a tool."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import datetime
from importlib.util import find_spec

from ..core import (
    Json,
    SettingError,
    ToolError,
    ToolResult,
    canonical,
    check_arguments,
    schema_problem,
)
from ..models import random_instance
from ..tools import AnyTool, Toolbox, ToolContext, ToolLimits

NOW = datetime(2000, 1, 1, 9)
MAX_CHARACTERS = 20_000
TIMEOUT_SLACK_S = 1.5
"""Seconds that a call may take beyond its tool's own limit."""


@check_arguments
def check_tool(tool: AnyTool, examples: Sequence[Json] = ()) -> None:
    """Fail when a tool breaks a clause of its contract, and name the clause.

    ``examples`` are arguments with which it must work; it is really called with them, so give
    none that must not happen. It is called with wrong ones too, which must be refused before
    it begins. Raises ToolError, or SettingError without the package jsonschema.
    """
    box = Toolbox([tool])
    _check_schema(tool)
    _check_rejections(tool, box)
    for place, given in enumerate(examples):
        _check_example(tool, box, given, f"example {place}")


def _check_schema(tool: AnyTool) -> None:
    """A name, a description, and arguments told by a valid JSON Schema of an object."""
    spec = tool.spec
    _require(tool, spec.name == tool.name, "its spec has its name", spec.name)
    _require(tool, bool(spec.description.strip()), "it says what it does", "no description")
    if find_spec("jsonschema") is None:
        raise SettingError("check_tool needs the package jsonschema: pip install jsonschema")
    problem = schema_problem(spec.parameters)
    _require(tool, not problem, "its schema is valid JSON Schema", problem)
    _require(
        tool,
        spec.parameters.get("type") == "object",
        "its schema is that of an object",
        canonical(spec.parameters)[:120],
    )
    clause = "its schema comes back from JSON as it was"
    try:
        back = json.loads(json.dumps(spec.parameters, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise _contract_error(tool, clause, str(error)) from error
    _require(tool, back == spec.parameters, clause, "reading it back gives something else")


def _check_rejections(tool: AnyTool, box: Toolbox) -> None:
    """What does not fit is refused in words, before the tool begins to run."""
    schema = tool.spec.parameters
    known = schema.get("properties", {})
    filled = random_instance(schema, b"check_tool")
    wrong: dict[str, Json] = {
        "no object": ["not", "an", "object"],
        "an unknown argument": {**filled, "no_such_argument_at_all": 1},
    }
    for name in schema.get("required", ()):
        wrong[f"'{name}' missing"] = {key: filled[key] for key in filled if key != name}
    for name, inner in known.items():
        if isinstance(inner, dict) and inner.get("type") in ("integer", "number", "boolean"):
            wrong[f"'{name}' of a wrong type"] = {**filled, name: {"a": ["b"]}}
    for what, given in wrong.items():
        result = box.call(tool.name, given, context=_context(), key="check/wrong")
        clause = "arguments that do not fit are refused with a message and no receipt"
        said = f"{what}: {result}"
        _require(tool, not result.ok and bool(result.error) and not result.receipt, clause, said)
        _require(tool, result.reason == "arguments", clause, said)


def _check_example(tool: AnyTool, box: Toolbox, given: Json, where: str) -> None:
    """It works with the example, in its time, and gives JSON; a pure one gives it again."""
    limits = getattr(tool, "limits", None)
    limits = limits if isinstance(limits, ToolLimits) else ToolLimits()
    began = time.monotonic()
    result = box.call(tool.name, given, context=_context(), key=f"check/{where}")
    seconds = time.monotonic() - began
    _require(tool, result.ok, "it works with the examples", f"{where}: {result.error}")
    _require(tool, bool(result.receipt), "what ran has a receipt", where)
    _check_result(tool, result, limits.characters or MAX_CHARACTERS, where)
    if limits.timeout:
        most = (limits.retries + 1) * limits.timeout + TIMEOUT_SLACK_S
        _require(tool, seconds <= most, "it keeps its timeout", f"{where}: {seconds:.1f} s")
    if tool.spec.effect == "pure":
        again = box.call(tool.name, given, context=_context(), key=f"check/{where}")
        same = again.ok and canonical(again.value) == canonical(result.value)
        clause = "a pure tool gives the same for the same arguments"
        _require(tool, same, clause, f"{where}: {result.value!r}, then {again.value!r}")
        _require(
            tool, again.receipt == result.receipt, "the same key gives the same receipt", where
        )


def _check_result(tool: AnyTool, result: ToolResult, most: int, where: str) -> None:
    clause = "its result is JSON of a bounded size"
    try:
        text = json.dumps(result.value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise _contract_error(tool, clause, f"{where}: {error}") from error
    _require(tool, json.loads(text) == result.value, clause, where)
    _require(tool, len(text) <= most, clause, f"{where}: {len(text)} characters")


def _context() -> ToolContext:
    return ToolContext(who="Ana", now=NOW)


def _require(tool: AnyTool, kept: bool, clause: str, detail: str) -> None:
    if not kept:
        raise _contract_error(tool, clause, detail)


def _contract_error(tool: AnyTool, clause: str, detail: str) -> ToolError:
    return ToolError(f"check_tool: '{tool.name}': {clause}: {detail}; see docs/tools.md")
