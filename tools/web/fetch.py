"""Fetching a page: only from hosts on a list, only at public addresses, in bounds."""

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
_MOVED = (301, 302, 303, 307, 308)


class FetchedPage(TypedDict):
    """What a URL answered: where it was found in the end, its kind, and its text from
    character ``offset`` on; ``next`` is where the rest begins (None: nothing is left), and
    ``cut`` tells that the page was larger than is read."""

    url: str
    type: str
    text: str
    offset: int
    next: int | None
    cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rules:
    """What one ``fetch`` tool may do."""

    allow: tuple[str, ...]
    ports: frozenset[int]
    largest: int
    seconds: float
    resolve: Resolver
    trusted: frozenset[str]

    def host_allowed(self, host: str) -> bool:
        return any(
            one in ("*", host) or (one.startswith("*.") and host.endswith(one[1:]))
            for one in self.allow
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
    """The tool ``fetch``, for the hosts of ``allow``: "example.org" is that host alone,
    "*.example.org" what lies below it, "*" any (then the tool ``acts``: a URL can carry
    words to anybody).

    A host is resolved once; every address of it must be public, and the connection goes to
    the very address that was checked. Redirects are checked alike. ``largest`` bounds the
    bytes read, ``seconds`` the whole call however slowly bytes come, ``page`` the characters
    that one call returns. ``trusted`` addresses ("10.0.0.7:8080") are let through although
    they are not public: for a service of one's own, and for tests. Raises SettingError for
    settings that allow nothing, or without the library (``pip install denizens[fetch]``).
    """
    _refuse(allow, min(largest, seconds, page))
    if isinstance(trusted, str) or not all(isinstance(one, str) and one for one in trusted):
        raise SettingError(f"fetcher: trusted is {trusted!r}; give a list such as ['10.0.0.7:80']")
    try:
        import httpcore2  # noqa: F401
    except ImportError as error:
        raise SettingError(
            "fetcher: httpcore2 is not installed; pip install denizens[fetch]"
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
        found, kind, text, cut = _fetched(rules, url)
        end = offset + page
        rest = end if end < len(text) else None
        return FetchedPage(
            url=found, type=kind, text=text[offset:end], offset=offset, next=rest, cut=cut
        )

    return fetch


def _refuse(allow: Collection[str], least: float) -> None:
    """Raises SettingError for settings that allow nothing."""
    if isinstance(allow, str) or not allow:
        raise SettingError('fetcher: allow names the hosts, for example allow=("example.org",)')
    for host in allow:
        if not isinstance(host, str):
            raise SettingError(f"fetcher: {host!r} is not a host; write 'example.org' or '*'")
        if host != "*" and not host.removeprefix("*.").replace("-", "").replace(".", "").isalnum():
            raise SettingError(f"fetcher: '{host}' is not a host; write 'example.org' or '*'")
    if least <= 0:
        raise SettingError("fetcher: largest, seconds and page must be above 0")


def _fetched(rules: _Rules, url: str) -> tuple[str, str, str, bool]:
    """The final URL, the kind, the text, and whether it was cut."""
    end = time.monotonic() + rules.seconds
    was_safe = False
    for _ in range(MAX_REDIRECTS + 1):
        target = _checked(rules, url)
        if was_safe and target.scheme == "http":
            raise ValueError(f"{url[:200]}: a redirect leads from https to http; not followed")
        was_safe = target.scheme == "https"
        status, headers, body, cut = _asked(rules, target, end)
        if status in _MOVED and "location" in headers:
            url = urljoin(target.url, headers["location"])
            continue
        if status != 200:
            raise ValueError(f"{target.url} answered with status {status}")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise ValueError(f"{target.url} answered packed, though it was asked not to")
        kind, text = response_text(headers.get("content-type", "text/plain"), body, target.url)
        return target.url, kind, text, cut
    raise ValueError(f"{url[:200]}: more than {MAX_REDIRECTS} redirects")


def _checked(rules: _Rules, url: str) -> UrlTarget:
    """The URL's parts, once its host and port are allowed; nothing is resolved before."""
    target = parse_url(url)
    if not rules.host_allowed(target.host):
        known = ", ".join(rules.allow)
        raise ValueError(f"the host '{target.host}' is not allowed; allowed: {known}")
    trusted = {int(one.rpartition(":")[2]) for one in rules.trusted}
    if target.port not in rules.ports | trusted:
        raise _no_port(rules, target)
    return target


def _no_port(rules: _Rules, target: UrlTarget) -> ValueError:
    known = ", ".join(map(str, sorted(rules.ports)))
    return ValueError(f"port {target.port} is not allowed; allowed: {known}")


def _asked(rules: _Rules, target: UrlTarget, end: float) -> tuple[int, dict[str, str], bytes, bool]:
    """One request to one checked address: status, headers, body (at most ``largest`` bytes)
    and whether there was more."""
    import httpcore2

    resolve, trusted = rules.resolve, rules.trusted
    found = resolve_public_addresses(
        target.host, target.port, resolve=resolve, trusted=trusted, end=end
    )
    # The port of a trusted address is open there alone, not at every allowed host.
    if target.port not in rules.ports and not {f"{a}:{target.port}" for a in found} <= trusted:
        raise _no_port(rules, target)
    backend = PinnedBackend(found, end)
    left = max(0.001, end - time.monotonic())
    extensions = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), left)}
    body = bytearray()
    try:
        with (
            backend.enforce_deadline(),
            # The backend is one by its methods: importing its base class would cost start-up.
            httpcore2.ConnectionPool(network_backend=cast(Any, backend), retries=0) as pool,
            pool.stream(
                "GET",
                target.url,
                headers=_HEADERS,
                extensions=extensions,
            ) as answer,
        ):
            headers = {
                key.decode("latin-1").lower(): value.decode("latin-1")
                for key, value in answer.headers
            }
            for piece in answer.iter_stream() if answer.status == 200 else ():
                body += piece
                if len(body) > rules.largest:
                    break
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        if time.monotonic() >= end or isinstance(error, httpcore2.TimeoutException):
            raise _too_slow(rules, target) from error
        raise ValueError(f"{target.url} cannot be fetched: {error}") from error
    # A connection shut down when time was up looks like one that ended.
    if backend.expired.is_set():
        raise _too_slow(rules, target)
    return answer.status, headers, bytes(body[: rules.largest]), len(body) > rules.largest


def _too_slow(rules: _Rules, target: UrlTarget) -> TimeoutError:
    return TimeoutError(f"{target.url} took longer than {rules.seconds:g} seconds")
