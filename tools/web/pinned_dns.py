"""Connections pinned to a checked address (against DNS rebinding), with a deadline."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from .public_addresses import refusal_reason

if TYPE_CHECKING:
    import httpcore2

Resolver: TypeAlias = Callable[[str, int], Sequence[str]]
"""Maps host and port to IP addresses as texts."""


def system_resolver(host: str, port: int) -> Sequence[str]:
    """The addresses of a host by the system's resolver."""
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


def resolve_public_addresses(
    host: str, port: int, *, resolve: Resolver, trusted: frozenset[str], end: float
) -> list[str]:
    """The addresses of a host, resolved once, before ``end`` (of ``time.monotonic``).

    Raises ValueError if it has no address, or any address that is neither public nor ``trusted``
    (an attacker would choose which one is used); TimeoutError after ``end``.
    """
    results: list[Sequence[str]] = []
    errors: list[Exception] = []

    def look_up() -> None:
        try:
            results.append(resolve(host, port))
        except (OSError, UnicodeError) as error:
            errors.append(error)

    # The system's resolver has no timeout, so it runs in a daemon thread.
    worker = threading.Thread(target=look_up, daemon=True)
    worker.start()
    worker.join(max(0.0, end - time.monotonic()))
    if worker.is_alive():
        raise TimeoutError(f"finding the address of {host} took too long")
    if not results or not results[0]:
        raise ValueError(f"the host '{host}' has no address") from next(iter(errors), None)
    for address in results[0]:
        reason = refusal_reason(address)
        if reason and f"{address}:{port}" not in trusted:
            raise ValueError(f"the host '{host}' is not public: {reason}")
    return list(results[0])


class PinnedBackend:
    """A network backend of httpcore2 that connects to ``addresses`` only and looks up no host
    name, so that the checked address is the one used. It connects only before ``end``, a time of
    ``time.monotonic``."""

    def __init__(self, addresses: Sequence[str], end: float) -> None:
        self._addresses = addresses
        self._end = end
        self._open: list[socket.socket] = []
        self.expired = threading.Event()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first of the addresses that answers."""
        import httpcore2

        for place, address in enumerate(self._addresses):
            try:
                left = max(0.001, self._end - time.monotonic())
                stream = httpcore2.SyncBackend().connect_tcp(address, port, left)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if place == len(self._addresses) - 1 or self.expired.is_set():
                    raise
                continue
            connected: socket.socket = stream.get_extra_info("socket")
            # A second handle, since TLS takes over the first; shutting down either ends both.
            self._open.append(connected.dup())
            # The deadline may have passed after ``expire`` closed the open sockets.
            if self.expired.is_set():
                stream.close()
                raise httpcore2.ConnectTimeout("out of time")
            return stream
        raise httpcore2.ConnectError("no address")

    def sleep(self, seconds: float) -> None:
        """Required of a backend; unused, since there are no retries."""
        time.sleep(seconds)

    @contextmanager
    def enforce_deadline(self) -> Iterator[None]:
        """Shut down every connection at the deadline: with a timeout per read alone, a server that
        sends single bytes could keep the call open."""

        def expire() -> None:
            self.expired.set()
            for handle in self._open:
                with suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(max(0.0, self._end - time.monotonic()), expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            for handle in self._open:
                handle.close()
