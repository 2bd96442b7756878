"""The middleware that every request passes: access, body, admission, deadline, disconnects.

It is plain ASGI. What the application does not answer itself is answered here, in the error form
of the API that the path belongs to.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, TypeAlias

from ...core import cache_owner
from ..hosting import (
    OPENAI_PREFIX,
    STATE_KEY,
    HostingState,
    RequestContext,
    RequestRefused,
    check_json_depth,
    error_body,
)
from .access_rules import AccessRules, Headers, lower_headers
from .errors import internal_error, log_failure, refusal_of
from .metrics import ServerMetrics
from .request_spans import RequestTracer

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

ADMITTED_PATHS = re.compile(
    r"/v1/(chat/completions|responses|embeddings)|/api/.*/(messages|replies|interview)"
)
"""Requests (POST) that take a place before their bodies are read, so that a refusal is cheap. All
others that use the model take theirs when they call ``admit``."""

ARRIVING = "denizens.arriving"
"""Marks the scope of a request that admission counts as arriving."""

_DRAIN_BYTES = 65_536  # of a refused body, read so that the client sees the refusal
_CANCEL_SECONDS = 10.0  # for a request that was cancelled to end

_logger = logging.getLogger("denizens.server")


class Exchange:
    """One request and its response, as the gate sees them."""

    def __init__(self, scope: Scope, context: RequestContext, send: Send) -> None:
        self.context = context
        self.path: str = scope["path"]
        self.method: str = scope["method"]
        self.began = time.monotonic()
        self.first_piece: float | None = None
        self.status = 0
        self.streams = False
        self.finished = False
        self.gone = False
        self.task: asyncio.Task[None] | None = None
        self.ending: RequestRefused | None = None
        self.cors: list[tuple[bytes, bytes]] = []
        self._send = send

    async def send(self, message: Message) -> None:
        """Pass a message of the response on, and note what it says."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", []))
            kinds = [value for name, value in headers if name.lower() == b"content-type"]
            self.streams = any(kind.startswith(b"text/event-stream") for kind in kinds)
            added = [(b"x-request-id", self.context.request_id.encode())]
            message = {**message, "headers": [*headers, *_SAFE_HEADERS, *added, *self.cors]}
        elif message["type"] == "http.response.body":
            if self.first_piece is None and message.get("body"):
                self.first_piece = time.monotonic() - self.began
            self.finished = not message.get("more_body", False)
        await self._send(message)

    async def refuse(self, refusal: RequestRefused, *, close: bool = False) -> None:
        """Answer with an error, or end a stream with one."""
        body = error_body(self.path, refusal)
        if self.finished or self.gone:
            return
        if self.status:
            if self.streams:
                data = json.dumps(body, ensure_ascii=False)
                event = "" if self.path.startswith(OPENAI_PREFIX) else "event: error\n"
                last = f"{event}data: {data}\n\n".encode()
                await self.send({"type": "http.response.body", "body": last})
            return
        content = json.dumps(body, ensure_ascii=False).encode()
        length = b"%d" % len(content)
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        headers += [(k.lower().encode(), v.encode()) for k, v in refusal.headers.items()]
        if close:
            headers.append((b"connection", b"close"))
        start = {"type": "http.response.start", "status": refusal.status, "headers": headers}
        await self.send(start)
        await self.send({"type": "http.response.body", "body": content})

    def end(self, refusal: RequestRefused) -> None:
        """Cancel the work on the request; the client is told why."""
        if self.task is not None and not self.task.done() and self.ending is None:
            self.ending = refusal
            self.task.cancel()


_SAFE_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]


