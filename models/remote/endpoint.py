"""The server that a model name such as ``openai:http://127.0.0.1:8000/v1#qwen`` stands for, its
settings, and whether it may get the user's key."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from ...core import SettingError, did_you_mean

PREFIX = "openai:"
EXAMPLE_WITH_SETTINGS = "openai:http://127.0.0.1:8000/v1?timeout=60#Qwen/Qwen3-8B"
EXAMPLE = "openai:http://127.0.0.1:8000/v1#Qwen/Qwen3-8B"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How a server is used.

    ``concurrency``: the most requests at the same time. ``timeout``: seconds for one request with
    all its retries. ``retries``: on status 408, 409, 429, 5xx and lost connections, 0.5 to 8 s
    apart or as the server says. ``thinking``: whether models may reason before they answer (the
    reasoning counts as tokens).
    """

    concurrency: int = 64
    timeout: float = 600.0
    retries: int = 5
    thinking: bool = False


@dataclass(frozen=True, slots=True)
class ServerEndpoint:
    """A server's base URL, the requested model (empty: the server's only one), and settings."""

    url: str
    model: str
    settings: ServerSettings

    def __str__(self) -> str:
        return f"{PREFIX}{self.url}" + (f"#{self.model}" if self.model else "")


def parse_endpoint(name: str) -> ServerEndpoint:
    """Parse ``openai:URL[?setting=value&...][#model]``. Raises SettingError.

    >>> parse_endpoint("openai:http://localhost:8000/v1?timeout=60#qwen").settings.timeout
    60.0
    >>> print(parse_endpoint("openai:http://localhost:8000/v1/?timeout=60#qwen"))
    openai:http://localhost:8000/v1#qwen
    """
    try:
        parts = urlsplit(name.removeprefix(PREFIX))
        _ = parts.port
    except ValueError as error:
        raise SettingError(f"model '{name}': {error}; write it like {EXAMPLE}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingError(f"model '{name}' names no server; write it like {EXAMPLE}")
    if parts.username or parts.password:
        raise SettingError(
            f"model 'openai:...@{parts.hostname}' holds a password, which runs would record; "
            "put the key into the environment variable OPENAI_API_KEY"
        )
    if "?" in parts.fragment:
        raise SettingError(
            f"model '{PREFIX}...#{parts.fragment.partition('?')[0]}?...': settings stand before "
            f"the #, as in {EXAMPLE_WITH_SETTINGS}; a key belongs into the environment variable "
            "OPENAI_API_KEY"
        )
    url = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
    return ServerEndpoint(url, parts.fragment, _parse_settings(parts.query))


def _parse_settings(query: str) -> ServerSettings:
    names = [field.name for field in fields(ServerSettings)]
    values: dict[str, object] = {
        key: parse_number(key, value) if key != "thinking" else _parse_yes_no(value)
        for key, value in iter_settings(query, names, "server")
    }
    settings = ServerSettings(**values)  # type: ignore[arg-type]  # each value has its field's type
    if settings.concurrency < 1 or settings.timeout <= 0 or settings.retries < 0:
        raise SettingError(
            "of the server settings concurrency must be at least 1, timeout above 0 and "
            f"retries at least 0; they are {settings.concurrency}, {settings.timeout:g} and "
            f"{settings.retries}"
        )
    return settings


def iter_settings(query: str, names: Sequence[str], owner: str) -> Iterator[tuple[str, str]]:
    """The settings in a URL's query. Raises SettingError for one that ``owner`` does not have."""
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in names:
            hint = did_you_mean(key, names) or f"; there are {', '.join(names)}"
            raise SettingError(f"{owner} setting '{key}' is unknown{hint}")
        yield key, value


def parse_number(key: str, value: str) -> float:
    """The value of a numeric setting, an integer except for ``timeout``. Raises SettingError."""
    try:
        return float(value) if key == "timeout" else int(value)
    except ValueError:
        raise SettingError(f"setting {key}={value} must be a number") from None


def _parse_yes_no(value: str) -> bool:
    if value not in ("yes", "no"):
        raise SettingError(f"server setting thinking={value} must be yes or no")
    return value == "yes"


KEY_VARIABLE = "OPENAI_API_KEY"
HOSTS_VARIABLE = "DENIZENS_KEY_HOSTS"
# Headers that the SDK takes from the environment and sends to every server.
AMBIENT_HEADERS = ("openai-organization", "openai-project")
FRAMING_HEADERS = ("content-type", "content-length", "transfer-encoding", "host", "connection")


class UserModelName(str):
    """A model name that the user gave, on the command line or in Python.

    A name read from a file is a plain ``str``. The type therefore tells, down to the connection,
    whether the user or a file chose the server.
    """


@dataclass(frozen=True, slots=True)
class Credential:
    """The key sent with each request; empty for none.

    ``withheld`` says why the user's key is not sent; empty where it is sent or there is none.
    ``ambient``: whether the server gets the other headers that the SDK takes from the environment.
    """

    key: str = field(default="", repr=False)
    withheld: str = ""
    ambient: bool = False

    @property
    def remedy(self) -> str:
        """What the user can do when the server demands a key, or another one."""
        return (
            self.withheld or f"set the environment variable {KEY_VARIABLE} to a key that may use it"
        )


def resolve_credential(url: str, key: str | None = None, *, send_key: bool = True) -> Credential:
    """The credential for a server.

    ``key`` is a key for this server. Without it the key is that of OPENAI_API_KEY, which is sent
    where ``send_key`` says that the user chose this server, or where the environment allows it:
    DENIZENS_KEY_HOSTS, a list of hosts, or OPENAI_BASE_URL. No key is sent over plain http to
    another machine unless DENIZENS_KEY_HOSTS names it with ``http://``; with ``key`` SettingError
    is raised instead.
    """
    host = urlsplit(url).hostname or ""
    # A key read from a file ends in a line break.
    secret = (key or os.environ.get(KEY_VARIABLE, "")).strip()
    secret = secret.removeprefix("Bearer ").strip()
    if not all(" " < character <= "~" for character in secret):
        raise SettingError(
            f"{KEY_VARIABLE if not key else 'the key'} holds blanks, line breaks or characters "
            "that no key has; copy it again"
        )
    agreed, allows_http = _environment_consent(url)
    private = is_secure(url) or allows_http
    if not secret:
        return Credential(ambient=private and (send_key or agreed))
    if not private:
        withheld = (
            f"no key is sent over plain http to another machine ({host}); use https, or agree "
            f"with {HOSTS_VARIABLE}=http://{host}"
        )
        if key:
            raise SettingError(f"{url}: {withheld}")
        return Credential(withheld=withheld)
    if key or send_key or agreed:
        return Credential(secret, ambient=not key)
    return Credential(
        withheld=f"your {KEY_VARIABLE} was not sent, because a file chose this server; "
        f"allow it with {HOSTS_VARIABLE}={host}, or give the model name yourself (--model)"
    )


def is_secure(url: str) -> bool:
    """Whether nobody can read the connection: https, or a server on this machine.

    >>> is_secure("https://example.org/v1"), is_secure("http://127.0.0.2:8000/v1")
    (True, True)
    >>> is_secure("http://127.0.0.1.example.org/v1"), is_secure("http://10.0.0.5:8000/v1")
    (False, False)
    """
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, judged by its name or address without a DNS query."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def strip_ambient_headers(headers: Any, bearer: str) -> None:
    """Remove the headers that the SDK took from the environment, and set ``bearer`` as the only
    credential."""
    for name in (*AMBIENT_HEADERS, *_custom_headers()):
        if name in headers and name not in FRAMING_HEADERS:
            del headers[name]
    headers["authorization"] = f"Bearer {bearer}"


def _custom_headers() -> Iterable[str]:
    lines = os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n")
    return [line.partition(":")[0].strip().lower() for line in lines if ":" in line]


def _environment_consent(url: str) -> tuple[bool, bool]:
    """Whether the environment allows sending the key to this server, and over plain http."""
    entries = [entry.strip() for entry in os.environ.get(HOSTS_VARIABLE, "").split(",")]
    base = os.environ.get("OPENAI_BASE_URL", "").strip()
    agreed = bool(base) and _origin(base) == _origin(url)
    allows_http = False
    for entry in filter(None, entries):
        scheme, separator, rest = entry.rpartition("://")
        if _matches_host(rest.split("/")[0], url) and scheme.lower() in ("", urlsplit(url).scheme):
            agreed = True
            allows_http |= bool(separator) and scheme.lower() == "http"
    return agreed, allows_http


def _matches_host(entry: str, url: str) -> bool:
    """Whether ``host`` or ``host:port`` matches a server's URL; without a port any port does."""
    if re.search(r"[\s;@*]", entry):
        raise SettingError(
            f"{HOSTS_VARIABLE}: '{entry}' is no host or host:port; separate hosts by commas"
        )
    try:
        allowed, server = urlsplit(f"//{entry}"), urlsplit(url)
        port = allowed.port
    except ValueError as error:
        raise SettingError(
            f"{HOSTS_VARIABLE}: '{entry}' is no host or host:port ({error})"
        ) from error
    return allowed.hostname == server.hostname and port in (None, _origin(url)[2])


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", parts.port or default
