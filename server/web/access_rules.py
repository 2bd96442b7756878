"""Who may send a request at all: the host it names, the page it comes from, its API key."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from ..hosting import AccessDenied, Caller, HostingState

Headers = dict[bytes, bytes]
"""A request's headers by their names in lower case; of several with one name the last."""

OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/favicon.ico"})
OPEN_PREFIXES = ("/page/", "/live/page.")
"""What anybody may get: that the server lives, and pages, which have no content of their own."""

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


def is_open(method: str, path: str) -> bool:
    """Whether a request needs no API key."""
    if method not in ("GET", "HEAD"):
        return False
    return path in OPEN_PATHS or (path.startswith(OPEN_PREFIXES) and ".." not in path)


class AccessRules:
    """The checks of a server, before anything of a request but its headers is read."""

    def __init__(self, hosting: HostingState) -> None:
        self._hosting = hosting
        settings = hosting.settings
        names = {settings.host.strip("[]").lower(), *map(str.lower, settings.host_names)}
        self._names = {*names, *_LOOPBACK_NAMES} if settings.is_loopback else names
        # A page that rebinds its name to this machine sends that name, never an address.
        self._any_address = _is_unspecified(settings.host)
        self.origins = frozenset(origin.rstrip("/").lower() for origin in settings.origins)

    def caller(self, method: str, path: str, headers: Headers) -> Caller | None:
        """The caller; None on an open path. Raises AccessDenied: 403 for a foreign host or page,
        401 without a valid key."""
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if not self._is_own_host(host):
            raise AccessDenied(403, "this server has another name; serve it with --name HOST")
        origin = headers.get(b"origin")
        if origin is not None and not self.is_own_page(origin.decode("latin-1"), host):
            raise AccessDenied(403, "pages of other servers may not use this one (--origin URL)")
        cross_site = headers.get(b"sec-fetch-site") == b"cross-site" and origin is None
        if cross_site and headers.get(b"sec-fetch-mode") != b"navigate":
            raise AccessDenied(403, "pages of other servers may not use this one (--origin URL)")
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        caller = self._hosting.caller(authorization)
        if caller is None and not is_open(method, path):
            if not authorization:
                raise AccessDenied(401, "an API key is needed: Authorization: Bearer KEY")
            raise AccessDenied(401, "the API key is not valid")
        return caller

    def _is_own_host(self, host: str) -> bool:
        name = _host_name(host)
        return name in self._names or (self._any_address and _is_address(name))

    def is_own_page(self, origin: str, host: str) -> bool:
        """Whether a page of ``origin`` may use the server that it addresses as ``host``."""
        origin = origin.rstrip("/").lower()
        return origin in self.origins or (bool(host) and urlsplit(origin).netloc == host)


def lower_headers(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The headers of a scope by name. Two of one name that decides on access (as two ``Host``)
    are joined, so that neither counts."""
    headers: Headers = {}
    for name, value in raw:
        twice = name in (b"host", b"origin", b"authorization") and name in headers
        headers[name] = headers[name] + b", " + value if twice else value
    return headers


def _host_name(host: str) -> str:
    """The name or address of a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_unspecified(host: str) -> bool:
    return _is_address(host.strip("[]")) and ip_address(host.strip("[]")).is_unspecified
