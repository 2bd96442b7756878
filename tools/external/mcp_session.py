"""One MCP server behind one background thread: connected, called, connected again when gone.

The SDK is asynchronous, and a connection must live in one event loop for as long as it lasts,
while thoughts are driven without one. So each session has a loop in a daemon thread of its
own: the only thread of tools/. Nothing of ours is shared with it but the asks and answers.
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
"""Words and the share that is done; None when there is no more to hear."""

_CLOSING = 8.0
"""Seconds a server gets to end: the SDK asks, then terminates, then kills within 7."""
_SLACK = 2.0
"""Seconds that a loop may be late before it is given up as stuck."""
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_MOST_PAGES, _MOST_TOOLS = 100, 2_000


class McpSession:
    """A connection to one server, made when first needed and again after it was lost.

    After a failed attempt the next is not made before a while, which doubles from 0.5 to 30
    seconds; calls in between fail at once. May be used from any thread.
    """

    def __init__(self, way: McpTransport, *, timeout: float) -> None:
        self.way = way
        self.timeout = timeout
        self.changed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._making = threading.Lock()
        self._client: Any = None
        self._keeper: asyncio.Task[None] | None = None
        self._link: McpConnection = way.new_connection()
        self._stop = asyncio.Event()
        self._connecting: asyncio.Lock | None = None
        self._failures = 0
        self._again = 0.0
        self._closed = False

    # -- from any thread ------------------------------------------------------------

    def tools(self) -> tuple[str, list[Any]]:
        """The server's own name, and its tools as the SDK tells them, all pages."""
        return self._run(self._tools(), self.timeout)

    def call(
        self, name: str, arguments: dict[str, Any], timeout: float, tell: ProgressCallback
    ) -> Any:
        """The SDK's result of a call; ``tell`` is told what the server says on the way.

        Raises ToolUnavailable where the server is lost, TimeoutError where it takes too long, and
        the SDK's errors for what it says of the call.
        """
        heard: SimpleQueue[ProgressItem] = SimpleQueue()
        return self._run(self._call(name, arguments, heard), timeout, heard, tell)

    def close(self) -> None:
        """End the connection and the server that it started; nothing can be called after."""
        loop, self._closed = self._loop, True
        if loop is None or not loop.is_running():
            return
        try:
            asyncio.run_coroutine_threadsafe(self._drop(), loop).result(_CLOSING)
        except (TimeoutError, CancelledError):
            log.warning("MCP server %s does not end; it is left alone", self.way)
        loop.call_soon_threadsafe(loop.stop)

    def _run(
        self,
        work: Coroutine[Any, Any, T],
        seconds: float,
        heard: SimpleQueue[ProgressItem] | None = None,
        tell: ProgressCallback | None = None,
    ) -> T:
        """Do it in the loop, within some seconds; what is heard is told in this thread."""
        if self._closed:
            work.close()
            raise ToolUnavailable(f"the connection to MCP server {self.way} was closed")
        loop, heard = self._running_loop(), heard or SimpleQueue()
        future = asyncio.run_coroutine_threadsafe(_within(work, seconds), loop)
        future.add_done_callback(lambda _: heard.put(None))
        end = time.monotonic() + seconds + _SLACK
        try:
            while (item := heard.get(timeout=max(end - time.monotonic(), 0))) is not None:
                if tell:
                    tell(*item)
            return future.result(0)
        except (TimeoutError, Empty):
            if not future.done():
                # Something blocks the loop itself: the next call gets a new one.
                self._forget(loop)
            raise TimeoutError(
                f"MCP server {self.way} did not answer within {seconds:g} s; it may still be "
                "doing what it was asked"
            ) from None
        finally:
            future.cancel()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._making:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                name = f"mcp {self.way}"[:60]
                threading.Thread(target=_serve, args=(loop,), name=name, daemon=True).start()
                self._loop, self._connecting = loop, asyncio.Lock()
            return self._loop

    def _forget(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._making:
            if self._loop is loop:
                loop.call_soon_threadsafe(loop.stop)
                self._loop, self._client, self._keeper = None, None, None

    # -- in the loop ----------------------------------------------------------------

    async def _tools(self) -> tuple[str, list[Any]]:
        client = await self._connected()
        self.changed = False
        found: list[Any] = []
        cursor = None
        try:
            for _ in range(_MOST_PAGES):
                page = await client.list_tools(cursor=cursor)
                found += page.tools
                cursor = page.next_cursor
                if cursor is None or len(found) > _MOST_TOOLS:
                    break
        except Exception as error:
            raise await self._lost(error, "list its tools") from error
        info = client.server_info
        return (info.name if info else ""), found[:_MOST_TOOLS]

    async def _call(
        self, name: str, arguments: dict[str, Any], heard: SimpleQueue[ProgressItem]
    ) -> Any:
        async def hear(done: float, total: float | None, message: str | None) -> None:
            share = min(max(done / total, 0.0), 1.0) if total else None
            heard.put((clean_text(message, 300) or f"{done:g}", share))

        client = await self._connected()
        types: Any = import_optional("mcp_types")
        given = types.CallToolRequestParams(name=name, arguments=arguments)
        request = types.CallToolRequest(params=given)
        try:
            # Not by ``call_tool``: that checks the result by the server's own patterns, which
            # may take for ever, and nothing here believes what the result is said to be.
            return await client.session.send_request(
                request, types.CallToolResult, progress_callback=hear
            )
        except Exception as error:
            raise await self._lost(error, f"run {name}") from error

    async def _lost(self, error: Exception, doing: str) -> Exception:
        """The error itself, or ToolUnavailable where it says that the connection is lost."""
        code, message = getattr(error, "code", None), str(error)
        closed: int = import_optional("mcp_types").CONNECTION_CLOSED
        if code != closed and message != "Session terminated" and not self._ended():
            return error
        self._cut()
        return ToolUnavailable(
            f"MCP server {self.way} was lost while it was to {doing}; it may have done it or "
            "not, and the next call starts it again"
        )

    async def _connected(self) -> Any:
        """The client, connected; raises ToolUnavailable."""
        assert self._connecting is not None, "made with the loop"
        async with self._connecting:
            if self._client is not None and not self._ended():
                return self._client
            self._cut()
            wait = self._again - time.monotonic()
            if wait > 0:
                raise ToolUnavailable(f"MCP server {self.way} is gone; try again in {wait:.1f} s")
            await self._connect()
            return self._client

    def _ended(self) -> bool:
        return self._keeper is None or self._keeper.done() or self._link.ended

    async def _connect(self) -> None:
        ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._stop, self._link = asyncio.Event(), self.way.new_connection()
        self._keeper = asyncio.create_task(self._keep(self._link, ready, self._stop))
        try:
            self._client = await ready
        except BaseException as error:
            self._keeper.cancel()
            self._failures += 1
            wait = min(_FIRST_WAIT * 2 ** (self._failures - 1), _LONGEST_WAIT)
            self._again = time.monotonic() + wait
            if not isinstance(error, Exception) or isinstance(error, SettingError):
                raise
            raise ToolUnavailable(
                f"MCP server {self.way} cannot be started or reached ({_reason(error)})"
                f"{self._link.stderr_tail()}"
            ) from error
        self._failures = 0

    async def _keep(
        self, link: McpConnection, ready: asyncio.Future[Any], stop: asyncio.Event
    ) -> None:
        """Hold a connection from its beginning to its end, which must be in one task."""
        try:
            async with link.client(self._note_change) as client:
                ready.set_result(client)
                listener = asyncio.create_task(self._listen(client))
                try:
                    await stop.wait()
                finally:
                    listener.cancel()
        except Exception as error:
            if ready.done():
                log.debug("connection to MCP server %s ended", self.way, exc_info=True)
            else:
                ready.set_exception(error)

    async def _listen(self, client: Any) -> None:
        """Hear of changed tools where the server tells those who listen."""
        tools = client.server_capabilities.tools
        if tools is None or not tools.list_changed:
            return
        try:
            async with client.listen(tools_list_changed=True) as events:
                async for _ in events:
                    self._note_change()
        except Exception:  # The tools that are there can be called all the same.
            log.debug("MCP server %s tells of no changes", self.way, exc_info=True)

    def _note_change(self) -> None:
        self.changed = True

    def _cut(self) -> None:
        """Let the present connection end, without waiting for it."""
        self._stop.set()
        self._client = None

    async def _drop(self) -> None:
        keeper = self._keeper
        self._cut()
        if keeper is not None:
            await asyncio.wait([keeper])


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()


async def _within(work: Coroutine[Any, Any, T], seconds: float) -> T:
    async with asyncio.timeout(seconds):
        return await work


def _reason(error: BaseException) -> str:
    """The first real error within groups of them, in a line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:300]
