"""The tools somebody may call: a registry that checks arguments, calls, and reports."""

from __future__ import annotations

import json
import logging
from asyncio import CancelledError
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

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
    """What a tool says while it works; ``share`` of it is done (0 to 1), where it can tell."""

    tool: str
    who: AgentId
    key: str
    text: str
    share: float | None = None


ProgressListener: TypeAlias = Callable[[ToolProgress], None]


class Toolbox:
    """Tools with unique names, given as tools or as names that ``tool_by_name`` knows; or in
    a mapping of namespaces to those, which then stand before the names: ``web.fetch``.

    ``limit`` is the most characters of canonical JSON that a result may have, ``policy`` says
    who may call what, ``listener`` hears what tools say while they work.
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
            for given in members:
                self._add(tool_by_name(given) if isinstance(given, str) else given, space)
        specs = tuple(tool.spec for tool in self)
        self._shown = tuple(spec for spec in specs if self.policy.verdict(spec) != "deny")
        for key, pattern in self.policy.unmatched_patterns(specs) if specs else ():
            _warn_of_pattern(key, pattern, did_you_mean(pattern, self._tools))

    def _add(self, given: AnyTool, space: str) -> None:
        if not isinstance(given, AnyTool):
            raise ToolError(f"{given!r} is not a tool; decorate the function with @tool")
        if isinstance(given, Tool) and given.method:
            raise ToolError(f"tool '{given.name}' is a method; give the one of an object")
        found = rename_tool(given, f"{space}.{given.name}") if space else given
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
        from .external import tools_from_mcp

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
        """What a mind is shown, in the order given: all that the policy does not deny."""
        return self._shown

    def spec(self, name: str) -> ToolSpec:
        """One tool's spec. Raises ToolError with a hint when there is no such tool."""
        if name not in self._tools:
            raise ToolError(self._unknown(name))
        return self._tools[name].spec

    def with_policy(self, policy: Policy) -> Toolbox:
        """The same tools under another policy: one box may serve many agents."""
        return Toolbox(self, limit=self.limit, policy=policy, listener=self.listener)

    def namespace(self, name: str) -> Toolbox:
        """The tools whose names begin with ``name`` and a dot, under the same policy."""
        inside = copy(self)
        inside._tools = {tool.name: tool for tool in self if tool.name.startswith(f"{name}.")}
        inside._shown = tuple(spec for spec in self._shown if spec.name in inside._tools)
        if not len(inside):
            spaces = {one.rpartition(".")[0] for one in self._tools if "." in one}
            raise ToolError(f"there is no namespace '{name}'{did_you_mean(name, spaces)}")
        return inside

    def ruling(self, name: str, sources: tuple[str, ...] = ()) -> Ruling:
        """What the policy says of a call in a thought that has read ``sources``."""
        return self.policy.ruling(self.spec(name), sources)

    def refusal(
        self, name: str, arguments: Json, *, sources: tuple[str, ...] = ()
    ) -> ToolResult | None:
        """Why a call cannot be made at all: no such tool, arguments that do not fit, denied.
        None when it can, perhaps with a person's leave."""
        if name not in self._tools:
            return _refused(self._unknown(name), "unknown")
        _, complaint = _checked(self._tools[name], arguments)
        if complaint:
            return _refused(complaint, "arguments")
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
        """Call a tool; never raises for what a model or a tool does.

        ``key`` identifies the call: calls with the same key get the same receipt, on every
        machine. A result has a receipt if and only if the tool began to run, so an error
        without one has changed nothing. ``why`` is logged. ``allowed`` says that a person gave
        leave, where the policy wants that; what it denies nobody can allow.
        """
        if not isinstance(allowed, bool):
            raise ToolError(f"toolbox: allowed is True or False, not {allowed!r}")
        refused = self.refusal(name, arguments, sources=context.sources)
        if refused:
            return refused
        ruling = self.ruling(name, context.sources)
        if ruling.verdict == "ask" and not allowed:
            return _refused(f"{ruling.why}, and nobody was asked", "denied")
        found = self._tools[name]
        receipt = f"{name}-{digest_text(key)[:16]}"
        log.debug("%s calls %s(%s): %s [%s]", context.who, name, arguments, why, receipt)
        heard: list[Label] = []
        context = replace(context, key=key, on_label=heard.append)
        try:
            value = self._run(found, arguments, context)
        # A tool may raise anything, call sys.exit and cancel what it waits for: that must not
        # end whoever called it. An interrupt is the user's, and does.
        except (*TERMINATION_ERRORS, Exception) as error:
            log.warning("tool %s, called by %s: %s", name, context.who, _told(error))
            log.debug("tool %s [%s] failed here", name, receipt, exc_info=True)
            return with_labels(_refused(_told(error), _reason(error), receipt), heard, context.who)
        return with_labels(self.serialize_result(found, value, receipt), heard, context.who)

    def _run(self, found: AnyTool, arguments: Json, context: ToolContext) -> object:
        limits = _limits(found)

        def start(tell: ProgressCallback) -> object:
            given, _ = _checked(found, arguments)
            if found.context:
                given[found.context] = replace(context, listener=tell)
            return found.function(**given)

        tell = partial(self._tell, found.name, context)
        return with_retries(partial(invoke, start, tell, seconds=limits.timeout), limits.retries)

    def _tell(self, name: str, context: ToolContext, text: str, share: float | None) -> None:
        log.debug("%s [%s] says: %s", name, context.key, text)
        if self.listener:
            self.listener(ToolProgress(name, context.who, context.key, text, share))
        if context.listener:
            context.listener(text, share)

    def serialize_result(self, found: AnyTool, value: object, receipt: str) -> ToolResult:
        """A value as the tool's result; an error where JSON cannot carry it, or it is too
        long."""
        name, most = found.name, _limits(found).characters or self.limit
        from pydantic_core import PydanticSerializationError, to_jsonable_python

        try:
            plain = to_jsonable_python(value, fallback=_from_array)
            _check_keys(value, plain)
            # Some JSON readers refuse NaN and infinity, which Python would write.
            text = json.dumps(plain, ensure_ascii=False, allow_nan=False)
            if (sound := _encodable(text)) != text:
                plain = json.loads(sound)
        except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
            problem = f"tool '{name}' ran, but its result cannot be written as JSON: {error}"
            log.warning("%s [%s]", problem, receipt)
            return _refused(problem, "result", receipt)
        if len(text) > most:
            problem = (
                f"tool '{name}' ran, but its result has {len(text)} characters, more than the "
                f"{most} allowed; ask for less"
            )
            log.warning("%s [%s]", problem, receipt)
            return _refused(problem, "result", receipt)
        return ToolResult(ok=True, value=plain, receipt=receipt)

    def _unknown(self, name: str) -> str:
        known = ", ".join(self._tools) or "none"
        return f"there is no tool '{name}'{did_you_mean(name, self._tools)}; tools: {known}"


