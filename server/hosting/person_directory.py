"""Which API key a person belongs to."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path

from ...core import SettingError, read_text_file
from ...core.text import fold_name


class PersonDirectory:
    """The persons that API keys have named, each with the name of the first key that did.

    ``path``: the file that keeps them (None: in RAM), of one line a person, with a salted hash
    instead of the name, so that a person who is erased is not named here. ``agents`` are names
    that no person may have; ``bound`` returns the persons that keys are bound to.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        agents: Iterable[str] = (),
        bound: Callable[[], dict[str, str]] = dict,
    ) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._agents = {_fold(agent) for agent in agents}
        self._bound = bound
        self._owners: dict[str, str] = {}
        self._salt = secrets.token_bytes(16)
        if path is not None:
            self._open(path)

    def _open(self, path: Path) -> None:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(f"salt {self._salt.hex()}\n")
            return
        text = read_text_file(path)
        lines = text.split("\n")
        try:
            word, salt = lines[0].split(" ")
            if word != "salt":
                raise ValueError("its first line has no salt")
            self._salt = bytes.fromhex(salt)
            for line in lines[1:-1]:
                digest, key = line.split(" ")
                self._owners.setdefault(digest, key)
        except ValueError as error:
            raise SettingError(
                f"{path}: does not say which key a person belongs to ({error}); restore it, or "
                "move it away to let persons be named anew"
            ) from error
        if lines[-1]:  # a line that was cut off by a crash: nobody was told that it was kept
            with path.open("r+b") as cut:
                cut.truncate(len(text.encode()) - len(lines[-1].encode()))

    def is_agent(self, person: str) -> bool:
        """Whether an agent of the server has that name."""
        return _fold(person) in self._agents

    def owner(self, person: str) -> str | None:
        """The name of the key that a person belongs to; None if no key has named it yet."""
        for bound, key in self._bound().items():
            if _fold(bound) == _fold(person):
                return key
        return self._owners.get(self._digest(person))

    def claim(self, person: str, key: str) -> bool:
        """Let a person belong to a key, unless it belongs to another: then False."""
        with self._lock:
            owner = self.owner(person)
            if owner is None:
                self._append(self._digest(person), key)
            return owner in (None, key)

    def _append(self, digest: str, key: str) -> None:
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{digest} {key}\n")
                file.flush()
                os.fsync(file.fileno())
        self._owners[digest] = key

    def _digest(self, person: str) -> str:
        return blake2b(_fold(person).encode(), key=self._salt, digest_size=16).hexdigest()


def _fold(name: str) -> str:
    """The form in which names of persons are compared."""
    return fold_name(name)
