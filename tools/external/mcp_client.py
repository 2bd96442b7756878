"""What an MCP server's tool gave back, as plain values and text.

Tools of MCP servers: listed, called, and told of when the server is gone.
"""

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
"""Most characters of text; more is cut, and it says so."""


def result_value(result: Any) -> Json:
    """The value of the SDK's ``CallToolResult``: what is structured as it is, else the text.

    Images, sounds and binary resources are told in words: their kind and size. What is only
    there to be shown beside a structured value is told under ``also``.
    """
    structured = result.structured_content
    others = [_describe_block(block) for block in result.content if block.type != "text"]
    if structured is None:
        texts = [_describe_block(block) for block in result.content]
        return _cut(_sound("\n".join(text for text in texts if text)))
    value = _sound(structured)
    # How servers wrap what is no object.
    if isinstance(value, dict) and set(value) == {"result"}:
        value = value["result"]
    return {"value": value, "also": [_cut(_sound(one)) for one in others]} if others else value


def result_error(result: Any) -> str:
    """What a failed call says went wrong."""
    text = "\n".join(_describe_block(block) for block in result.content) or "the tool says no more"
    return str(_sound(text))[:400]


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


def _sound(value: Json) -> Json:
    """The value with what no file and no reader of JSON takes replaced: halves of surrogate
    pairs by '?', NaN and infinities by None."""
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()
    found: Json = json.loads(text, parse_constant=lambda _: None)
    return found


_NAMESPACE = re.compile(r"(?=.{0,32}$)([A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*)?")


class McpCallError(RuntimeError):
    """The server ran the tool, or would not, and says why it gave no value."""


class McpClient:
    """An MCP server whose tools an agent may use, started when first needed.

    ``where`` is a command, as one text or as words, or a URL. The tools are named
    ``namespace.tool``; without a ``namespace`` it is the server's own name. A child gets only
    safe variables of this environment and what ``env`` gives; ``headers`` go with each request
    to a URL. A call takes at most ``timeout`` seconds. A server that is gone is started or
    reached again by the next call. It ends with this object, or with the process.
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
        """Raises ToolError for what cannot be a server; connects to nothing yet."""
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
        # Not the tools themselves: they hold this object, which must end when they do.
        self._listed: list[Any] = []
        # At the end of the process too; the session knows nothing of this object.
        self._end = weakref.finalize(self, self._session.close)

    @property
    def changed(self) -> bool:
        """Whether the server has said that its tools are others than those last listed."""
        return self._session.changed

    def tools(self) -> tuple[AnyTool, ...]:
        """The server's tools; asked for at first and whenever the server says they changed.

        A tool that is there still keeps its name. A toolbox keeps the tools it was made of:
        what an agent may do does not change while it lives. Raises ToolError where the server
        cannot be started or reached.
        """
        if not self._listed or self.changed:
            try:
                name, self._listed = self._session.tools()
            except (ToolUnavailable, TimeoutError) as error:
                raise ToolError(f"{error}; check the command or the URL") from error
            if self.namespace is None:
                self.namespace = unique_tool_name("", name or "mcp", ())[:32].replace(".", "_")
        return tuple(self._foreign(one) for one in self._listed)

    def _foreign(self, listed: Any) -> ExternalTool:
        name = self._names.get(listed.name)
        if name is None:
            name = unique_tool_name(self.namespace or "", listed.name, self._names.values())
            self._names[listed.name] = name
        hints = listed.annotations
        # A hint, which may be a lie: at best the tool reads, it is never held to be pure.
        effect: Effect = "reads" if hints is not None and hints.read_only_hint else "acts"
        return ExternalTool(
            name,
            listed.description or listed.title or "",
            listed.input_schema,
            effect=effect,
            run=partial(self.call, listed.name),
        )

    def call(
        self, name: str, arguments: dict[str, Json], tell: ProgressCallback = ignore_progress
    ) -> Json:
        """Call a tool by the server's own name for it; ``tell`` hears how the work goes on.

        Raises ToolUnavailable, TimeoutError, or McpCallError with what the server says.
        """
        try:
            result = self._session.call(name, arguments, self.timeout, tell)
        except (ToolUnavailable, TimeoutError):
            raise
        except Exception as error:
            # The SDK's errors: refused by the server, or an answer that breaks its own schema.
            raise McpCallError(str(error)[:400]) from error
        if result.is_error:
            raise McpCallError(result_error(result))
        return result_value(result)

    def close(self) -> None:
        """End the connection, and the server where it was started here."""
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
    """The tools of an MCP server, to be mixed with others in a Toolbox; ``settings`` are
    McpClient's. The server ends when nobody holds its tools any more."""
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
