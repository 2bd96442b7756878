"""A check that a tool keeps the contract of tools."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import datetime

from ..core import Json, ToolError, ToolResult, canonical, check_arguments, schema_problem
from ..models import random_instance
from ..tools import AnyTool, Toolbox, ToolContext, limits_of
from .contract import Contract

CONTEXT = ToolContext(who="Ana", now=datetime(2000, 1, 1, 9))
MAX_CHARACTERS = 20_000
TIMEOUT_SLACK_S = 1.5
"""Seconds that a call may take beyond its tool's own limit."""


@check_arguments
def check_tool(tool: AnyTool, examples: Sequence[Json] = ()) -> None:
    """Raise ToolError when a tool breaks a clause of its contract, and name the clause.

    ``examples`` are arguments that must work. The tool is really called with them, so give none
    with unwanted effects. It is called with invalid arguments too, which must be refused before
    it runs.
    """
    contract = Contract(f"check_tool: '{tool.name}'", ToolError, "docs/tools.md")
    box = Toolbox([tool])
    _check_schema(tool, contract)
    _check_rejections(tool, box, contract)
    for number, arguments in enumerate(examples):
        _check_example(tool, box, arguments, f"example {number}", contract)


def _check_schema(tool: AnyTool, contract: Contract) -> None:
    """A name, a description, and a valid JSON Schema of an object for the arguments."""
    spec = tool.spec
    contract.require(spec.name == tool.name, "its spec has the tool's name", spec.name)
    contract.require(bool(spec.description.strip()), "it has a description", "no description")
    problem = schema_problem(spec.parameters)
    contract.require(not problem, "its schema is valid JSON Schema", problem)
    contract.require(
        spec.parameters.get("type") == "object",
        "its schema describes an object",
        canonical(spec.parameters)[:120],
    )
    contract.require_json(spec.parameters, "its schema survives JSON unchanged")


def _check_rejections(tool: AnyTool, box: Toolbox, contract: Contract) -> None:
    """Invalid arguments are refused with a message before the tool runs."""
    schema = tool.spec.parameters
    valid = random_instance(schema, b"check_tool")
    invalid: dict[str, Json] = {
        "no object": ["not", "an", "object"],
        "an unknown argument": {**valid, "no_such_argument_at_all": 1},
    }
    for name in schema.get("required", ()):
        invalid[f"'{name}' missing"] = {key: valid[key] for key in valid if key != name}
    for name, inner in schema.get("properties", {}).items():
        if isinstance(inner, dict) and inner.get("type") in ("integer", "number", "boolean"):
            invalid[f"'{name}' of a wrong type"] = {**valid, name: {"a": ["b"]}}
    clause = "arguments that do not fit are refused with a message and no receipt"
    for problem, arguments in invalid.items():
        result = box.call(tool.name, arguments, context=CONTEXT, key="check/wrong")
        refused = not result.ok and bool(result.error) and not result.receipt
        contract.require(refused and result.reason == "arguments", clause, f"{problem}: {result}")


def _check_example(
    tool: AnyTool, box: Toolbox, arguments: Json, where: str, contract: Contract
) -> None:
    """A call works within its timeout and returns JSON; a pure tool repeats its result."""
    limits = limits_of(tool)
    start = time.monotonic()
    result = box.call(tool.name, arguments, context=CONTEXT, key=f"check/{where}")
    seconds = time.monotonic() - start
    contract.require(result.ok, "it works with the examples", f"{where}: {result.error}")
    contract.require(bool(result.receipt), "a call that ran has a receipt", where)
    _check_result(result, limits.characters or MAX_CHARACTERS, where, contract)
    if limits.timeout:
        longest = (limits.retries + 1) * limits.timeout + TIMEOUT_SLACK_S
        contract.require(seconds <= longest, "it keeps its timeout", f"{where}: {seconds:.1f} s")
    if tool.spec.effect == "pure":
        again = box.call(tool.name, arguments, context=CONTEXT, key=f"check/{where}")
        contract.require(
            again.ok and canonical(again.value) == canonical(result.value),
            "a pure tool gives the same for the same arguments",
            f"{where}: {result.value!r}, then {again.value!r}",
        )
        contract.require(
            again.receipt == result.receipt, "the same key gives the same receipt", where
        )


def _check_result(result: ToolResult, most: int, where: str, contract: Contract) -> None:
    clause = "its result is JSON of a bounded size"
    contract.require_json(result.value, clause, where)
    length = len(json.dumps(result.value, ensure_ascii=False))
    contract.require(length <= most, clause, f"{where}: {length} characters")
