"""Client of an MCP server: lists and calls its tools, and converts results to JSON."""

from __future__ import annotations

import json
import re
import shlex
import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from ...core import Json, ToolError, check_arguments
from ..declaration import AnyTool, Effect, ProgressCallback
from .external_tool import ExternalTool, ToolUnavailable, ignore_progress, unique_tool_name
from .mcp_session import McpSession
from .mcp_transport import HttpTransport, McpTransport, StdioTransport

_MAX_TEXT_CHARS = 8_000
"""Longer texts are cut, with a note."""


def result_value(result: Any) -> Json:
    """The value of the SDK's ``CallToolResult``: its structured content, else its text.

    Images, sounds and binary resources are described by type and size. Blocks beside structured
    content are listed under ``also``.
    """
    structured = result.structured_content
    others = [_describe_block(block) for block in result.content if block.type != "text"]
    if structured is None:
        texts = [_describe_block(block) for block in result.content]
        return _cut(_encodable("\n".join(text for text in texts if text)))
    value = _encodable(structured)
    # Servers wrap values that are no objects in "result".
    if isinstance(value, dict) and set(value) == {"result"}:
        value = value["result"]
    if not others:
        return value
    return {"value": value, "also": [_cut(_encodable(text)) for text in others]}


def result_error(result: Any) -> str:
    """The error message of a failed call."""
    text = "\n".join(_describe_block(block) for block in result.content) or "the tool says no more"
    return str(_encodable(text))[:400]


def _describe_block(block: Any) -> str:
    match block.type:
        case "text":
            return str(block.text)
        case "image" | "audio":
            return f"[{block.type}: {block.mime_type}, about {len(block.data) * 3 // 4} bytes]"
        case "resource_link":
            about = f", {block.description}" if block.description else ""
            return f"[link: {block.name}, {block.uri}{about}]"
        case "resource" if hasattr(block.resource, "text"):
            return f"[{block.resource.uri}]\n{block.resource.text}"
        case "resource":
            size = len(block.resource.blob) * 3 // 4
            kind = block.resource.mime_type or "binary"
            return f"[resource: {block.resource.uri}, {kind}, about {size} bytes]"
    return f"[{block.type}]"


def _cut(text: Json) -> Json:
    if not isinstance(text, str) or len(text) <= _MAX_TEXT_CHARS:
        return text
    return f"{text[:_MAX_TEXT_CHARS]}… (cut: {len(text) - _MAX_TEXT_CHARS} more characters)"


def _encodable(value: Json) -> Json:
    """The value with lone surrogates replaced by '?', NaN and infinities by None, which files and
    JSON readers refuse."""
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()
    decoded: Json = json.loads(text, parse_constant=lambda _: None)
    return decoded


_NAMESPACE = re.compile(r"(?=.{0,32}$)([A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*)?")


class McpCallError(RuntimeError):
    """The server refused the call, or its tool failed; the message is the server's."""


class McpClient:
    """An MCP server whose tools an agent may use, connected on first use.

    ``where`` is a command (one text or a list of words) or a URL. Tools are named
    ``namespace.tool``; the default namespace is the server's own name. A child process gets the
    safe variables of this environment and ``env``; ``headers`` are sent with each request to a URL.
    A call takes at most ``timeout`` seconds. After a lost connection the next call reconnects. The
    server ends with this object or with the process.
    """

    @check_arguments
    def __init__(
        self,
        where: str | Sequence[str],
        *,
        namespace: str | None = None,
        env: Mapping[str, str] | None = None,
        folder: Path | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
    ) -> None:
        """Does not connect yet. Raises ToolError for invalid arguments."""
        if namespace is not None and not _NAMESPACE.fullmatch(namespace):
            raise ToolError(
                f"MCP server '{where}': namespace '{namespace}' has letters, digits, _ and -, in "
                "parts divided by dots, at most 32 in all; leave it out for the server's own name"
            )
        if timeout <= 0:
            raise ToolError(f"MCP server '{where}': timeout {timeout} must be above 0 seconds")
        self.namespace = namespace
        self.timeout = timeout
        self._session = McpSession(_transport(where, env, folder, headers), timeout=timeout)
        self._names: dict[str, str] = {}
        # Not the tools themselves: they refer to this object, which must end with them.
        self._listed: list[Any] = []
        # Also at the end of the process; the session does not refer to this object.
        self._end = weakref.finalize(self, self._session.close)

    @property
    def changed(self) -> bool:
        """Whether the server has announced other tools than those last listed."""
        return self._session.changed

    def tools(self) -> tuple[AnyTool, ...]:
        """The server's tools, listed on the first call and after the server announces a change.

        A tool keeps its name as long as it exists. A toolbox keeps the tools it was made of. Raises
        ToolError if the server cannot be started or reached.
        """
        if not self._listed or self.changed:
            try:
                name, self._listed = self._session.tools()
            except (ToolUnavailable, TimeoutError) as error:
                raise ToolError(f"{error}; check the command or the URL") from error
            if self.namespace is None:
                self.namespace = unique_tool_name("", name or "mcp", ())[:32].replace(".", "_")
        return tuple(self._external_tool(listed) for listed in self._listed)

    def _external_tool(self, listed: Any) -> ExternalTool:
        name = self._names.get(listed.name)
        if name is None:
            name = unique_tool_name(self.namespace or "", listed.name, self._names.values())
            self._names[listed.name] = name
        hints = listed.annotations
        # The hint is untrusted: at best the tool reads, it never counts as pure.
        effect: Effect = "reads" if hints is not None and hints.read_only_hint else "acts"
        return ExternalTool(
            name,
            listed.description or listed.title or "",
            listed.input_schema,
            effect=effect,
            run=partial(self.call, listed.name),
        )

    def call(
        self, name: str, arguments: dict[str, Json], report: ProgressCallback = ignore_progress
    ) -> Json:
        """Call a tool by the server's name for it; ``report`` receives the progress.

        Raises ToolUnavailable, TimeoutError, or McpCallError with the server's message.
        """
        try:
            result = self._session.call(name, arguments, self.timeout, report)
        except (ToolUnavailable, TimeoutError):
            raise
        except Exception as error:
            # Errors of the SDK: a refusal by the server, or a response that breaks its schema.
            raise McpCallError(str(error)[:400]) from error
        if result.is_error:
            raise McpCallError(result_error(result))
        return result_value(result)

    def close(self) -> None:
        """Close the connection, and end the server if it was started here."""
        self._end()

    def __enter__(self) -> McpClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@check_arguments
def tools_from_mcp(where: str | Sequence[str], **settings: Any) -> tuple[AnyTool, ...]:
    """The tools of an MCP server, for a Toolbox with other tools; ``settings`` are those of
    McpClient. The server ends when its tools are garbage-collected."""
    return McpClient(where, **settings).tools()


def _transport(
    where: str | Sequence[str],
    env: Mapping[str, str] | None,
    folder: Path | str | None,
    headers: Mapping[str, str] | None,
) -> McpTransport:
    if isinstance(where, str) and re.match(r"https?://", where):
        if env or folder:
            raise ToolError(f"MCP server '{where}': env and folder are for a command, not a URL")
        return HttpTransport(where, dict(headers or {}))
    words = shlex.split(where) if isinstance(where, str) else [str(word) for word in where]
    if not words or not all(words) or any("\0" in word for word in words):
        raise ToolError(f"MCP server '{where}': give a command or an http(s) URL")
    if headers:
        raise ToolError(f"MCP server '{where}': headers are for a URL, not a command")
    return StdioTransport(tuple(words), dict(env or {}), folder)
