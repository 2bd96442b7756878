"""What stands in a name like ``openai:http://127.0.0.1:8000/v1?timeout=60#qwen``."""

from __future__ import annotations

from dataclasses import dataclass, fields
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