@runtime_checkable
class _Table(Protocol):
    """A table or a column of pandas."""

    index: Any

    def to_json(self, **how: str) -> str: ...
    def reset_index(self) -> _Table: ...


def _check_keys(value: object, plain: object) -> None:
    """Raises ValueError where two keys of a mapping have one name in JSON."""
    if isinstance(value, dict) and isinstance(plain, dict):
        if len(plain) < len(value):
            raise ValueError("two keys of a dict are the same text; give each its own")
        for one, other in zip(value.values(), plain.values()):
            _check_keys(one, other)
    elif isinstance(value, list | tuple) and isinstance(plain, list):
        for one, other in zip(value, plain):
            _check_keys(one, other)


def _from_array(value: object) -> object:
    """An array, a scalar or a table of NumPy, torch or pandas as plain values; missing cells of
    a table, and a missing scalar, are null. A table is a list of its rows, an index with a
    meaning (any but 0, 1, 2, ...) among the columns. Raises ValueError for anything else."""
    if isinstance(value, _Table):
        many = {}
        if hasattr(value, "columns"):
            many = {"orient": "records"}
            plain = getattr(value.index, "dtype", None) in ("int64", "int32")
            if not plain or value.index.name is not None:
                value = value.reset_index()
        elif not value.index.is_unique:
            raise ValueError("two of its values have one label; reset its index")
        return json.loads(value.to_json(date_format="iso", **many))
    if type(value).__name__ == "NAType":
        return None
    names = getattr(getattr(value, "dtype", None), "names", None)
    if names and hasattr(value, "tolist"):  # a table of NumPy
        rows = value.tolist()
        whole = isinstance(rows, list)
        return [dict(zip(names, row)) for row in rows] if whole else dict(zip(names, rows))
    if hasattr(value, "tolist"):
        return value.tolist()
    raise ValueError(f"a {type(value).__name__} is no value of JSON")


