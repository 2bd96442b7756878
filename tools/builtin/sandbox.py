"""The tool ``python``: a sandbox in another process.

Monty (https://github.com/pydantic/monty) is a separate interpreter for a subset of Python, with a
few computing modules. It has no objects of this process and no system calls other than those given
to it; none are given.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypedDict

from ...core import Json, SettingError
from ..declaration import Tool, ToolContext, tool

if TYPE_CHECKING:
    from pydantic_monty import ResourceLimits

_MAX_PROGRAM_CHARS = 20_000
_MAX_NODES = 2_000
_CHARS_PER_NODE = 4
_MAX_DEPTH = 20
_MAX_INT_BITS = 4_096
_MAX_MESSAGE_CHARS = 200


class CodeResult(TypedDict):
    """What a program printed, and the value of its last expression."""

    printed: str
    value: Json


def python_sandbox(
    *, seconds: float = 2.0, memory: int = 64, output: int = 8_000, name: str = "python"
) -> Tool[..., CodeResult]:
    """The tool ``python``: a program may run for ``seconds``, use ``memory`` MB and print
    ``output`` characters.

    It has no files, network, environment or objects of this process. Its clock stands at the time
    of the call and its random numbers are seeded by the call's key, so a repeated call gives the
    same result. Raises SettingError for limits that allow nothing.
    """
    if seconds <= 0 or memory < 1 or output < 1:
        raise SettingError("python_sandbox: seconds, memory and output must be above 0")

    # The interpreter has limits of its own; the pool's timeout below ends a hung worker.
    @tool(name=name)
    def python(context: ToolContext, code: str) -> CodeResult:
        """Run a short Python program and give what it prints and the value of its last
        expression, for example "sum(n * n for n in range(10))".

        Args:
            code: the program; math, json, re, random, datetime and decimal may be imported,
                files and network are out of reach
        """
        return _run(code, context, seconds, memory * 2**20, output)

    return python


def _run(code: str, context: ToolContext, seconds: float, memory: int, output: int) -> CodeResult:
    try:
        import pydantic_monty as monty
    except ImportError as error:
        raise RuntimeError(
            "the sandbox is not installed; whoever runs this does: pip install denizens[code]"
        ) from error
    if len(code) > _MAX_PROGRAM_CHARS:
        raise ValueError(f"the program has {len(code)} characters, more than {_MAX_PROGRAM_CHARS}")
    limits: ResourceLimits = {
        "max_feed_duration_secs": seconds,
        "max_turn_duration_secs": seconds,
        "max_memory": memory,
        "max_recursion_depth": 200,
        "max_suspensions": 100,
        "max_total_sleep_secs": 0.0,
    }
    printed = monty.CollectString(output * 4)
    # A new pool for every call, so that programs share no state.
    with (
        monty.Monty(max_processes=1, request_timeout=seconds + 2) as pool,
        pool.checkout(
            limits=limits,
            os_policy={
                "datetime": context.now,
                "sleep": "zero",
                "random_start": {"seed": context.key},
            },
        ) as session,
    ):
        try:
            value = session.feed_run(code, print_callback=printed)
        except (monty.MontyRuntimeError, monty.MontySyntaxError) as error:
            raise _program_error(error, printed.output, output) from error
        except monty.MontyCrashedError as error:
            raise ValueError(f"the program took too much or too long and was ended: {error}") from (
                error
            )
    return CodeResult(
        printed=_cut(printed.output, output), value=_to_json(value, [_MAX_NODES], _MAX_DEPTH)
    )


def _program_error(error: Any, printed: str, output: int) -> ValueError:
    frames = error.traceback()
    where = f"line {frames[-1].line}: " if frames else ""
    before = (
        f"; printed before: {_cut(printed, min(output, _MAX_MESSAGE_CHARS))}" if printed else ""
    )
    return ValueError(f"{where}{_cut(error.display('type-msg'), _MAX_MESSAGE_CHARS)}{before}")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most} more)"


def _to_json(value: Any, left: list[int], depth: int) -> Json:
    """A value as JSON of at most ``left`` nodes and ``depth`` levels; other values as text."""
    left[0] -= 1
    if left[0] < 0 or depth < 0:
        return "…"
    match value:
        case None | bool():
            return value
        case int():
            # Python refuses to convert longer integers to text.
            digits = int(value.bit_length() * math.log10(2)) + 1
            return (
                value
                if value.bit_length() <= _MAX_INT_BITS
                else f"a number of about {digits} digits"
            )
        case float():
            return value if math.isfinite(value) else str(value)
        case str():
            text = _cut(value.encode(errors="replace").decode(), _CHARS_PER_NODE * max(left[0], 1))
            left[0] -= len(text) // _CHARS_PER_NODE
            return text
        case list() | tuple() | set() | frozenset():
            items = []
            for item in value:
                if left[0] < 0:
                    break
                items.append(_to_json(item, left, depth - 1))
            return items
        case dict():
            members: dict[str, Json] = {}
            for key, item in value.items():
                if left[0] < 0:
                    break
                name = key if isinstance(key, str) else str(_to_json(key, left, 2))
                members[_cut(name, 200)] = _to_json(item, left, depth - 1)
            return members
    return _cut(str(value), 500)


python = python_sandbox()
