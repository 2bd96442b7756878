"""Checks of IP addresses and URLs against server-side request forgery (SSRF)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

Address: TypeAlias = IPv4Address | IPv6Address

MAX_URL_CHARS = 2_000
_PORTS = {"http": 80, "https": 443}
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
# Names that resolvers answer themselves, or that belong to the local network.
_LOCAL = re.compile(
    r"(.+\.)?(localhost|local|localdomain|internal|intranet|lan|home|corp|home\.arpa|onion|invalid)"
)

# From IANA's special-purpose address registries: every range that is not public, or that embeds
# another address, which would need a check of its own.
_REFUSED_4 = {
    "0.0.0.0/8": "unspecified, this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "shared by a carrier's customers",
    "127.0.0.0/8": "loopback",
    "168.63.129.16/32": "a cloud's own service",
    "169.254.0.0/16": "link-local, a cloud's metadata",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "reserved",
    "192.0.2.0/24": "documentation",
    "192.31.196.0/24": "reserved",
    "192.52.193.0/24": "reserved",
    "192.88.99.0/24": "a 6to4 relay",
    "192.168.0.0/16": "private",
    "192.175.48.0/24": "reserved",
    "198.18.0.0/15": "benchmarks",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved, broadcast",
}
_REFUSED_6 = {
    "::/96": "unspecified, loopback, IPv4-compatible",
    "::ffff:0:0/96": "IPv4-mapped",
    "::ffff:0:0:0/96": "IPv4-translated",
    "64:ff9b::/96": "NAT64",
    "64:ff9b:1::/48": "NAT64 of a local network",
    "100::/64": "discarded",
    "100:0:0:1::/64": "reserved",
    "2001::/23": "Teredo, ORCHID and other special purposes",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",
    "2620:4f:8000::/48": "reserved",
    "3fff::/20": "documentation",
    "5f00::/16": "segment routing",
    "fc00::/7": "private (unique local), a cloud's metadata",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}
_RANGES_4 = [(ip_network(text), why) for text, why in _REFUSED_4.items()]
_RANGES_6 = [(ip_network(text), why) for text, why in _REFUSED_6.items()]
_GLOBAL_6 = ip_network("2000::/3")


def refusal_reason(address: str) -> str:
    """Why an address, as written by the resolver, is not public; empty if it is.

    >>> refusal_reason("93.184.215.14"), refusal_reason("169.254.169.254")
    ('', "169.254.169.254 is link-local, a cloud's metadata")
    >>> refusal_reason("::ffff:127.0.0.1")
    '::ffff:127.0.0.1 is IPv4-mapped'
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return f"'{address}' is not a plain address"
    if isinstance(ip, IPv6Address) and ip.scope_id is not None:
        return f"{address} is of one network card"
    ranges = _RANGES_4 if isinstance(ip, IPv4Address) else _RANGES_6
    for network, why in ranges:
        if ip in network:
            return f"{address} is {why}"
    if isinstance(ip, IPv6Address):
        if ip not in _GLOBAL_6:
            return f"{address} is not of the public part of IPv6"
        # ISATAP embeds an IPv4 address after this interface identifier in any prefix.
        if (int(ip) >> 32) & 0xFCFFFFFF == 0x00005EFE:
            return f"{address} is ISATAP"
    # Python's own lists of IANA's registries as a second check.
    return "" if ip.is_global and not ip.is_multicast else f"{address} is not public"


@dataclass(frozen=True, slots=True)
class UrlTarget:
    """The parts of a valid http(s) URL."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """The URL in normal form."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"


def parse_url(url: str) -> UrlTarget:
    """The parts of a URL. Raises ValueError if it is not http or https, if parsers could read it
    differently, or if it contains credentials."""
    if len(url) > MAX_URL_CHARS:
        raise ValueError(f"the URL has {len(url)} characters, more than {MAX_URL_CHARS}")
    if not url.isascii() or re.search(r"[\x00-\x20\x7f\\<>\"^`{|}]", url):
        raise ValueError(
            f"'{url[:80]}' holds a space, a backslash or another letter that no URL has; "
            "write such letters as %20, and a host's name in its xn-- form"
        )
    if not re.match(r"https?://[^/?#]", url, re.IGNORECASE):
        raise ValueError(f"'{url[:80]}' is not fetched; write http:// or https:// and a host")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"'{url[:80]}' is not a URL: {error}") from error
    if "@" in parts.netloc:
        raise ValueError(f"'{url[:80]}' holds a name before '@'; credentials are not sent")
    if port is None and parts.netloc.endswith(":"):
        raise ValueError(f"'{url[:80]}' has a colon and no port")
    host = _host(parts)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return UrlTarget(parts.scheme, host, _PORTS[parts.scheme] if port is None else port, path)


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").lower()
    if parts.netloc.startswith("["):
        try:
            return str(IPv6Address(host))
        except ValueError as error:
            raise ValueError(f"'[{host}]' is not an IPv6 address: {error}") from error
    if len(host) > 253 or not host or not all(map(_LABEL.fullmatch, host.split("."))):
        raise ValueError(f"'{host[:80]}' is not the name of a host")
    # Browsers and C libraries read 0x7f.1, 017700000001 and 2130706433 as addresses.
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            return str(IPv4Address(host))
        except ValueError as error:
            raise ValueError(f"'{host}' is no plain IPv4 address: four numbers are") from error
    if _LOCAL.fullmatch(host):
        raise ValueError(f"'{host}' is a name of the local network")
    if "." not in host:
        raise ValueError(f"'{host}' has no dot; a public host's name has one")
    return host
