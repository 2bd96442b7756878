"""The process that serves an application: uvicorn, with slow clients cut off and a bounded stop."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from ...core import SettingError
from ..hosting import Admission, HostingSettings
from .request_gate import ADMITTED_PATHS, ARRIVING

_SEND_BUFFER = 65_536  # bytes that the system keeps for one client, beside our own buffer
_HIGH_WATER = 65_536  # bytes in our own buffer from which on a response waits for its client
_STOP_SECONDS = 5.0  # for what was cancelled at the end of the grace to be written

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,9})\r?$", re.IGNORECASE | re.MULTILINE)

_logger = logging.getLogger("denizens.server")


class GuardedProtocol(H11Protocol):
    """uvicorn's HTTP protocol for connections that must not be held for ever: by headers that do
    not come, or by a response that is not read.

    While all places are taken it refuses requests for the model by their first line, since a
    server that is busy must not spend its time on saying so."""

    settings: HostingSettings
    admission: Admission
    _timer: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None
    _shed = False

    def data_received(self, data: bytes) -> None:
        if self._shed:
            return  # the rest of a refused request
        before = self.cycle
        idle = before is None or before.response_complete
        path = _admitted_path(data) if idle else ""
        if path and self.admission.full:
            self._shed = True
            self._unset_keepalive_if_required()
            self.transport.write(self.admission.shed(path))
            # At once only if nothing of the request is still to come: a reset would take the
            # response away.
            self.loop.call_later(0 if _is_whole(data) else 1, self.transport.close)
            return
        super().data_received(data)
        if path and self.cycle is not before:
            # A task was made for it, which has not run yet.
            self.admission.arriving += 1
            scope: dict[str, Any] = self.scope  # type: ignore[assignment]
            scope[ARRIVING] = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        self._timer = self.loop.call_later(self.settings.header_timeout, self._cut_headers)

    def connection_lost(self, exc: Exception | None) -> None:
        _cancel_timer(self._timer)
        _cancel_timer(self._writing)
        super().connection_lost(exc)

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            _cancel_timer(self._timer)
            self._timer = None

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._timer is None:
            seconds = self.settings.header_timeout + self.timeout_keep_alive
            self._timer = self.loop.call_later(seconds, self._cut_headers)

    def _cut_headers(self) -> None:
        self._timer = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        _cancel_timer(self._writing)
        self._writing = self.loop.call_later(self.settings.write_timeout, self._cut_reader)

    def resume_writing(self) -> None:
        super().resume_writing()
        _cancel_timer(self._writing)
        self._writing = None

    def _cut_reader(self) -> None:
        _logger.info("a client that did not read its response was cut off")
        self.transport.abort()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        # Closing waits for what is still to be sent.
        self.loop.call_later(self.settings.write_timeout, self.transport.abort)


def guarded_protocol(settings: HostingSettings, admission: Admission) -> type[GuardedProtocol]:
    """The protocol with the limits and the admission of one server."""
    limits = {"settings": settings, "admission": admission}
    return type("ServerProtocol", (GuardedProtocol,), limits)


def _admitted_path(data: bytes) -> str:
    """The path of a request that needs a place, by its first bytes; empty for any other."""
    if not data.startswith(b"POST /"):
        return ""
    path = data[5 : data.find(b" ", 5)].decode("latin-1")
    return path if ADMITTED_PATHS.fullmatch(path) else ""


def _is_whole(data: bytes) -> bool:
    """Whether the bytes hold a request to its end."""
    head, end, body = data.partition(b"\r\n\r\n")
    length = _CONTENT_LENGTH.search(head)
    return bool(end and length and len(body) >= int(length[1]))


def _cancel_timer(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


class HostingServer(Server):
    """uvicorn's server, which tells the application that it begins to stop."""

    def __init__(self, config: Config, app: Any) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish the replies in progress within the grace, then end."""
        self._app.state.hosting.begin_stop()
        await super().shutdown(sockets)
        await _wait_for_turns(self._app)


async def _wait_for_turns(app: Any) -> None:
    """Wait until no reply is being written to a memory any more, for a bounded time."""
    agents = app.state.hosting.agents
    for _ in range(int(_STOP_SECONDS / 0.05)):
        if not any(agent.turns.active for agent in agents):
            return
        await asyncio.sleep(0.05)
    _logger.error("a reply does not end; what it has not committed is lost")


def bind_socket(settings: HostingSettings) -> socket.socket:
    """A listening socket at the settings' address (port 0: any free one). Raises SettingError if
    the address cannot be had."""
    host = settings.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it; else the system takes megabytes for a client that does not read.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    try:
        listener.bind((host, settings.port))
    except OSError as error:
        listener.close()
        raise SettingError(
            f"serve: cannot listen at {settings.host} port {settings.port} ({error.strerror}); "
            "give another --port or --host"
        ) from error
    listener.set_inheritable(False)
    return listener


def make_server(app: Any, settings: HostingSettings) -> HostingServer:
    """The server of an application. It logs no request; failures are logged by the gate."""
    config = Config(
        app,
        http=guarded_protocol(settings, app.state.hosting.admission),
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        backlog=2048,
        h11_max_incomplete_event_size=settings.max_header,
        timeout_graceful_shutdown=int(settings.grace + _STOP_SECONDS) + 1,
    )
    return HostingServer(config, app)


def serve_app(
    app: Any,
    settings: HostingSettings | None = None,
    *,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve an application until it is told to stop (Ctrl-C, SIGTERM); a second Ctrl-C does not
    wait for the replies in progress. ``announce`` receives the server's URL."""
    settings = settings or app.state.hosting.settings
    settings.require_keys()
    listener = bind_socket(settings)
    port = listener.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host.strip("[]") else settings.host
    server = make_server(app, settings)
    if announce:
        announce(f"http://{host}:{port}/")
    with _signals_restored():
        server.run(sockets=[listener])


@contextmanager
def _signals_restored() -> Iterator[None]:
    """uvicorn raises the signal that ended it again; a stop that was asked for is no failure."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {which: signal.signal(which, _ignore) for which in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)


def _ignore(*_: object) -> None:
    """A handler that does nothing."""
