"""No form of an address leads a fetch to a place that is not public."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from denizens.tests.support.private_addresses import RESOLVED, URLS
from denizens.tools import fetch_tool
from denizens.tools.web.pinned_dns import Resolver, system_resolver
from denizens.tools.web.public_addresses import refusal_reason
from hypothesis import given
from hypothesis import strategies as st


class Listener:
    """Waits on one port of both loopbacks; ``seen`` counts who came."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._sockets: list[socket.socket] = []
        first = self._listen(socket.AF_INET, "127.0.0.1", 0)
        self.port: int = first.getsockname()[1]
        if socket.has_ipv6:
            self._listen(socket.AF_INET6, "::1", self.port)

    def _listen(self, family: int, host: str, port: int) -> socket.socket:
        one = socket.socket(family, socket.SOCK_STREAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((host, port))
        one.listen(64)
        self._sockets.append(one)
        threading.Thread(target=self._serve, args=(one, host), daemon=True).start()
        return one

    def _serve(self, one: socket.socket, host: str) -> None:
        while True:
            try:
                caller, _ = one.accept()
            except OSError:
                return
            self.seen.append(host)
            caller.recv(4096)
            caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\ngot through")
            caller.close()

    def close(self) -> None:
        for one in self._sockets:
            one.close()


class Watch:
    """Sees every connection that this process begins, to wherever it goes."""

    def __init__(self) -> None:
        self.on = False
        self.made: list[object] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event == "socket.connect":
            self.made.append(arguments[1])


WATCH = Watch()


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


def always(addresses: list[str]) -> Resolver:
    """A resolver that gives the same for every name."""
    return lambda host, port: addresses


def as_system(host: str, port: int) -> Sequence[str]:
    """The system's own answer for what is an address or local name; others have none."""
    try:
        return system_resolver(host, port)
    except OSError:
        return []


def test_the_listener_sees(listener: Listener) -> None:
    """A fetch that is let through reaches the listener on both loopbacks: it is not blind."""
    for address in ("127.0.0.1", "::1"):
        WATCH.made.clear()
        listener.seen.clear()
        WATCH.on = True
        fetch = fetch_tool(
            ("example.test",), resolve=always([address]), trusted=(f"{address}:{listener.port}",)
        )
        assert fetch(f"http://example.test:{listener.port}/")["text"] == "got through"
        WATCH.on = False
        assert listener.seen == [address]
        assert len(WATCH.made) == 1


def test_no_url_gets_through(listener: Listener) -> None:
    """Not one of all ways to write a URL, every host allowed and the system's resolver asked,
    makes a connection."""
    listener.seen.clear()
    WATCH.made.clear()
    fetch = fetch_tool(("*",), ports=(80, 443, listener.port), resolve=as_system, seconds=5)
    got = []
    WATCH.on = True
    for form in URLS:
        try:
            got.append((form, fetch(form.format(port=listener.port))))
        except ValueError:
            continue
    WATCH.on = False
    assert got == []
    assert WATCH.made == []
    assert listener.seen == []
    assert len(set(URLS)) >= 220


def test_no_resolved_address_gets_through(listener: Listener) -> None:
    """A public host's name that resolves to any of the addresses, alone or beside a public
    one, in either order, makes no connection."""
    listener.seen.clear()
    WATCH.made.clear()
    got = []
    WATCH.on = True
    for address in RESOLVED:
        for answer in ([address], ["93.184.215.14", address], [address, "93.184.215.14"]):
            fetch = fetch_tool(("*",), ports=(listener.port,), resolve=always(answer), seconds=5)
            with pytest.raises(ValueError, match="is not public"):
                got.append((address, fetch(f"http://www.example.org:{listener.port}/")))
    WATCH.on = False
    assert got == []
    assert WATCH.made == []
    assert listener.seen == []
    assert len(set(RESOLVED)) >= 100


def test_public_addresses_are_let_through() -> None:
    """The check refuses no ordinary address of the internet."""
    for address in ("93.184.215.14", "8.8.8.8", "1.1.1.1", "2606:2800:21f:cb07::1", "2a00:1450::1"):
        assert refusal_reason(address) == ""


@given(st.integers(0, 2**32 - 1))
def test_embedded_addresses_are_refused(number: int) -> None:
    """Whatever IPv4 address an IPv6 one wraps, public or not, it is refused: the wrapped one
    would never be checked."""
    from ipaddress import IPv6Address

    for prefix, shift in (
        ("::ffff:0:0", 0),
        ("::", 0),
        ("::ffff:0:0:0", 0),
        ("64:ff9b::", 0),
        ("2002::", 80),
    ):
        assert refusal_reason(str(IPv6Address(int(IPv6Address(prefix)) | number << shift))) != ""


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_nothing_that_python_holds_private_is_let_through(address: Any) -> None:
    """For random addresses the check is never weaker than Python's own."""
    if address.is_private or address.is_multicast or address.is_reserved or not address.is_global:
        assert refusal_reason(str(address)) != ""


def test_the_name_is_looked_up_once(listener: Listener) -> None:
    """A name whose address changes after the first look is looked at once only, and the
    connection goes to the very address that was checked."""
    answers = iter([["127.0.0.1"], ["::1"]])
    asked = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return next(answers)

    WATCH.made.clear()
    fetch = fetch_tool(
        ("rebind.example.org",), resolve=rebinding, trusted=(f"127.0.0.1:{listener.port}",)
    )
    WATCH.on = True
    fetch(f"http://rebind.example.org:{listener.port}/")
    WATCH.on = False
    assert asked == ["rebind.example.org"]
    assert WATCH.made == [("127.0.0.1", listener.port)]


def test_a_host_not_on_the_list_is_not_even_looked_up() -> None:
    """Looking up a name tells its server something: a name off the list is never looked up,
    nor one that only begins or ends like one on it."""
    asked = []

    def noting(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return []

    fetch = fetch_tool(("example.org", "*.example.net"), resolve=noting)
    for host in (
        "example.com",
        "www.example.org",
        "example.org.evil.com",
        "evil-example.org",
        "example.net",
        "evilexample.net",
        "a.example.net.evil.com",
    ):
        with pytest.raises(ValueError, match="is not allowed"):
            fetch(f"https://{host}/")
    assert asked == []
    with pytest.raises(ValueError, match="has no address"):
        fetch("https://a.b.example.net/")
    assert asked == ["a.b.example.net"]
