"""Python in a sandbox: another interpreter in another process, with nothing to reach.

Monty (https://github.com/pydantic/monty) is an interpreter of its own for a part of Python:
it has no objects of ours to walk along, no modules but a few that compute, and no call into
the system unless it is handed one. It is handed none.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypedDict

from ...core import Json, SettingError
from ..declaration import Tool, ToolContext, tool

if TYPE_CHECKING:
    from pydantic_monty import ResourceLimits

_LONGEST = 20_000
_NODES = 2_000
_LETTERS = 4  # count as one node
_DEEPEST = 20
_BITS = 4_096
_SHOWN = 200


class CodeResult(TypedDict):
    """What a program printed, and the value of its last expression."""

    printed: str
    value: Json


def python_sandbox(
    *, seconds: float = 2.0, memory: int = 64, output: int = 8_000, name: str = "python"
) -> Tool[..., CodeResult]:
    """The tool ``python``: a program may run for ``seconds``, take ``memory`` MB, and print
    ``output`` characters.

    It sees no file, network, environment or object of this process. Its clock stands at the
    moment of the call and its random numbers are seeded by the call's key, so that a call
    done again gives the same. Raises SettingError for limits that allow nothing.
    """
    if seconds <= 0 or memory < 1 or output < 1:
        raise SettingError("python_sandbox: seconds, memory and output must be above 0")

    # The interpreter's own limit is the first; this one is there for a hung worker.
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
    if len(code) > _LONGEST:
        raise ValueError(f"the program has {len(code)} characters, more than {_LONGEST}")
    limits: ResourceLimits = {
        "max_feed_duration_secs": seconds,
        "max_turn_duration_secs": seconds,
        "max_memory": memory,
        "max_recursion_depth": 200,
        "max_suspensions": 100,
        "max_total_sleep_secs": 0.0,
    }
    printed = monty.CollectString(output * 4)
    # A pool for every call: what one program left behind no other one finds.
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
            raise _told(error, printed.output, output) from error
        except monty.MontyCrashedError as error:
            raise ValueError(f"the program took too much or too long and was ended: {error}") from (
                error
            )
    return CodeResult(printed=_cut(printed.output, output), value=_plain(value, [_NODES], _DEEPEST))


def _told(error: Any, printed: str, output: int) -> ValueError:
    """What went wrong in which line, and what was printed before."""
    frames = error.traceback()
    where = f"line {frames[-1].line}: " if frames else ""
    before = f"; printed before: {_cut(printed, min(output, _SHOWN))}" if printed else ""
    return ValueError(f"{where}{_cut(error.display('type-msg'), _SHOWN)}{before}")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most} more)"


def _plain(value: Any, left: list[int], depth: int) -> Json:
    """A value as JSON, bounded in all directions; what JSON lacks is told in words."""
    left[0] -= 1
    if left[0] < 0 or depth < 0:
        return "…"
    match value:
        case None | bool():
            return value
        case int():
            # Python refuses to write longer ones down.
            digits = int(value.bit_length() * math.log10(2)) + 1
            return value if value.bit_length() <= _BITS else f"a number of about {digits} digits"
        case float():
            return value if math.isfinite(value) else str(value)
        case str():
            shown = _cut(value.encode(errors="replace").decode(), _LETTERS * max(left[0], 1))
            left[0] -= len(shown) // _LETTERS
            return shown
        case list() | tuple() | set() | frozenset():
            items = []
            for item in value:
                if left[0] < 0:
                    break
                items.append(_plain(item, left, depth - 1))
            return items
        case dict():
            found: dict[str, Json] = {}
            for key, item in value.items():
                if left[0] < 0:
                    break
                named = key if isinstance(key, str) else str(_plain(key, left, 2))
                found[_cut(named, 200)] = _plain(item, left, depth - 1)
            return found
    return _cut(str(value), 500)


python = python_sandbox()
