"""Fetching: redirects, limits, kinds of content, and what the model is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from denizens.core import SettingError
from denizens.tools import Toolbox, ToolContext, fetch_tool
from denizens.tools.web.page_text import response_text
from hypothesis import given
from hypothesis import strategies as st

BO = ToolContext(who="Bo", now=datetime(2023, 2, 13, 9))


class Site(BaseHTTPRequestHandler):
    """A small site; ``pages`` map a path to what is answered there."""

    pages: ClassVar[dict[str, Callable[[Site], None]]] = {}
    asked: ClassVar[list[str]] = []

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.asked.append(f"{self.headers['Host'].partition(':')[0]}{self.path}")
        # Who fetches may hang up at any time.
        with suppress(OSError):
            self.pages[self.path](self)

    def answer(self, body: bytes, kind: str = "text/plain", status: int = 200, **more: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self) -> None:
        for _ in range(200):
            self.wfile.write(b"a")
            self.wfile.flush()
            time.sleep(0.05)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def clean() -> None:
    """Each test begins with an empty site."""
    Site.pages.clear()
    Site.asked.clear()


def here(host: str, port: int) -> Sequence[str]:
    """Every name is this machine, but one that is not trusted."""
    return ["127.0.0.2"] if host == "inner.example.test" else ["127.0.0.1"]


def fetching(port: int, **settings: Any) -> Any:
    allow = ("example.test", "*.example.test")
    return fetch_tool(allow, resolve=here, trusted=(f"127.0.0.1:{port}",), **settings)


def moved(to: str, status: int = 302) -> Callable[[Site], None]:
    return lambda site: site.answer(b"", status=status, Location=to)


def test_a_page_comes_as_text(port: int) -> None:
    """A page's paragraphs come under their headings, without scripts, and by a tool that is
    marked as bringing words from outside."""
    Site.pages["/"] = lambda site: site.answer(
        b"<title>Bakery</title><script>alert(1)</script><h1>Rye</h1><p>Sold&nbsp;out", "text/html"
    )
    fetch = fetching(port)
    got = fetch(f"http://example.test:{port}/")
    assert got["text"] == "# Bakery\n\n## Rye\n\nSold out"
    assert (got["type"], got["next"], got["cut"]) == ("text/html", None, False)
    assert fetch.spec.outside
    assert fetch.spec.effect == "reads"
    assert fetch_tool(("*",)).spec.effect == "acts"


def test_redirects_are_followed_and_told(port: int) -> None:
    """Redirects on the list are followed, relative ones too, and the last URL is told."""
    Site.pages["/a"] = moved("/b", 301)
    Site.pages["/b"] = moved(f"http://www.example.test:{port}/c?x=1", 307)
    Site.pages["/c?x=1"] = lambda site: site.answer(b"there")
    got = fetching(port)(f"http://example.test:{port}/a#part")
    assert got["text"] == "there"
    assert got["url"] == f"http://www.example.test:{port}/c?x=1"
    assert Site.asked == ["example.test/a", "example.test/b", "www.example.test/c?x=1"]


@pytest.mark.parametrize(
    "to",
    [
        "http://127.0.0.1:{port}/secret",
        "http://localhost:{port}/secret",
        "http://[::1]:{port}/secret",
        "http://evil.test:{port}/secret",
        "//evil.test:{port}/secret",
        "http://inner.example.test:{port}/secret",
        "http://example.test:22/",
        "http://user@example.test:{port}/secret",
        "file:///etc/passwd",
        "gopher://example.test:{port}/",
        "http://0x7f000001:{port}/secret",
        "\\\\example.test:{port}\\secret",
        "http://169.254.169.254/latest/meta-data/",
    ],
)
def test_redirects_are_checked_again(port: int, to: str) -> None:
    """A redirect to where no first URL may lead is refused, and nothing is asked there."""
    Site.pages["/a"] = moved("/b")
    Site.pages["/b"] = moved(to.format(port=port))
    Site.pages["/secret"] = lambda site: site.answer(b"secret")
    with pytest.raises(ValueError, match=r"not |no plain|local network|credentials|another letter"):
        fetching(port)(f"http://example.test:{port}/a")
    assert Site.asked == ["example.test/a", "example.test/b"]


def test_redirects_end(port: int) -> None:
    """A ring of redirects is left after a few."""
    Site.pages["/a"] = moved("/a")
    with pytest.raises(ValueError, match="redirects"):
        fetching(port)(f"http://example.test:{port}/a")
    assert len(Site.asked) == 6


def test_large_pages_are_cut_and_paged(port: int) -> None:
    """No more than the limit is read of an endless answer; its text comes page by page, and
    all pages together are what was read."""

    def endless(site: Site) -> None:
        site.send_response(200)
        site.send_header("Content-Type", "text/plain")
        site.end_headers()
        while True:
            site.wfile.write(b"0123456789" * 1000)

    Site.pages["/"] = endless
    fetch = fetching(port, largest=25_000, page=10_000)
    parts, offset = [], 0
    while offset is not None:
        got = fetch(f"http://example.test:{port}/", offset=offset)
        assert got["cut"]
        parts.append(got["text"])
        offset = got["next"]
    assert [len(part) for part in parts] == [10_000, 10_000, 5_000]
    assert "".join(parts) == "0123456789" * 2_500


def headers_drip(site: Site) -> None:
    site.send_response(200)
    site.flush_headers()
    for _ in range(200):
        site.wfile.write(b"X-A: b\r\n")
        site.wfile.flush()
        time.sleep(0.05)


def body_drips(site: Site) -> None:
    site.answer(b"")
    site.drip()


def silence(site: Site) -> None:
    time.sleep(3)


@pytest.mark.parametrize("slow", [headers_drip, body_drips, silence, Site.drip])
def test_slow_answers_end_in_time(port: int, slow: Callable[[Site], None]) -> None:
    """A byte now and then, in the headers, the body or before them, does not stretch the
    limit of time, and what came until then is not taken for the whole."""
    Site.pages["/"] = slow
    begun = time.monotonic()
    with pytest.raises(TimeoutError, match=r"longer than 0\.4 seconds"):
        fetching(port, seconds=0.4)(f"http://example.test:{port}/")
    assert time.monotonic() - begun < 1.5


def test_a_slow_handshake_ends_in_time() -> None:
    """A server that drips where TLS begins is left in time too."""
    import socket

    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        caller, _ = server.accept()
        with suppress(OSError):
            # The head of a record of 16 KB, and then a byte now and then.
            caller.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03")
            for _ in range(100):
                caller.sendall(b"\x00")
                time.sleep(0.05)

    threading.Thread(target=serve, daemon=True).start()
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        fetching(server.getsockname()[1], seconds=0.5)(
            f"https://example.test:{server.getsockname()[1]}/"
        )
    assert time.monotonic() - begun < 2
    server.close()


def test_a_slow_resolver_ends_in_time() -> None:
    """A resolver that hangs holds the call no longer than its limit."""

    def hangs(host: str, port: int) -> Sequence[str]:
        time.sleep(3)
        return []

    begun = time.monotonic()
    with pytest.raises(TimeoutError, match="address"):
        fetch_tool(("example.test",), resolve=hangs, seconds=0.2)("http://example.test/")
    assert time.monotonic() - begun < 1


def test_what_is_no_text_is_refused(port: int) -> None:
    """Pictures, packed answers, binary data called text, and errors are told as what they
    are."""
    Site.pages["/png"] = lambda site: site.answer(b"\x89PNG", "image/png")
    Site.pages["/gz"] = lambda site: site.answer(b"\x1f\x8b", Content_Encoding="gzip")
    Site.pages["/nul"] = lambda site: site.answer(b"a\0b")
    Site.pages["/404"] = lambda site: site.answer(b"no", status=404)
    fetch = fetching(port)
    for path, words in [("png", "no text"), ("gz", "packed"), ("nul", "binary"), ("404", "404")]:
        with pytest.raises(ValueError, match=words):
            fetch(f"http://example.test:{port}/{path}")


@given(st.binary(max_size=300), st.sampled_from(["", "utf-8", "big5", "zip", "idna", "rot13"]))
def test_any_bytes_become_text_or_an_error(body: bytes, charset: str) -> None:
    """Whatever a server sends under whatever name of an encoding, it is text or a ValueError."""
    for kind in ("text/html", "text/plain"):
        try:
            assert isinstance(response_text(f"{kind}; charset={charset}", body, "here")[1], str)
        except ValueError as error:
            assert "binary" in str(error)  # noqa: PT017


def test_a_hostile_page_is_read_in_time() -> None:
    """A megabyte of what makes other readers quadratic takes no more than a moment."""
    begun = time.monotonic()
    parts = (b"<", b"<!", b"<![", b"<!--", b"&#", b"</a", b"<a b='", b"<script>", b"&#9999")
    for part in (*parts, b"<b>x"):
        response_text("text/html", part * (1_000_000 // len(part)), "here")
    assert time.monotonic() - begun < 8


def test_the_model_is_told(port: int) -> None:
    """Through a toolbox a refusal is a result in words, not an exception."""
    box = Toolbox([fetching(port)])
    result = box.call("fetch", {"url": "http://evil.test/"}, context=BO, key="1")
    assert not result.ok
    assert "allowed: example.test, *.example.test" in result.error


@pytest.mark.parametrize(
    "settings",
    [
        {"allow": ()},
        {"allow": "example.org"},
        {"allow": ("http://example.org",)},
        {"allow": ("example.org",), "seconds": 0},
        {"allow": ("example.org",), "largest": 0},
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    """A fetch that would allow nothing, or read nothing, is not made."""
    with pytest.raises(SettingError, match="fetch_tool"):
        fetch_tool(**settings)


def test_a_trusted_port_is_open_at_its_address_alone() -> None:
    """Trust in a service of one's own opens its port there, not at every host of the list."""
    known = {"own.test.example": ["127.0.0.1"], "example.org": ["93.184.215.14"]}
    fetch = fetch_tool(
        known, resolve=lambda host, port: known[host], trusted=("127.0.0.1:9",), seconds=2
    )
    with pytest.raises(ValueError, match="port 9 is not allowed; allowed: 80, 443"):
        fetch("http://example.org:9/")
    with pytest.raises(ValueError, match="cannot be fetched"):
        fetch("http://own.test.example:9/")
