"""Ways to an MCP server: a command that is started, or a URL."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .external_tool import import_optional
from .schema_sanitizer import clean_text

log = logging.getLogger(__name__)

_MOST_BYTES = 8 * 1024 * 1024
"""Most bytes of one answer over HTTP."""
_TAIL = 2_000


class McpConnection(Protocol):
    """One connection, from its beginning to its end."""

    ended: bool
    """Whether it is known to have ended, though nothing was asked."""

    def client(self, changed: Callable[[], None]) -> AbstractAsyncContextManager[Any]:
        """The SDK's client, connected; ``changed`` is called when the tools are others now."""
        ...

    def stderr_tail(self) -> str:
        """What the server wrote to its standard error, to explain why it ended; or ''."""
        ...


class McpTransport(Protocol):
    """Where a server is, and how to connect to it; its text names it in errors."""

    def new_connection(self) -> McpConnection:
        """A connection that is not yet made."""
        ...


@dataclass(frozen=True)
class StdioTransport:
    """A server that is started as a child and spoken to over its standard input and output.

    It inherits only what the SDK thinks safe (HOME, LOGNAME, PATH, SHELL, TERM and USER on
    Unix), and what is given in ``env``.
    """

    words: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    folder: Path | str | None = None

    def __str__(self) -> str:
        return f"'{' '.join(self.words)[:80]}'"

    def new_connection(self) -> McpConnection:
        """A child that is not yet started."""
        return _StdioConnection(self)


@dataclass(frozen=True)
class HttpTransport:
    """A server that is spoken to over streamable HTTP, with ``headers`` in each request."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return f"'{self.url.split('?')[0][:80]}'"

    def new_connection(self) -> McpConnection:
        """A connection that is not yet made."""
        return _HttpConnection(self)


class _StdioConnection:
    def __init__(self, way: StdioTransport) -> None:
        self.ended = False
        self._way = way
        self._tail = _StderrTail(str(way))

    @asynccontextmanager
    async def client(self, changed: Callable[[], None]) -> AsyncIterator[Any]:
        stdio: Any = import_optional("mcp.client.stdio")
        parameters = stdio.StdioServerParameters(
            command=self._way.words[0],
            args=list(self._way.words[1:]),
            env=dict(self._way.env),
            cwd=self._way.folder,
        )
        async with AsyncExitStack() as stack:
            errors = stack.enter_context(await self._errors(stack))
            transport = self._watched(stdio.stdio_client(parameters, errlog=errors))
            yield await stack.enter_async_context(_sdk_client(transport, changed))

    async def _errors(self, stack: AsyncExitStack) -> Any:
        """What the child writes its errors into: a pipe of which the end is kept."""
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
    def __init__(self, way: HttpTransport) -> None:
        self.ended = False
        self._way = way

    @asynccontextmanager
    async def client(self, changed: Callable[[], None]) -> AsyncIterator[Any]:
        http: Any = import_optional("mcp.client.streamable_http")
        library: Any = import_optional("httpx2")
        async with AsyncExitStack() as stack:
            requests = library.AsyncClient(
                headers=dict(self._way.headers),
                # A server may hold a stream open; each call has a limit of its own.
                timeout=library.Timeout(30.0, read=300.0),
                event_hooks={"response": [_bound]},
            )
            await stack.enter_async_context(requests)
            transport = http.streamable_http_client(self._way.url, http_client=requests)
            yield await stack.enter_async_context(_sdk_client(transport, changed))

    def stderr_tail(self) -> str:
        return ""


def _sdk_client(transport: Any, changed: Callable[[], None]) -> Any:
    """The SDK's client, told of changes both ways: older servers send a notification to all,
    newer ones (2026-07-28) to whoever listens."""
    sdk: Any = import_optional("mcp")

    async def note(message: object) -> None:
        if isinstance(message, sdk.types.ToolListChangedNotification):
            changed()

    return sdk.Client(transport, message_handler=note, cache=None)


class _EndDetectingStream:
    """The stream of what a child says, which knows when the child has said its last."""

    def __init__(self, stream: Any, link: _StdioConnection) -> None:
        self._stream = stream
        self._link = link

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
            self._link.ended = True
            raise

    async def __aenter__(self) -> _EndDetectingStream:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *failure: Any) -> Any:
        return await self._stream.__aexit__(*failure)


class _StderrTail(asyncio.Protocol):
    """The end of what a child wrote to its standard error."""

    def __init__(self, name: str) -> None:
        self.text = b""
        self._name = name

    def data_received(self, data: bytes) -> None:
        log.debug("%s: %s", self._name, data.decode("utf-8", "replace").rstrip())
        self.text = (self.text + data)[-_TAIL:]


async def _bound(response: Any) -> None:
    """Let no answer be larger than memory bears; streams of events the SDK bounds itself."""
    if not response.headers.get("content-type", "").lower().startswith("text/event-stream"):
        response.stream = _bounded(response.stream)


def _bounded(stream: Any) -> Any:
    library: Any = import_optional("httpx2")

    class Bounded(library.AsyncByteStream):  # type: ignore[misc]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for piece in stream:
                size += len(piece)
                if size > _MOST_BYTES:
                    raise library.StreamError(f"the answer has more than {_MOST_BYTES} bytes")
                yield piece

        async def aclose(self) -> None:
            await stream.aclose()

    return Bounded()
