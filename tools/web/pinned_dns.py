"""Connections that go to the address that was checked, and end when their time is up."""

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
"""From a host and port to its addresses, written plainly."""


def system_resolver(host: str, port: int) -> Sequence[str]:
    """The addresses that the system's resolver knows for a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def resolve_public_addresses(
    host: str, port: int, *, resolve: Resolver, trusted: frozenset[str], end: float
) -> list[str]:
    """Where a host is, found by one look before ``end`` (of ``time.monotonic``).

    Raises ValueError when it has no address, or one that is neither public nor ``trusted``:
    of several, an attacker would have the other taken. TimeoutError when time is up.
    """
    found: list[Sequence[str]] = []
    failed: list[Exception] = []

    def look() -> None:
        try:
            found.append(resolve(host, port))
        except (OSError, UnicodeError) as error:
            failed.append(error)

    # The system's resolver takes no time limit; a thread that hangs holds nobody up.
    worker = threading.Thread(target=look, daemon=True)
    worker.start()
    worker.join(max(0.0, end - time.monotonic()))
    if worker.is_alive():
        raise TimeoutError(f"finding the address of {host} took too long")
    if not found or not found[0]:
        raise ValueError(f"the host '{host}' has no address") from next(iter(failed), None)
    for address in found[0]:
        why = refusal_reason(address)
        if why and f"{address}:{port}" not in trusted:
            raise ValueError(f"the host '{host}' is not public: {why}")
    return list(found[0])


class PinnedBackend:
    """A network backend of httpcore2 that connects to ``addresses`` whatever host is named,
    so that no second look at the name can lead elsewhere, and only until ``end`` (of
    ``time.monotonic``)."""

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
            # A second handle: TLS takes the first one over, and shutting down either ends both.
            self._open.append(connected.dup())
            # Time may have run out in between, after the last look at what is open.
            if self.expired.is_set():
                stream.close()
                raise httpcore2.ConnectTimeout("out of time")
            return stream
        raise httpcore2.ConnectError("no address")

    def sleep(self, seconds: float) -> None:
        """Part of a backend; used between retries, of which there are none."""
        time.sleep(seconds)

    @contextmanager
    def enforce_deadline(self) -> Iterator[None]:
        """Shut every connection down at the end: a limit for each read alone would let a
        server that sends a byte now and then hold the call for ever."""

        def expire() -> None:
            self.expired.set()
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(max(0.0, self._end - time.monotonic()), expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            for one in self._open:
                one.close()
