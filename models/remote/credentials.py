"""Which server one's own key may be sent to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from ...core import SettingError

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
