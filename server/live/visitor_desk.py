"""Who may act for which person in a live town: a secret for each person who walked in."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Collection

from ...core import AgentId, DenizensError, SettingError, normalize_name, same_name

MAX_PEOPLE = 16
"""People who may be in the town at a time."""


class NotThisPerson(DenizensError):
    """The secret of a request is not that of the person."""


class VisitorDesk:
    """The secrets of people, for as long as the server runs. Thread-safe.

    Whoever enters under a name gets its secret, and alone may act under that name until the person
    leaves; a person whose secret nobody holds (the server was started anew) may be taken over."""

    def __init__(self) -> None:
        self._secrets: dict[AgentId, tuple[str, str]] = {}
        self._leaving: set[AgentId] = set()
        self._lock = threading.Lock()

    def enter(self, name: str, present: Collection[AgentId], key: str = "") -> tuple[AgentId, str]:
        """Reserve a name for a caller with an API key; returns the name's normal form and the
        secret. ``present`` are the people in the town. Raises SettingError for a name in use, and
        where too many people are there."""
        name = normalize_name(name)
        with self._lock:
            for gone in self._leaving.difference(present):
                self._leaving.discard(gone)
                self._secrets.pop(gone, None)
            taken = {*self._secrets, *(other for other in present if other != name)}
            if any(same_name(name, other) for other in taken):
                raise SettingError(f"'{name}' is already in the town; choose another name")
            if len(self._secrets) >= MAX_PEOPLE:
                raise SettingError(f"{MAX_PEOPLE} people are in the town already; come back later")
            secret = secrets.token_urlsafe(24)
            self._secrets[name] = (secret, key)
        return name, secret

    def check(self, name: str, secret: str, key: str = "") -> AgentId:
        """The person that a request acts for. Raises NotThisPerson."""
        name = normalize_name(name)
        with self._lock:
            known, owner = self._secrets.get(name, ("", ""))
        fits = hmac.compare_digest(known.encode(), secret.encode("utf-8", "replace"))
        if not known or not fits or owner != key:
            raise NotThisPerson(f"'{name}' is not you, or has left; walk in first")
        return name

    def start_leaving(self, name: AgentId) -> None:
        """Give a name back as soon as the person is gone."""
        with self._lock:
            self._leaving.add(name)

    def release(self, name: AgentId) -> None:
        """Give a name back at once: the person could not enter."""
        with self._lock:
            self._secrets.pop(name, None)
