"""The tool ``fetch``: pages from allowed hosts at public addresses, within size and time limits."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, cast
from urllib.parse import urljoin

from ...core import SettingError
from ..declaration import Tool, tool
from .page_text import response_text
from .pinned_dns import PinnedBackend, Resolver, resolve_public_addresses, system_resolver
from .public_addresses import UrlTarget, parse_url

MAX_REDIRECTS = 5
_HEADERS: Mapping[str | bytes, str | bytes] = {
    "User-Agent": "denizens",
    "Accept": "text/html, text/plain, application/json, application/xml, text/*;q=0.8",
    "Accept-Encoding": "identity",
    "Connection": "close",
}
_REDIRECTS = (301, 302, 303, 307, 308)


class FetchedPage(TypedDict):
    """A fetched page: final URL, content type, and text from character ``offset``. ``next`` is the
    offset of the rest (None: nothing is left); ``cut``: the page was longer than the limit."""

    url: str
    type: str
    text: str
    offset: int
    next: int | None
    cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rules:
    """The limits of one ``fetch`` tool."""

    allow: tuple[str, ...]
    ports: frozenset[int]
    largest: int
    seconds: float
    resolve: Resolver
    trusted: frozenset[str]

    def host_allowed(self, host: str) -> bool:
        return any(
            pattern in ("*", host) or (pattern.startswith("*.") and host.endswith(pattern[1:]))
            for pattern in self.allow
        )


def fetch_tool(
    allow: Collection[str],
    *,
    ports: Collection[int] = (80, 443),
    largest: int = 1_000_000,
    seconds: float = 10.0,
    page: int = 8_000,
    resolve: Resolver = system_resolver,
    trusted: Collection[str] = (),
) -> Tool[..., FetchedPage]:
    """The tool ``fetch`` for the hosts of ``allow``: "example.org" is that host alone,
    "*.example.org" its subdomains, "*" any host (the tool then ``acts``, since a URL can carry
    data to anybody).

    A host is resolved once; all its addresses must be public, and the connection goes to the
    checked address. Redirects are checked in the same way. ``largest`` limits the bytes read,
    ``seconds`` the duration of the whole call, ``page`` the characters that one call returns.
    ``trusted`` addresses ("10.0.0.7:8080") are allowed although not public: for a service of your
    own, and for tests. Raises SettingError for settings that allow nothing, or without the library
    (``pip install denizens[fetch]``).
    """
    _validate(allow, min(largest, seconds, page))
    if isinstance(trusted, str) or not all(isinstance(text, str) and text for text in trusted):
        raise SettingError(
            f"fetch_tool: trusted is {trusted!r}; give a list such as ['10.0.0.7:80']"
        )
    try:
        import httpcore2  # noqa: F401
    except ImportError as error:
        raise SettingError(
            "fetch_tool: httpcore2 is not installed; pip install denizens[fetch]"
        ) from error
    rules = _Rules(
        allow=tuple(host.lower() for host in allow),
        ports=frozenset(ports),
        largest=largest,
        seconds=seconds,
        resolve=resolve,
        trusted=frozenset(trusted),
    )

    @tool(effect="acts" if "*" in allow else "reads", outside=True)
    def fetch(url: str, offset: int = 0) -> FetchedPage:
        """Fetch a web page or a file of text by its URL, as plain text.

        Args:
            url: the address, beginning with http:// or https://
            offset: the character to begin at: 0, or "next" of the part before
        """
        if offset < 0:
            raise ValueError(f"offset {offset} is before the beginning; use 0 or more")
        final_url, kind, text, cut = _fetch(rules, url)
        end = offset + page
        rest = end if end < len(text) else None
        return FetchedPage(
            url=final_url, type=kind, text=text[offset:end], offset=offset, next=rest, cut=cut
        )

    return fetch


def _validate(allow: Collection[str], least: float) -> None:
    if isinstance(allow, str) or not allow:
        raise SettingError('fetch_tool: allow names the hosts, for example allow=("example.org",)')
    for host in allow:
        if not isinstance(host, str):
            raise SettingError(f"fetch_tool: {host!r} is not a host; write 'example.org' or '*'")
        if host != "*" and not host.removeprefix("*.").replace("-", "").replace(".", "").isalnum():
            raise SettingError(f"fetch_tool: '{host}' is not a host; write 'example.org' or '*'")
    if least <= 0:
        raise SettingError("fetch_tool: largest, seconds and page must be above 0")


def _fetch(rules: _Rules, url: str) -> tuple[str, str, str, bool]:
    """Final URL, content type, text, and whether it was cut."""
    end = time.monotonic() + rules.seconds
    was_safe = False
    for _ in range(MAX_REDIRECTS + 1):
        target = _allowed_target(rules, url)
        if was_safe and target.scheme == "http":
            raise ValueError(f"{url[:200]}: a redirect leads from https to http; not followed")
        was_safe = target.scheme == "https"
        status, headers, body, cut = _request(rules, target, end)
        if status in _REDIRECTS and "location" in headers:
            url = urljoin(target.url, headers["location"])
            continue
        if status != 200:
            raise ValueError(f"{target.url} answered with status {status}")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise ValueError(f"{target.url} answered packed, though it was asked not to")
        kind, text = response_text(headers.get("content-type", "text/plain"), body, target.url)
        return target.url, kind, text, cut
    raise ValueError(f"{url[:200]}: more than {MAX_REDIRECTS} redirects")


def _allowed_target(rules: _Rules, url: str) -> UrlTarget:
    """The parts of a URL whose host and port are allowed, checked before resolving its name."""
    target = parse_url(url)
    if not rules.host_allowed(target.host):
        known = ", ".join(rules.allow)
        raise ValueError(f"the host '{target.host}' is not allowed; allowed: {known}")
    trusted = {int(address.rpartition(":")[2]) for address in rules.trusted}
    if target.port not in rules.ports | trusted:
        raise _port_error(rules, target)
    return target


def _port_error(rules: _Rules, target: UrlTarget) -> ValueError:
    known = ", ".join(map(str, sorted(rules.ports)))
    return ValueError(f"port {target.port} is not allowed; allowed: {known}")


def _request(
    rules: _Rules, target: UrlTarget, end: float
) -> tuple[int, dict[str, str], bytes, bool]:
    """One request to a checked address: status, headers, body (at most ``largest`` bytes) and
    whether the body was longer."""
    import httpcore2

    resolve, trusted = rules.resolve, rules.trusted
    addresses = resolve_public_addresses(
        target.host, target.port, resolve=resolve, trusted=trusted, end=end
    )
    # The port of a trusted address is allowed there only, not at every allowed host.
    allowed = {f"{address}:{target.port}" for address in addresses} <= trusted
    if target.port not in rules.ports and not allowed:
        raise _port_error(rules, target)
    backend = PinnedBackend(addresses, end)
    left = max(0.001, end - time.monotonic())
    extensions = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), left)}
    body = bytearray()
    try:
        with (
            backend.enforce_deadline(),
            # The backend is one by its methods; importing the base class would slow the start.
            httpcore2.ConnectionPool(network_backend=cast(Any, backend), retries=0) as pool,
            pool.stream("GET", target.url, headers=_HEADERS, extensions=extensions) as response,
        ):
            headers = {
                key.decode("latin-1").lower(): value.decode("latin-1")
                for key, value in response.headers
            }
            for piece in response.iter_stream() if response.status == 200 else ():
                body += piece
                if len(body) > rules.largest:
                    break
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        if time.monotonic() >= end or isinstance(error, httpcore2.TimeoutException):
            raise _timeout_error(rules, target) from error
        raise ValueError(f"{target.url} cannot be fetched: {error}") from error
    # A connection shut down at the deadline looks like one that ended.
    if backend.expired.is_set():
        raise _timeout_error(rules, target)
    return response.status, headers, bytes(body[: rules.largest]), len(body) > rules.largest


def _timeout_error(rules: _Rules, target: UrlTarget) -> TimeoutError:
    return TimeoutError(f"{target.url} took longer than {rules.seconds:g} seconds")
