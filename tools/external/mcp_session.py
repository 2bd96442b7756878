"""A session with one MCP server: connects, calls, and reconnects after a lost connection.

The SDK is asynchronous and a connection must stay in one event loop, while tools are called from
synchronous code. So each session runs an event loop in a daemon thread of its own, which shares
only requests and results with other threads.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias, TypeVar

from ...core import SettingError
from ..declaration import ProgressCallback
from .external_tool import ToolUnavailable, import_optional
from .mcp_transport import McpConnection, McpTransport
from .schema_sanitizer import clean_text

log = logging.getLogger(__name__)
T = TypeVar("T")
ProgressItem: TypeAlias = tuple[str, float | None] | None
"""Text and share of a progress report; None at the end."""

_CLOSE_SECONDS = 8.0
"""Seconds for a server to end: the SDK asks, then terminates, then kills it within 7."""
_LATE_SECONDS = 2.0
"""Seconds that a loop may be late before it counts as blocked."""
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_MAX_PAGES, _MAX_TOOLS = 100, 2_000


class McpSession:
    """A connection to one server, opened on first use and again after it was lost.

    After a failed attempt the next one waits for a backoff that doubles from 0.5 to 30 seconds;
    calls in between fail at once. Thread-safe.
    """

    def __init__(self, transport: McpTransport, *, timeout: float) -> None:
        self.transport = transport
        self.timeout = timeout
        self.changed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_lock = threading.Lock()
        self._client: Any = None
        self._connection_task: asyncio.Task[None] | None = None
        self._connection: McpConnection = transport.new_connection()
        self._stop = asyncio.Event()
        self._connecting: asyncio.Lock | None = None
        self._failures = 0
        self._retry_at = 0.0
        self._closed = False

    # -- from any thread ------------------------------------------------------------

    def tools(self) -> tuple[str, list[Any]]:
        """The server's own name, and its tools (of the SDK's type) from all pages."""
        return self._run(self._tools(), self.timeout)

    def call(
        self, name: str, arguments: dict[str, Any], timeout: float, report: ProgressCallback
    ) -> Any:
        """The SDK's result of a call; ``report`` receives the server's progress reports.

        Raises ToolUnavailable if the connection is lost, TimeoutError after ``timeout`` s, and
        the SDK's errors if the server refuses the call.
        """
        progress: SimpleQueue[ProgressItem] = SimpleQueue()
        return self._run(self._call(name, arguments, progress), timeout, progress, report)

    def close(self) -> None:
        """Close the connection and end a server started here; no call is possible afterwards."""
        loop, self._closed = self._loop, True
        if loop is None or not loop.is_running():
            return
        try:
            asyncio.run_coroutine_threadsafe(self._close_and_wait(), loop).result(_CLOSE_SECONDS)
        except (TimeoutError, CancelledError):
            log.warning("MCP server %s does not end; it is left running", self.transport)
        loop.call_soon_threadsafe(loop.stop)

    def _run(
        self,
        work: Coroutine[Any, Any, T],
        seconds: float,
        progress: SimpleQueue[ProgressItem] | None = None,
        report: ProgressCallback | None = None,
    ) -> T:
        """Run ``work`` in the loop, within ``seconds``; progress is reported in this thread."""
        if self._closed:
            work.close()
            raise ToolUnavailable(f"the connection to MCP server {self.transport} was closed")
        loop, progress = self._running_loop(), progress or SimpleQueue()
        future = asyncio.run_coroutine_threadsafe(_await_within(work, seconds), loop)
        future.add_done_callback(lambda _: progress.put(None))
        end = time.monotonic() + seconds + _LATE_SECONDS
        try:
            while (item := progress.get(timeout=max(end - time.monotonic(), 0))) is not None:
                if report:
                    report(*item)
            return future.result(0)
        except (TimeoutError, Empty):
            if not future.done():
                # The loop itself is blocked: the next call gets a new one.
                self._abandon_loop(loop)
            raise TimeoutError(
                f"MCP server {self.transport} did not answer within {seconds:g} s; it may still be "
                "doing what it was asked"
            ) from None
        finally:
            future.cancel()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._loop_lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                name = f"mcp {self.transport}"[:60]
                threading.Thread(target=_serve, args=(loop,), name=name, daemon=True).start()
                self._loop, self._connecting = loop, asyncio.Lock()
            return self._loop

    def _abandon_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._loop_lock:
            if self._loop is loop:
                loop.call_soon_threadsafe(loop.stop)
                self._loop, self._client, self._connection_task = None, None, None

    # -- in the loop ----------------------------------------------------------------

    async def _tools(self) -> tuple[str, list[Any]]:
        client = await self._connected()
        self.changed = False
        listed: list[Any] = []
        cursor = None
        try:
            for _ in range(_MAX_PAGES):
                page = await client.list_tools(cursor=cursor)
                listed += page.tools
                cursor = page.next_cursor
                if cursor is None or len(listed) > _MAX_TOOLS:
                    break
        except Exception as error:
            raise await self._connection_error(error, "list its tools") from error
        info = client.server_info
        return (info.name if info else ""), listed[:_MAX_TOOLS]

    async def _call(
        self, name: str, arguments: dict[str, Any], progress: SimpleQueue[ProgressItem]
    ) -> Any:
        async def on_progress(done: float, total: float | None, message: str | None) -> None:
            share = min(max(done / total, 0.0), 1.0) if total else None
            progress.put((clean_text(message, 300) or f"{done:g}", share))

        client = await self._connected()
        types: Any = import_optional("mcp_types")
        given = types.CallToolRequestParams(name=name, arguments=arguments)
        request = types.CallToolRequest(params=given)
        try:
            # Not ``call_tool``, which validates the result against the server's own patterns: they
            # may take exponential time, and nothing here relies on the result's schema.
            return await client.session.send_request(
                request, types.CallToolResult, progress_callback=on_progress
            )
        except Exception as error:
            raise await self._connection_error(error, f"run {name}") from error

    async def _connection_error(self, error: Exception, doing: str) -> Exception:
        """The error, or ToolUnavailable if it means that the connection is lost."""
        code, message = getattr(error, "code", None), str(error)
        closed: int = import_optional("mcp_types").CONNECTION_CLOSED
        if code != closed and message != "Session terminated" and not self._ended():
            return error
        self._close_connection()
        return ToolUnavailable(
            f"MCP server {self.transport} was lost while it was to {doing}; it may have done it or "
            "not, and the next call starts it again"
        )

    async def _connected(self) -> Any:
        assert self._connecting is not None, "made with the loop"
        async with self._connecting:
            if self._client is not None and not self._ended():
                return self._client
            self._close_connection()
            wait = self._retry_at - time.monotonic()
            if wait > 0:
                raise ToolUnavailable(
                    f"MCP server {self.transport} is gone; try again in {wait:.1f} s"
                )
            await self._connect()
            return self._client

    def _ended(self) -> bool:
        return (
            self._connection_task is None or self._connection_task.done() or self._connection.ended
        )

    async def _connect(self) -> None:
        ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._stop, self._connection = asyncio.Event(), self.transport.new_connection()
        self._connection_task = asyncio.create_task(
            self._hold_connection(self._connection, ready, self._stop)
        )
        try:
            self._client = await ready
        except BaseException as error:
            self._connection_task.cancel()
            self._failures += 1
            wait = min(_FIRST_WAIT * 2 ** (self._failures - 1), _LONGEST_WAIT)
            self._retry_at = time.monotonic() + wait
            if not isinstance(error, Exception) or isinstance(error, SettingError):
                raise
            raise ToolUnavailable(
                f"MCP server {self.transport} cannot be started or reached ({_reason(error)})"
                f"{self._connection.stderr_tail()}"
            ) from error
        self._failures = 0

    async def _hold_connection(
        self, connection: McpConnection, ready: asyncio.Future[Any], stop: asyncio.Event
    ) -> None:
        """Keep a connection open until ``stop``; it must be opened and closed in one task."""
        try:
            async with connection.client(self._note_change) as client:
                ready.set_result(client)
                listener = asyncio.create_task(self._listen(client))
                try:
                    await stop.wait()
                finally:
                    listener.cancel()
        except Exception as error:
            if ready.done():
                log.debug("connection to MCP server %s ended", self.transport, exc_info=True)
            else:
                ready.set_exception(error)

    async def _listen(self, client: Any) -> None:
        """Listen for changes of the server's tools, if the server supports it."""
        tools = client.server_capabilities.tools
        if tools is None or not tools.list_changed:
            return
        try:
            async with client.listen(tools_list_changed=True) as events:
                async for _ in events:
                    self._note_change()
        except Exception:  # The known tools can be called nevertheless.
            log.debug("MCP server %s sends no change notifications", self.transport, exc_info=True)

    def _note_change(self) -> None:
        self.changed = True

    def _close_connection(self) -> None:
        self._stop.set()
        self._client = None

    async def _close_and_wait(self) -> None:
        keeper = self._connection_task
        self._close_connection()
        if keeper is not None:
            await asyncio.wait([keeper])


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()


async def _await_within(work: Coroutine[Any, Any, T], seconds: float) -> T:
    async with asyncio.timeout(seconds):
        return await work


def _reason(error: BaseException) -> str:
    """Type and message of the first error within exception groups, in one line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:300]