def _checked(found: AnyTool, arguments: Json) -> tuple[dict[str, Any], str]:
    """The arguments as the function takes them, and what is wrong with them (or "")."""
    from pydantic import ValidationError

    if not isinstance(arguments, Mapping):
        kind = type(arguments).__name__
        return {}, f"{found.name}: arguments must be an object of named values, not a {kind}"
    written = json.dumps(dict(arguments), ensure_ascii=False, default=str, skipkeys=True)
    if written != _encodable(written):
        return {}, f"{found.name}: an argument holds half of a surrogate pair, which is no letter"
    try:
        return found.arguments(arguments), ""
    except ValidationError as error:
        known = list(found.spec.parameters.get("properties", {}))
        faults = [_fault(details, known) for details in error.errors()]
    except ValueError as error:
        return {}, f"{found.name}: {error}"
    return {}, f"{found.name}: {join_faults(faults)}"


def _fault(details: ErrorDetails, known: list[str]) -> str:
    """One fault in words that a model can mend it by."""
    path = ".".join(str(part) for part in details["loc"])
    if details["type"] == "missing":
        return f"argument '{path}' is missing"
    if details["type"] == "extra_forbidden" and len(details["loc"]) == 1:
        return unknown_argument(path, known)
    given = repr(details["input"])
    if len(given) > 60:
        given = given[:59] + "…"
    return f"argument '{path}': {details['msg']}, not {given}"


def with_labels(result: ToolResult, heard: Iterable[Label], owner: AgentId) -> ToolResult:
    """A result with the labels of what its tool said that it rests on."""
    label = join_labels((Label(result.sources, result.audience), *heard), owner)
    return replace(result, sources=label.sources, audience=label.audience)


@lru_cache(maxsize=256)
def _warn_of_pattern(key: str, pattern: str, hint: str) -> None:
    """Say once that a pattern of a policy means no tool: one that is misspelt forbids nothing."""
    log.warning("policy: '%s' holds '%s', which means none of the tools%s", key, pattern, hint)


def _refused(problem: str, reason: ToolErrorReason, receipt: str = "") -> ToolResult:
    problem = _encodable(problem)
    error = problem if len(problem) <= _ERROR_CHARACTERS else f"{problem[:_ERROR_CHARACTERS]}…"
    return ToolResult(ok=False, error=error, receipt=receipt, reason=reason)


def _encodable(text: str) -> str:
    """The text as a file takes it. Names of files may hold halves of surrogate pairs; a receipt
    that cannot be written would leave an act undone in the books."""
    return text.encode("utf-8", "replace").decode()


def _told(error: BaseException) -> str:
    if isinstance(error, CancelledError):
        return "what it waited for was cancelled"
    return f"{type(error).__name__}: {error}"


def _reason(error: BaseException) -> ToolErrorReason:
    """What kind of failure an exception of a tool is."""
    if isinstance(error, TimeoutError):
        return "timeout"
    return "gone" if isinstance(error, ConnectionError) else "failed"


def _limits(found: AnyTool) -> ToolLimits:
    """A foreign tool need not have any."""
    limits = getattr(found, "limits", None)
    return limits if isinstance(limits, ToolLimits) else ToolLimits()


@dataclass(frozen=True, slots=True)
class _Renamed:
    """A tool under another name."""

    tool: AnyTool
    name: str
    spec: ToolSpec

    @property
    def context(self) -> str:
        return self.tool.context

    @property
    def function(self) -> Callable[..., object]:
        return self.tool.function

    @property
    def limits(self) -> ToolLimits:
        return _limits(self.tool)

    def arguments(self, given: Mapping[str, Json]) -> dict[str, Any]:
        return self.tool.arguments(given)


def rename_tool(tool: AnyTool, name: str) -> AnyTool:
    """The same tool under another name: two servers may both have a ``search``."""
    return _Renamed(tool, name, replace(tool.spec, name=name))
