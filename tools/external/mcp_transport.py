"""Transports to an MCP server: a child process over stdio, or streamable HTTP."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from .external_tool import import_optional
from .schema_sanitizer import clean_text

log = logging.getLogger(__name__)

_MAX_RESPONSE_BYTES = 8 * 1024 * 1024
"""Maximum size of one HTTP response."""
_STDERR_BYTES = 2_000


@dataclass(frozen=True)
class StdioTransport:
    """A server started as a child process, over its standard input and output.

    It inherits only the environment variables that the SDK regards as safe (HOME, LOGNAME, PATH,
    SHELL, TERM and USER on Unix), plus ``env``.
    """

    words: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    folder: Path | str | None = None

    def __str__(self) -> str:
        return f"'{' '.join(self.words)[:80]}'"

    def new_connection(self) -> _StdioConnection:
        """A connection whose child process is not yet started."""
        return _StdioConnection(self)


@dataclass(frozen=True)
class HttpTransport:
    """A server over streamable HTTP, with ``headers`` in each request."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return f"'{self.url.split('?')[0][:80]}'"

    def new_connection(self) -> _HttpConnection:
        """A connection, not yet open."""
        return _HttpConnection(self)


class _StdioConnection:
    """A connection, used once; ``ended`` is true when the child is known to have ended."""

    def __init__(self, transport: StdioTransport) -> None:
        self.ended = False
        self._transport = transport
        self._tail = _StderrTail(str(transport))

    @asynccontextmanager
    async def client(self, changed: Callable[[], None]) -> AsyncIterator[Any]:
        stdio: Any = import_optional("mcp.client.stdio")
        parameters = stdio.StdioServerParameters(
            command=self._transport.words[0],
            args=list(self._transport.words[1:]),
            env=dict(self._transport.env),
            cwd=self._transport.folder,
        )
        async with AsyncExitStack() as stack:
            errors = stack.enter_context(await self._errors(stack))
            transport = self._watched(stdio.stdio_client(parameters, errlog=errors))
            yield await stack.enter_async_context(_sdk_client(transport, changed))

    async def _errors(self, stack: AsyncExitStack) -> Any:
        """The child's standard error: a pipe whose last characters are kept."""
        if sys.platform == "win32":
            return open(os.devnull, "w", encoding="utf-8")
        read, write = os.pipe()
        loop = asyncio.get_running_loop()
        pipe, _ = await loop.connect_read_pipe(lambda: self._tail, os.fdopen(read, "rb"))
        stack.callback(pipe.close)
        return os.fdopen(write, "w", encoding="utf-8")

    @asynccontextmanager
    async def _watched(self, transport: Any) -> AsyncIterator[Any]:
        async with transport as (reading, writing):
            yield _EndDetectingStream(reading, self), writing

    def stderr_tail(self) -> str:
        words = clean_text(self._tail.text.decode("utf-8", "replace")[-400:], 400)
        return f"; its last words: {words}" if words else ""


class _HttpConnection:
    def __init__(self, transport: HttpTransport) -> None:
        self.ended = False
        self._transport = transport

    @asynccontextmanager
    async def client(self, changed: Callable[[], None]) -> AsyncIterator[Any]:
        http: Any = import_optional("mcp.client.streamable_http")
        library: Any = import_optional("httpx2")
        async with AsyncExitStack() as stack:
            requests = library.AsyncClient(
                headers=dict(self._transport.headers),
                # A server may keep a stream open; each call has a timeout of its own.
                timeout=library.Timeout(30.0, read=300.0),
                event_hooks={"response": [_limit_response]},
            )
            await stack.enter_async_context(requests)
            transport = http.streamable_http_client(self._transport.url, http_client=requests)
            yield await stack.enter_async_context(_sdk_client(transport, changed))

    def stderr_tail(self) -> str:
        return ""


McpTransport: TypeAlias = StdioTransport | HttpTransport
McpConnection: TypeAlias = _StdioConnection | _HttpConnection


def _sdk_client(transport: Any, changed: Callable[[], None]) -> Any:
    """The SDK's client. Servers before protocol 2026-07-28 send change notifications to all
    clients, handled here; later ones to listeners (``McpSession``)."""
    sdk: Any = import_optional("mcp")

    async def note(message: object) -> None:
        if isinstance(message, sdk.types.ToolListChangedNotification):
            changed()

    return sdk.Client(transport, message_handler=note, cache=None)


class _EndDetectingStream:
    """The child's output stream; marks the connection as ended at its end."""

    def __init__(self, stream: Any, connection: _StdioConnection) -> None:
        self._stream = stream
        self._connection = connection

    async def receive(self) -> Any:
        return await self._stream.receive()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> _EndDetectingStream:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._stream.__anext__()
        except StopAsyncIteration:
            self._connection.ended = True
            raise

    async def __aenter__(self) -> _EndDetectingStream:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *failure: Any) -> Any:
        return await self._stream.__aexit__(*failure)


class _StderrTail(asyncio.Protocol):
    """Keeps the last bytes of a child's standard error."""

    def __init__(self, name: str) -> None:
        self.text = b""
        self._name = name

    def data_received(self, data: bytes) -> None:
        log.debug("%s: %s", self._name, data.decode("utf-8", "replace").rstrip())
        self.text = (self.text + data)[-_STDERR_BYTES:]


async def _limit_response(response: Any) -> None:
    """Limit the size of a response; the SDK limits event streams itself."""
    if not response.headers.get("content-type", "").lower().startswith("text/event-stream"):
        response.stream = _limited_stream(response.stream)


def _limited_stream(stream: Any) -> Any:
    library: Any = import_optional("httpx2")

    class LimitedStream(library.AsyncByteStream):  # type: ignore[misc]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for piece in stream:
                size += len(piece)
                if size > _MAX_RESPONSE_BYTES:
                    raise library.StreamError(
                        f"the answer has more than {_MAX_RESPONSE_BYTES} bytes"
                    )
                yield piece

        async def aclose(self) -> None:
            await stream.aclose()

    return LimitedStream()
