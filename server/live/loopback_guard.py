"""What keeps strangers out of a server on this machine: hosts, origins, the size of bodies."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 64 << 10
"""Bytes of a request's body."""

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


class LoopbackGuard:
    """ASGI middleware: refuses requests for another host (a page that rebinds its name to this
    machine), from another origin, and with bodies over ``max_body``."""

    def __init__(
        self, app: ASGIApp, *, names: frozenset[str] = LOOPBACK_NAMES, max_body: int = MAX_BODY
    ) -> None:
        self._app = app
        self._names = names
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
        if host_name(headers.get("host", "")) not in self._names:
            await _refuse(send, 403, "this server answers to its own name only")
            return
        origin = headers.get("origin", "")
        if origin and urlsplit(origin).netloc != headers["host"]:
            await _refuse(send, 403, "another site's page may not use this server")
            return
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._max_body:
            await _refuse(send, 413, f"a body may have {self._max_body} bytes")
            return
        await self._app(scope, _Capped(receive, self._max_body), send)


class _Capped:
    """Receives a request, and ends it where its body is too long."""

    def __init__(self, receive: Receive, left: int) -> None:
        self._receive = receive
        self._left = left

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        return {"type": "http.disconnect"} if self._left < 0 else message


def host_name(host: str) -> str:
    """The name in a Host header, without the port.

    >>> host_name("[::1]:8000"), host_name("localhost:8000")
    ('[::1]', 'localhost')
    """
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.rpartition(":")[0] if ":" in host else host


async def _refuse(send: Send, status: int, message: str) -> None:
    body = json.dumps({"error": {"message": message}}).encode()
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