class RequestGate:
    """The outermost middleware of a server's application."""

    def __init__(
        self,
        app: AsgiApp,
        hosting: HostingState,
        metrics: ServerMetrics,
        tracer: RequestTracer,
    ) -> None:
        self._app = app
        self._hosting = hosting
        self._settings = hosting.settings
        self._rules = AccessRules(hosting)
        self._metrics = metrics
        self._tracer = tracer
        self._open: set[Exchange] = set()
        hosting.on_stop.append(self._stop)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope.pop(ARRIVING, False):
            self._hosting.admission.arriving -= 1
        context = RequestContext(self._hosting, request_id=secrets.token_hex(8))
        scope.setdefault("state", {})[STATE_KEY] = context
        exchange = Exchange(scope, context, send)
        self._open.add(exchange)
        try:
            with self._tracer.span(exchange, scope):
                await self._serve(exchange, scope, receive)
        finally:
            self._open.discard(exchange)
            if context.place is not None:
                context.place.release()
            self._metrics.observe(exchange, scope)

    async def _serve(self, exchange: Exchange, scope: Scope, receive: Receive) -> None:
        """Answer a request; every error becomes a response."""
        headers = lower_headers(scope["headers"])
        context = exchange.context
        try:
            context.caller = self._rules.caller(exchange.method, exchange.path, headers)
            exchange.cors = self._cors_headers(headers)
            if exchange.method == "OPTIONS" and exchange.cors:
                await exchange.send({"type": "http.response.start", "status": 204, "headers": []})
                await exchange.send({"type": "http.response.body", "body": b""})
                return
            if exchange.method == "POST" and ADMITTED_PATHS.fullmatch(exchange.path):
                key = context.caller.key if context.caller else ""
                context.place = self._hosting.admission.reserve(key)
        except RequestRefused as refusal:
            drained = await _drain(receive, headers)
            await exchange.refuse(refusal, close=not drained)
            return
        try:
            body = await self._read_body(receive, headers)
            check_json_depth(body or b"", self._settings.max_depth)
        except RequestRefused as refusal:
            await exchange.refuse(refusal, close=refusal.status != 400)
            return
        if body is None:
            exchange.gone = True
            return
        owner = f"key:{context.caller.key}" if context.caller and context.caller.key else "local"
        with cache_owner(owner):
            await self._run(exchange, scope, receive, body)

    async def _read_body(self, receive: Receive, headers: Headers) -> bytes | None:
        """The whole body; None if the client has gone. Raises RequestRefused: 413, 408."""
        settings = self._settings
        too_large = RequestRefused(
            413, f"the body has more than {settings.max_body:,} bytes", code="body_too_large"
        )
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > settings.max_body:
            raise too_large
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(settings.body_timeout):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    piece = message.get("body", b"")
                    size += len(piece)
                    if size > settings.max_body:
                        raise too_large
                    pieces.append(piece)
                    if not message.get("more_body", False):
                        return b"".join(pieces)
        except TimeoutError as error:
            message_text = f"the body did not arrive within {settings.body_timeout:g} s"
            raise RequestRefused(408, message_text, code="body_timeout") from error

    async def _run(self, exchange: Exchange, scope: Scope, receive: Receive, body: bytes) -> None:
        """Run the application until it is done, the client is gone, or the deadline has passed."""
        disconnected = asyncio.Event()
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive_buffered() -> Message:
            if messages:
                return messages.pop()
            await disconnected.wait()
            return {"type": "http.disconnect"}

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            disconnected.set()

        task = asyncio.ensure_future(self._app(scope, receive_buffered, exchange.send))
        watcher = asyncio.create_task(watch())
        exchange.task = task
        try:
            await self._supervise(exchange, task, watcher)
        finally:
            watcher.cancel()
            if not task.done():
                await _cancel(task, exchange)
            with suppress(asyncio.CancelledError):
                await watcher
        await self._conclude(exchange, task)

    async def _supervise(
        self, exchange: Exchange, task: asyncio.Future[None], watcher: asyncio.Task[None]
    ) -> None:
        """Wait for the end of the work, and end it when its client or its time is gone."""
        deadline = exchange.began + self._settings.deadline
        waiting: set[asyncio.Future[None]] = {task, watcher}
        while not task.done():
            # A stream that does not use the model, as of a live run, may last.
            bounded = exchange.context.admitted or not exchange.status
            left = max(0.0, deadline - time.monotonic()) if bounded else None
            done, _ = await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if task in done:
                return
            if watcher in done:
                waiting.discard(watcher)
                if not exchange.finished:
                    exchange.gone = True
                    return
            elif exchange.context.admitted or not exchange.status:
                seconds = self._settings.deadline
                exchange.end(RequestRefused(504, f"the answer took more than {seconds:g} s"))
                return

    async def _conclude(self, exchange: Exchange, task: asyncio.Future[None]) -> None:
        """Tell the client what ended the work, if it was not the work itself."""
        if exchange.ending is not None:
            await exchange.refuse(exchange.ending)
            return
        if exchange.gone or task.cancelled() or not task.done():
            if not exchange.gone and not exchange.finished:
                await exchange.refuse(internal_error())
            return
        error = task.exception()
        if error is None:
            return
        refusal = refusal_of(error)
        if refusal is None:
            log_failure(_logger, exchange.context, error, self._settings.log_text)
            refusal = internal_error()
        await exchange.refuse(refusal)

    def _cors_headers(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """The headers that let a page of ``settings.origins`` read the response."""
        origin = headers.get(b"origin")
        if (
            origin is None
            or origin.decode("latin-1").rstrip("/").lower() not in self._rules.origins
        ):
            return []
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
            (b"access-control-allow-headers", b"authorization, content-type, x-denizens-person"),
            (b"access-control-max-age", b"600"),
            (b"vary", b"origin"),
        ]

    def _stop(self) -> None:
        """End what would not end by itself, and the rest after ``grace`` seconds."""
        stopped = RequestRefused(503, "the server stops", retry_after=5)
        for exchange in list(self._open):
            if exchange.streams and not exchange.context.admitted:
                exchange.end(stopped)

        def end_all() -> None:
            for exchange in list(self._open):
                exchange.end(stopped)

        asyncio.get_running_loop().call_later(self._settings.grace, end_all)


async def _cancel(task: asyncio.Future[None], exchange: Exchange) -> None:
    """Cancel the work and wait for its end, for a bounded time."""
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=_CANCEL_SECONDS)
    if not done:
        _logger.error("%s: a cancelled request does not end", exchange.context.request_id)


async def _drain(receive: Receive, headers: Headers) -> bool:
    """Read the rest of a small body, so that the client has sent all when it is refused; whether
    that was all of it."""
    length = headers.get(b"content-length", b"")
    if b"transfer-encoding" not in headers and not length:
        return True
    if b"expect" in headers or (length.isdigit() and int(length) > _DRAIN_BYTES):
        return False
    size = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            while size <= _DRAIN_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return True
    return False
