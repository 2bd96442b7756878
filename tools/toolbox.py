"""Toolbox: a set of tools that validates arguments, applies a policy, runs calls."""

from __future__ import annotations

import json
import logging
from asyncio import CancelledError
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast, runtime_checkable

from ..core import (
    AgentId,
    Json,
    Label,
    ToolError,
    ToolErrorReason,
    ToolResult,
    ToolSpec,
    did_you_mean,
    digest_text,
    join_labels,
)
from .declaration import (
    AnyTool,
    ProgressCallback,
    Tool,
    ToolContext,
    ToolLimits,
    checked_name,
    join_faults,
    unknown_argument,
)
from .invocation import TERMINATION_ERRORS, invoke, with_retries
from .policy import Policy, Ruling, validate_policy
from .registry import tool_by_name

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

log = logging.getLogger(__name__)

_ERROR_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class ToolProgress:
    """Progress of a running tool: a text, and the ``share`` done (0 to 1, None: unknown)."""

    tool: str
    who: AgentId
    key: str
    text: str
    share: float | None = None


ProgressListener: TypeAlias = Callable[[ToolProgress], None]


class Toolbox:
    """Tools with unique names, given as tools or as names for ``tool_by_name``, or as a mapping
    from namespaces to those, which prefixes the names: ``web.fetch``.

    ``limit`` is the maximum number of characters of a result as JSON, ``policy`` decides which
    calls are allowed, ``listener`` receives the progress of running tools.
    """

    def __init__(
        self,
        tools: Iterable[AnyTool | str] | Mapping[str, Iterable[AnyTool | str]] = (),
        *,
        limit: int = 20_000,
        policy: Policy | None = None,
        listener: ProgressListener | None = None,
    ) -> None:
        if isinstance(limit, bool) or not isinstance(limit, int) or limit <= 0:
            raise ToolError(f"toolbox: limit {limit!r} must be a number of characters above 0")
        self.limit = limit
        self.policy = Policy() if policy is None else validate_policy(policy, "toolbox")
        self.listener = listener
        self._tools: dict[str, AnyTool] = {}
        if isinstance(tools, str) or not isinstance(tools, Iterable):
            raise ToolError(
                "tools are a list of tools and of names of built-in ones, or such lists by "
                f"namespace, not {type(tools).__name__}"
            )
        spaces = tools if isinstance(tools, Mapping) else {"": tools}
        for space, members in spaces.items():
            for member in members:
                self._add(tool_by_name(member) if isinstance(member, str) else member, space)
        specs = tuple(tool.spec for tool in self)
        self._shown = tuple(spec for spec in specs if self.policy.verdict(spec) != "deny")
        for key, pattern in self.policy.unmatched_patterns(specs) if specs else ():
            _warn_of_pattern(key, pattern, did_you_mean(pattern, self._tools))

    def _add(self, tool: AnyTool, space: str) -> None:
        if not isinstance(tool, AnyTool):
            raise ToolError(f"{tool!r} is not a tool; decorate the function with @tool")
        if isinstance(tool, Tool) and tool.method:
            raise ToolError(f"tool '{tool.name}' is a method; give the one of an object")
        if space:
            tool = rename_tool(tool, f"{space}.{tool.name}")
        if checked_name(tool.name) in self._tools:
            raise ToolError(
                f"two tools are called '{tool.name}'; give one another name with "
                '@tool(name="...")'
            )
        self._tools[tool.name] = tool

    @classmethod
    def from_mcp(cls, where: str | Sequence[str], **settings: Any) -> Toolbox:
        """The tools of one MCP server, given as a command or a URL; ``settings`` are those of
        McpClient. With other tools: ``Toolbox([*tools_from_mcp(where), "calculator"])``."""
        from .external import tools_from_mcp

        return cls(tools_from_mcp(where, **settings))

    def __iter__(self) -> Iterator[AnyTool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def names(self) -> tuple[str, ...]:
        """The names of the tools, in the order given."""
        return tuple(self._tools)

    def specs(self) -> tuple[ToolSpec, ...]:
        """The specs shown to a model, in the order given: of all tools that the policy does not
        deny."""
        return self._shown

    def spec(self, name: str) -> ToolSpec:
        """The spec of a tool. Raises ToolError with a hint if there is no such tool."""
        if name not in self._tools:
            raise ToolError(self._unknown(name))
        return self._tools[name].spec

    def with_policy(self, policy: Policy) -> Toolbox:
        """The same tools under another policy, so that agents can share tools."""
        return Toolbox(self, limit=self.limit, policy=policy, listener=self.listener)

    def with_tools(self, tools: Iterable[AnyTool | str]) -> Toolbox:
        """The same tools and further ones, under the same policy. Raises ToolError for a name that
        a tool has already."""
        members = [*self, *tools]
        return Toolbox(members, limit=self.limit, policy=self.policy, listener=self.listener)

    def namespace(self, name: str) -> Toolbox:
        """A toolbox of the tools whose names begin with ``name`` and a dot, under the same policy.
        Raises ToolError if there is none."""
        box = copy(self)
        box._tools = {tool.name: tool for tool in self if tool.name.startswith(f"{name}.")}
        box._shown = tuple(spec for spec in self._shown if spec.name in box._tools)
        if not len(box):
            spaces = {tool_name.rpartition(".")[0] for tool_name in self._tools if "." in tool_name}
            raise ToolError(f"there is no namespace '{name}'{did_you_mean(name, spaces)}")
        return box

    def ruling(self, name: str, sources: tuple[str, ...] = ()) -> Ruling:
        """The policy's decision on a call in a thought that has read ``sources``."""
        return self.policy.ruling(self.spec(name), sources)

    def refusal(
        self, name: str, arguments: Json, *, sources: tuple[str, ...] = ()
    ) -> ToolResult | None:
        """The result of a call that cannot be made: unknown tool, invalid arguments, or denied.
        None if it can be made, perhaps after approval by a person."""
        if name not in self._tools:
            return _refused(self._unknown(name), "unknown")
        _, fault = _validate_arguments(self._tools[name], arguments)
        if fault:
            return _refused(fault, "arguments")
        ruling = self.ruling(name, sources)
        return _refused(ruling.why, "denied") if ruling.verdict == "deny" else None

    def call(
        self,
        name: str,
        arguments: Json,
        *,
        context: ToolContext,
        key: str,
        why: str = "",
        allowed: bool = False,
    ) -> ToolResult:
        """Call a tool. What a model gets wrong and what a tool raises becomes a ToolResult.

        ``key`` identifies the call: calls with the same key get the same receipt on every machine.
        A result has a receipt if and only if the tool began to run, so an error without a receipt
        has changed nothing. ``why`` is logged. ``allowed``: a person approved the call, if the
        policy asks for that; approval does not override a denial.
        """
        if not isinstance(allowed, bool):
            raise ToolError(f"toolbox: allowed is True or False, not {allowed!r}")
        refused = self.refusal(name, arguments, sources=context.sources)
        if refused:
            return refused
        ruling = self.ruling(name, context.sources)
        if ruling.verdict == "ask" and not allowed:
            return _refused(f"{ruling.why}, and nobody was asked", "denied")
        tool = self._tools[name]
        receipt = f"{name}-{digest_text(key)[:16]}"
        log.debug("%s calls %s(%s): %s [%s]", context.who, name, arguments, why, receipt)
        labels: list[Label] = []
        context = replace(context, key=key, on_label=labels.append)
        try:
            value = self._run(tool, arguments, context)
        # A tool may raise anything, call sys.exit or be cancelled, which must not end the caller.
        # A keyboard interrupt does.
        except (*TERMINATION_ERRORS, Exception) as error:
            log.warning("tool %s, called by %s: %s", name, context.who, _error_text(error))
            log.debug("tool %s [%s] failed here", name, receipt, exc_info=True)
            result = _refused(_error_text(error), _fault_kind(error), receipt)
            return with_labels(result, labels, context.who)
        return with_labels(self.serialize_result(tool, value, receipt), labels, context.who)

    def _run(self, tool: AnyTool, arguments: Json, context: ToolContext) -> object:
        limits = limits_of(tool)

        def start(report: ProgressCallback) -> object:
            keywords, _ = _validate_arguments(tool, arguments)
            if tool.context:
                keywords[tool.context] = replace(context, listener=report)
            return tool.function(**keywords)

        report = partial(self._report_progress, tool.name, context)
        return with_retries(partial(invoke, start, report, seconds=limits.timeout), limits.retries)

    def _report_progress(
        self, name: str, context: ToolContext, text: str, share: float | None
    ) -> None:
        log.debug("%s [%s] progress: %s", name, context.key, text)
        if self.listener:
            self.listener(ToolProgress(name, context.who, context.key, text, share))
        if context.listener:
            context.listener(text, share)

    def serialize_result(self, tool: AnyTool, value: object, receipt: str) -> ToolResult:
        """A value as the tool's result; an error if it cannot be written as JSON or is too long."""
        name, limit = tool.name, limits_of(tool).characters or self.limit
        from pydantic_core import PydanticSerializationError, to_jsonable_python

        try:
            plain = to_jsonable_python(value, fallback=_array_to_json)
            _check_unique_keys(value, plain)
            # Some JSON readers refuse NaN and infinity, which Python would write.
            text = json.dumps(plain, ensure_ascii=False, allow_nan=False)
            if (encodable := _encodable(text)) != text:
                plain = json.loads(encodable)
        except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
            problem = f"tool '{name}' ran, but its result cannot be written as JSON: {error}"
            log.warning("%s [%s]", problem, receipt)
            return _refused(problem, "result", receipt)
        if len(text) > limit:
            problem = (
                f"tool '{name}' ran, but its result has {len(text)} characters, more than the "
                f"{limit} allowed; ask for less"
            )
            log.warning("%s [%s]", problem, receipt)
            return _refused(problem, "result", receipt)
        return ToolResult(ok=True, value=plain, receipt=receipt)

    def _unknown(self, name: str) -> str:
        known = ", ".join(self._tools) or "none"
        return f"there is no tool '{name}'{did_you_mean(name, self._tools)}; tools: {known}"


@runtime_checkable
class _Table(Protocol):
    """A DataFrame or Series of pandas."""

    index: Any

    def to_json(self, **how: str) -> str: ...
    def reset_index(self) -> _Table: ...


def _check_unique_keys(value: object, plain: object) -> None:
    """Raises ValueError if two keys of a mapping are the same text in JSON."""
    if isinstance(value, dict) and isinstance(plain, dict):
        if len(plain) < len(value):
            raise ValueError("two keys of a dict are the same text; give each its own")
        for member, plain_member in zip(value.values(), plain.values()):
            _check_unique_keys(member, plain_member)
    elif isinstance(value, list | tuple) and isinstance(plain, list):
        for member, plain_member in zip(value, plain):
            _check_unique_keys(member, plain_member)


def _array_to_json(value: object) -> object:
    """An array, scalar or table of NumPy, torch or pandas as plain values; missing cells and a
    missing scalar are null. A table becomes a list of rows; an index with a name or other labels
    than 0, 1, 2, ... becomes a column. Raises ValueError for any other value."""
    if isinstance(value, _Table):
        options = {}
        if hasattr(value, "columns"):
            options = {"orient": "records"}
            plain = getattr(value.index, "dtype", None) in ("int64", "int32")
            if not plain or value.index.name is not None:
                value = value.reset_index()
        elif not value.index.is_unique:
            raise ValueError("two of its values have one label; reset its index")
        return json.loads(value.to_json(date_format="iso", **options))
    if type(value).__name__ == "NAType":
        return None
    names = getattr(getattr(value, "dtype", None), "names", None)
    if names and hasattr(value, "tolist"):  # a structured array of NumPy
        rows = value.tolist()
        if isinstance(rows, list):
            return [dict(zip(names, row)) for row in rows]
        return dict(zip(names, rows))
    if hasattr(value, "tolist"):
        return value.tolist()
    raise ValueError(f"a {type(value).__name__} is no value of JSON")


def _validate_arguments(tool: AnyTool, arguments: Json) -> tuple[dict[str, Any], str]:
    """The keyword arguments of the function, and their faults (or "")."""
    from pydantic import ValidationError

    if not isinstance(arguments, Mapping):
        kind = type(arguments).__name__
        return {}, f"{tool.name}: arguments must be an object of named values, not a {kind}"
    text = json.dumps(dict(arguments), ensure_ascii=False, default=str, skipkeys=True)
    if text != _encodable(text):
        return {}, f"{tool.name}: an argument holds half of a surrogate pair, which is no letter"
    try:
        return tool.arguments(arguments), ""
    except ValidationError as error:
        known = list(tool.spec.parameters.get("properties", {}))
        faults = [_fault(details, known) for details in error.errors()]
    except ValueError as error:
        return {}, f"{tool.name}: {error}"
    return {}, f"{tool.name}: {join_faults(faults)}"


def _fault(details: ErrorDetails, known: list[str]) -> str:
    """One pydantic error as a message by which a model can correct the argument."""
    path = ".".join(str(part) for part in details["loc"])
    if details["type"] == "missing":
        return f"argument '{path}' is missing"
    if details["type"] == "extra_forbidden" and len(details["loc"]) == 1:
        return unknown_argument(path, known)
    value = repr(details["input"])
    if len(value) > 60:
        value = value[:59] + "…"
    return f"argument '{path}': {details['msg']}, not {value}"


def with_labels(result: ToolResult, labels: Iterable[Label], owner: AgentId) -> ToolResult:
    """The result with the join of its label and the labels that its tool added."""
    label = join_labels((Label(result.sources, result.audience), *labels), owner)
    return replace(result, sources=label.sources, audience=label.audience)


@lru_cache(maxsize=256)
def _warn_of_pattern(key: str, pattern: str, hint: str) -> None:
    log.warning("policy: '%s' holds '%s', which means none of the tools%s", key, pattern, hint)


def _refused(problem: str, reason: ToolErrorReason, receipt: str = "") -> ToolResult:
    problem = _encodable(problem)
    error = problem if len(problem) <= _ERROR_CHARACTERS else f"{problem[:_ERROR_CHARACTERS]}…"
    return ToolResult(ok=False, error=error, receipt=receipt, reason=reason)


def _encodable(text: str) -> str:
    """The text with lone surrogates, as in names of files, replaced: a result must be writable as
    UTF-8, or the call would be logged without a receipt."""
    return text.encode("utf-8", "replace").decode()


def _error_text(error: BaseException) -> str:
    if isinstance(error, CancelledError):
        return "what it waited for was cancelled"
    return f"{type(error).__name__}: {error}"


def _fault_kind(error: BaseException) -> ToolErrorReason:
    if isinstance(error, TimeoutError):
        return "timeout"
    return "gone" if isinstance(error, ConnectionError) else "failed"


def limits_of(tool: AnyTool) -> ToolLimits:
    """The limits of a tool; a tool without any has the defaults."""
    limits = getattr(tool, "limits", None)
    return limits if isinstance(limits, ToolLimits) else ToolLimits()


def rename_tool(tool: AnyTool, name: str) -> AnyTool:
    """The same tool under another name, for tools of several servers."""
    renamed = SimpleNamespace(
        name=name,
        spec=replace(tool.spec, name=name),
        context=tool.context,
        function=tool.function,
        limits=limits_of(tool),
        arguments=tool.arguments,
    )
    return cast(AnyTool, renamed)
