"""What stands in a name like ``openai:http://127.0.0.1:8000/v1?timeout=60#qwen``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
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

    ``concurrency``: requests open at once at most. ``timeout``: seconds one request may
    take, all its tries together. ``retries``: tries after the first on 408, 409, 429, 5xx
    and lost connections, 0.5 to 8 s apart or as the server says. ``thinking``: whether
    models that can reason before they answer may (their reasoning counts as tokens).
    """

    concurrency: int = 64
    timeout: float = 600.0
    retries: int = 5
    thinking: bool = False


@dataclass(frozen=True, slots=True)
class ServerEndpoint:
    """Where a server is, the model wanted of it (empty: its only one), and the settings."""

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
            f"OPENAI_API_KEY"
        )
    url = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
    return ServerEndpoint(url, parts.fragment, _parse_settings(parts.query))


def _parse_settings(query: str) -> ServerSettings:
    known = {field.name: field.type for field in fields(ServerSettings)}
    given: dict[str, object] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in known:
            hint = did_you_mean(key, known) or f"; there are {', '.join(known)}"
            raise SettingError(f"server setting '{key}' is unknown{hint}")
        given[key] = parse_number(key, value) if key != "thinking" else _parse_yes_no(value)
    checked = ServerSettings(**given)  # type: ignore[arg-type]  # each was read by its type
    if checked.concurrency < 1 or checked.timeout <= 0 or checked.retries < 0:
        raise SettingError(
            "of the server settings concurrency must be at least 1, timeout above 0 and "
            f"retries at least 0; they are {checked.concurrency}, {checked.timeout:g} and "
            f"{checked.retries}"
        )
    return checked


def parse_number(key: str, value: str) -> float:
    """A setting's number; whole but for ``timeout``. Raises SettingError."""
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
# What the SDK takes from the environment by itself and sends to whatever server it is given.
AMBIENT_HEADERS = ("openai-organization", "openai-project")
FRAMING_HEADERS = ("content-type", "content-length", "transfer-encoding", "host", "connection")


class UserModelName(str):
    """A model's name that the user gave: on the command line or in Python.

    A name that was read from a file is a plain ``str`` and no file can make it anything else,
    so the type carries who chose the server from the settings to the connection.
    """


@dataclass(frozen=True, slots=True)
class Credential:
    """The key sent with each request (empty: none), and why one's own is not sent although
    there is one (empty: it is sent, or there is none). ``ambient``: whether the server may get
    the other headers that the SDK takes from the environment."""

    key: str = field(default="", repr=False)
    withheld: str = ""
    ambient: bool = False

    @property
    def remedy(self) -> str:
        """What to do when the server wants a key, or another one."""
        return (
            self.withheld or f"set the environment variable {KEY_VARIABLE} to a key that may use it"
        )


def resolve_credential(url: str, key: str | None = None, *, send_key: bool = True) -> Credential:
    """The credential for a server's address.

    ``key`` is one made for this server; without it the one of OPENAI_API_KEY, which is sent
    when ``send_key`` says that the user chose this server, or where the environment agrees: by
    DENIZENS_KEY_HOSTS, a list of hosts, or by OPENAI_BASE_URL. No key goes over plain http to
    another machine unless DENIZENS_KEY_HOSTS names it with ``http://``. Raises SettingError
    for a ``key`` that would.
    """
    host = urlsplit(url).hostname or ""
    own = (
        key or os.environ.get(KEY_VARIABLE, "")
    ).strip()  # a key read from a file ends in a line break
    own = own.removeprefix("Bearer ").strip()
    if not all(" " < char <= "~" for char in own):
        raise SettingError(
            f"{KEY_VARIABLE if not key else 'the key'} holds blanks, line breaks or characters "
            "that no "
            "key has; copy it anew"
        )
    agreed, plainly = _environment_consent(url)
    private = is_secure(url) or plainly
    if not own:
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
        return Credential(own, ambient=not key)
    return Credential(
        withheld=f"your {KEY_VARIABLE} was not sent, for a file names this server and not you; "
        "agree "
        f"with {HOSTS_VARIABLE}={host}, or name the model yourself where there is --model"
    )


def is_secure(url: str) -> bool:
    """Whether nobody between here and there can read along: https, or this machine.

    >>> is_secure("https://example.org/v1"), is_secure("http://127.0.0.2:8000/v1")
    (True, True)
    >>> is_secure("http://127.0.0.1.example.org/v1"), is_secure("http://10.0.0.5:8000/v1")
    (False, False)
    """
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name or address alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def strip_ambient_headers(headers: Any, bearer: str) -> None:
    """Take out of a request's headers what the SDK put there from the environment, and send
    ``bearer`` as the only credential."""
    for name in (*AMBIENT_HEADERS, *_custom_headers()):
        if name in headers and name not in FRAMING_HEADERS:
            del headers[name]
    headers["authorization"] = f"Bearer {bearer}"


def _custom_headers() -> Iterable[str]:
    lines = os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n")
    return [line.partition(":")[0].strip().lower() for line in lines if ":" in line]


def _environment_consent(url: str) -> tuple[bool, bool]:
    """Whether the environment agrees that this server gets the key, and over plain http."""
    entries = [entry.strip() for entry in os.environ.get(HOSTS_VARIABLE, "").split(",")]
    base = os.environ.get("OPENAI_BASE_URL", "").strip()
    agreed = bool(base) and _origin(base) == _origin(url)
    plainly = False
    for entry in filter(None, entries):
        scheme, mark, rest = entry.rpartition("://")
        if _matches_host(rest.split("/")[0], url) and scheme.lower() in ("", urlsplit(url).scheme):
            agreed = True
            plainly |= bool(mark) and scheme.lower() == "http"
    return agreed, plainly


def _matches_host(entry: str, url: str) -> bool:
    """Whether ``host`` or ``host:port`` is the server's; without a port any port."""
    if re.search(r"[\s;@*]", entry):
        raise SettingError(
            f"{HOSTS_VARIABLE}: '{entry}' is no host or host:port; hosts are divided by commas"
        )
    try:
        wanted, there = urlsplit(f"//{entry}"), urlsplit(url)
        port = wanted.port
    except ValueError as error:
        raise SettingError(
            f"{HOSTS_VARIABLE}: '{entry}' is no host or host:port ({error})"
        ) from error
    return wanted.hostname == there.hostname and port in (None, _origin(url)[2])


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", parts.port or default
