"""A response of server-sent events that ends for readers that do not keep up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ...core import Json
from .live_feed import LiveFeed, event_bytes

STALLED_SECONDS = 20.0
"""A reader that takes nothing for so long is cut off; it can reconnect and go on."""
STATUS_SECONDS = 1.0
"""How often a reader is told how far the step under way has come."""
PING_SECONDS = 15.0


class EventStream(Response):
    """Sends the feed's events after number ``after`` (None: a "reset" at first, after which the
    reader paints anew) and the town's status whenever it changes."""

    media_type = "text/event-stream"

    def __init__(self, feed: LiveFeed, after: int | None, status: Callable[[], Json]) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._feed = feed
        self._after = after
        self._status = status
        self._told: Json = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the reader goes, stalls, or the feed is closed."""
        head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(head)
        writing = asyncio.ensure_future(self._write(send))
        leaving = asyncio.ensure_future(_disconnect(receive))
        try:
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, leaving):
                task.cancel()
                with suppress(asyncio.CancelledError, OSError, TimeoutError):
                    await task

    async def _write(self, send: Send) -> None:
        sleeper = asyncio.Event()
        self._feed.wake_up(sleeper)
        quiet = 0.0
        try:
            while True:
                sleeper.clear()
                chunk = self._news()
                if not chunk and quiet >= PING_SECONDS:
                    chunk = b": still here\n\n"
                if chunk:
                    quiet = 0.0
                    body = {"type": "http.response.body", "body": chunk, "more_body": True}
                    await asyncio.wait_for(send(body), STALLED_SECONDS)
                if self._feed.closed:
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(sleeper.wait(), STATUS_SECONDS)
                quiet += STATUS_SECONDS
        finally:
            self._feed.forget(sleeper)

    def _news(self) -> bytes:
        events = None if self._after is None else self._feed.events_after(self._after)
        if events is None:
            # What was missed is gone: the reader fetches the whole run, and goes on from there.
            self._after = self._feed.number
            chunk = event_bytes("reset", {}, self._feed.last_id)
        else:
            if events:
                self._after = events[-1].number
            chunk = b"".join(event.data for event in events)
        status = self._status()
        if status != self._told:
            self._told = status
            chunk += event_bytes("status", status)
        return chunk


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
