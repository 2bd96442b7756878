"""The settings of a web server: its address and its limits."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from ...core import SettingError
from ...models.remote import is_loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class HostingSettings:
    """The address and the limits of a server.

    Sizes are in bytes (``max_body``, ``max_header``) and tokens (``max_tokens``: of one answer),
    times in seconds. ``max_depth`` is that of a request's JSON, ``max_schema_depth`` that of a
    JSON schema in it.

    ``concurrent`` requests are answered at once and ``queue`` more may wait, of each API key
    together ``key_concurrent``; ``requests_per_minute`` bounds each key (0: no bound) after a
    burst of ``burst``. A request is ended after ``deadline``; its body must arrive within
    ``body_timeout``, its headers within ``header_timeout``. A client that does not take up what it
    is sent for ``write_timeout`` is cut off. ``grace`` is how long a server that stops waits for
    the replies in progress.

    ``keys`` is the file of API keys; without one only this machine is served. ``people`` is the
    file that keeps which key a person belongs to (None: in RAM). ``host_names`` are further names
    by which clients may address the server, ``origins`` the web pages of other servers that may
    use it. ``log_text``: failures are logged with their messages, which may quote prompts.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    max_body: int = 1_000_000
    max_header: int = 32_768
    max_depth: int = 64
    max_messages: int = 256
    max_tokens: int = 2_048
    max_schema_depth: int = 16
    queue: int = 32
    concurrent: int = 64
    key_concurrent: int = 64
    requests_per_minute: int = 600
    burst: int = 120
    deadline: float = 300.0
    body_timeout: float = 30.0
    header_timeout: float = 20.0
    write_timeout: float = 30.0
    grace: float = 20.0
    keys: Path | None = None
    people: Path | None = None
    host_names: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    log_text: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            number = getattr(self, field.name)
            if isinstance(number, int | float) and number < _LEAST.get(field.name, 0):
                raise SettingError(
                    f"serve: {field.name} must be at least {_LEAST.get(field.name, 0)}, "
                    f"not {number}"
                )
        if "*" in self.origins:
            raise SettingError("serve: origin '*' would let every web page in; name the pages")

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this machine can reach the address."""
        return is_loopback(self.host.strip("[]"))

    def require_keys(self) -> None:
        """Raises SettingError for an address that others can reach without a key."""
        if self.keys is None and not self.is_loopback:
            raise SettingError(
                f"serve: {self.host} can be reached from other machines, and no API key is set; "
                "make one with --keys FILE --new-key NAME and serve with --keys FILE, or leave "
                "--host out"
            )


_LEAST = {
    "max_body": 1_000,
    "max_header": 1_024,
    "max_depth": 1,
    "max_messages": 1,
    "max_tokens": 1,
    "max_schema_depth": 1,
    "concurrent": 1,
    "key_concurrent": 1,
    "burst": 1,
    "deadline": 0.01,
    "body_timeout": 0.01,
    "header_timeout": 0.01,
    "write_timeout": 0.01,
}
"""The least value of a setting, if it is not 0."""
