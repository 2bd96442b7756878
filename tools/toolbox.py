"""The tools somebody may call: a registry that checks arguments, calls, and reports."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from ..core import Json, ToolError, ToolResult, ToolSpec, digest_text, nearest
from .declare import AnyTool, ToolContext, checked_name
from .find import tool_by_name

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

log = logging.getLogger(__name__)

_ERROR_CHARACTERS = 500
_ERRORS_SHOWN = 5


class Toolbox:
    """Tools with unique names, given as tools or as names that ``tool_by_name`` knows.

    ``limit`` is the most characters of canonical JSON that a result may have.
    """

    def __init__(self, tools: Iterable[AnyTool | str] = (), *, limit: int = 20_000) -> None:
        self.limit = limit
        self._tools: dict[str, AnyTool] = {}
        for given in tools:
            found = tool_by_name(given) if isinstance(given, str) else given
            if not isinstance(found, AnyTool):
                raise ToolError(f"{found!r} is not a tool; decorate the function with @tool")
            if checked_name(found.name) in self._tools:
                raise ToolError(
                    f"two tools are called '{found.name}'; give one another name with "
                    '@tool(name="...")'
                )
            self._tools[found.name] = found

    @classmethod
    def from_mcp(cls, where: str | Sequence[str], **settings: Any) -> Toolbox:
        """The tools of one MCP server, a command or a URL; ``settings`` are McpClient's. To
        mix them with others: ``Toolbox([*tools_from_mcp(where), "calculator"])``."""
        from .mcp_client import tools_from_mcp

        return cls(tools_from_mcp(where, **settings))

    def __iter__(self) -> Iterator[AnyTool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def names(self) -> tuple[str, ...]:
        """The tools' names, in the order given."""
        return tuple(self._tools)

    def specs(self) -> tuple[ToolSpec, ...]:
        """What a mind is shown, in the order given."""
        return tuple(tool.spec for tool in self)

    def spec(self, name: str) -> ToolSpec:
        """One tool's spec. Raises ToolError with a hint when there is no such tool."""
        if name not in self._tools:
            raise ToolError(self._unknown(name))
        return self._tools[name].spec

    def call(
        self,
        name: str,
        arguments: Json,
        *,
        context: ToolContext,
        key: str,
        why: str = "",
    ) -> ToolResult:
        """Call a tool; never raises for what a model or a tool does.

        ``key`` identifies the call: calls with the same key get the same receipt, on every
        machine. A result has a receipt if and only if the tool began to run, so an error
        without one has changed nothing. ``why`` is logged.
        """
        if name not in self._tools:
            return ToolResult(ok=False, error=self._unknown(name), reason="unknown")
        found = self._tools[name]
        given, complaint = _checked(found, arguments)
        if complaint:
            return ToolResult(ok=False, error=complaint, reason="arguments")
        if found.context:
            given[found.context] = replace(context, key=key)
        receipt = f"{name}-{digest_text(key)[:16]}"
        who = context.who
        log.debug("%s calls %s(%s): %s [%s]", who, name, arguments, why, receipt)
        try:
            value = _finished(found.function, given)
        except Exception as error:  # A tool may raise anything; it is logged and told on.
            log.warning("tool %s, called by %s: %s: %s", name, who, type(error).__name__, error)
            log.debug("tool %s [%s] failed here", name, receipt, exc_info=True)
            problem = f"{type(error).__name__}: {error}"[:_ERROR_CHARACTERS]
            return ToolResult(ok=False, error=problem, receipt=receipt, reason="failed")
        return self._result(name, value, receipt)

    def _result(self, name: str, value: object, receipt: str) -> ToolResult:
        from pydantic_core import PydanticSerializationError, to_jsonable_python

        try:
            plain = to_jsonable_python(value)
            # Some JSON readers refuse NaN and infinity, which Python would write.
            size = len(json.dumps(plain, ensure_ascii=False, allow_nan=False))
        except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
            problem = f"tool '{name}' ran, but its result cannot be written as JSON: {error}"
            log.warning("%s [%s]", problem, receipt)
            return ToolResult(
                ok=False, error=problem[:_ERROR_CHARACTERS], receipt=receipt, reason="result"
            )
        if size > self.limit:
            problem = (
                f"tool '{name}' ran, but its result has {size} characters, more than the "
                f"{self.limit} allowed; ask for less"
            )
            log.warning("%s [%s]", problem, receipt)
            return ToolResult(ok=False, error=problem, receipt=receipt, reason="result")
        return ToolResult(ok=True, value=plain, receipt=receipt)

    def _unknown(self, name: str) -> str:
        known = ", ".join(self._tools) or "none"
        return f"there is no tool '{name}'{nearest(name, self._tools)}; tools: {known}"


def _checked(found: AnyTool, arguments: Json) -> tuple[dict[str, Any], str]:
    """The arguments as the function takes them, and what is wrong with them (or "")."""
    from pydantic import ValidationError

    if not isinstance(arguments, Mapping):
        kind = type(arguments).__name__
        return {}, f"{found.name}: arguments must be an object of named values, not a {kind}"
    try:
        return found.arguments(arguments), ""
    except ValidationError as error:
        known = list(found.spec.parameters.get("properties", {}))
        faults = [_fault(details, known) for details in error.errors()]
    except ValueError as error:
        return {}, f"{found.name}: {error}"[:_ERROR_CHARACTERS]
    more = len(faults) - _ERRORS_SHOWN
    shown = "; ".join(faults[:_ERRORS_SHOWN]) + (f"; and {more} more" if more > 0 else "")
    return {}, f"{found.name}: {shown}"


def _fault(details: ErrorDetails, known: list[str]) -> str:
    """One fault in words that a model can mend it by."""
    path = ".".join(str(part) for part in details["loc"])
    if details["type"] == "missing":
        return f"argument '{path}' is missing"
    if details["type"] == "extra_forbidden" and len(details["loc"]) == 1:
        names = ", ".join(known) or "none"
        return f"there is no argument '{path}'{nearest(path, known)}; arguments: {names}"
    given = repr(details["input"])
    if len(given) > 60:
        given = given[:59] + "…"
    return f"argument '{path}': {details['msg']}, not {given}"


def _finished(function: Callable[..., object], given: Mapping[str, Any]) -> object:
    """The function's result; an ``async`` one is run to its end."""
    result = function(**given)
    if not inspect.isawaitable(result):
        return result
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_awaited(result))
    # Inside a notebook or a server this thread's loop is busy calling us.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(_awaited(cast(Awaitable[object], result)))).result()


async def _awaited(result: Awaitable[object]) -> object:
    return await result
