"""The settings of a web server: its limits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HostingSettings:
    """Limits of a server. ``max_body`` is in bytes, ``deadline`` in seconds."""

    host: str = "127.0.0.1"
    port: int = 8000
    max_body: int = 1_000_000
    max_messages: int = 256
    max_tokens: int = 2_048
    max_schema_depth: int = 16
    queue: int = 32
    concurrent: int = 64
    deadline: float = 300.0
