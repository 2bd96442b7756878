"""API keys: a file that keeps their hashes, never the keys.

A key has 256 random bits, so a plain SHA-256 cannot be reversed, and none can be guessed: a slow
hash would only make each request slower.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path

from ...core import DenizensError, SettingError, atomic_path, read_text_file, validate_person_name

_PREFIX = "dz-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An entry of a file of keys. ``person``: the only one that the key speaks for; empty for an
    application's key, which names persons. ``hash`` is hexadecimal."""

    name: str
    person: str
    hash: str
    created: str


def hash_key(key: str) -> str:
    """The hash of a key as a file of keys has it."""
    return sha256(b"denizens api key\0" + key.encode("utf-8", "surrogatepass")).hexdigest()


class ApiKeys:
    """The keys of a file, which is read again when it changes, so that a key can be withdrawn
    while the server runs.

    Raises SettingError for a file that is missing, damaged, or readable by others.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, ...] = ()
        self._keys = self._read()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the keys."""
        return tuple(key.name for key in self._keys)

    @property
    def people(self) -> dict[str, str]:
        """The persons that keys are bound to, with the names of these keys."""
        self._refresh()
        return {key.person: key.name for key in self._keys if key.person}

    def find(self, key: str) -> ApiKey | None:
        """The entry of a key, or None. Takes as long for every key that is not there."""
        self._refresh()
        wanted, match = hash_key(key), None
        for entry in self._keys:
            if compare_digest(entry.hash, wanted):
                match = entry
        return match

    def _refresh(self) -> None:
        try:
            if _stamp(self._path) != self._stamp:
                self._keys = self._read()
        except (OSError, DenizensError):
            self._keys, self._stamp = (), ()  # whom it let in is not known any more

    def _read(self) -> tuple[ApiKey, ...]:
        try:
            self._stamp = _stamp(self._path)
        except OSError as error:
            raise SettingError(
                f"{self._path}: no file of API keys ({error.strerror}); make one with --keys "
                f"{self._path} --new-key NAME"
            ) from error
        return _read_keys(self._path)


def add_key(path: Path, name: str, person: str = "") -> str:
    """Add a key to a file, which is made if it is missing; returns the key, which is stored
    nowhere. Raises SettingError for an invalid name or person, or one that is taken."""
    if not _NAME.fullmatch(name):
        raise SettingError(
            f"--new-key: '{name}' must be up to 64 letters, digits, '.', '_' and '-', and begin "
            "with a letter or digit"
        )
    person = validate_person_name("--person", person) if person else ""
    with _locked(path):
        keys = _read_keys(path) if path.exists() else ()
        if any(entry.name == name for entry in keys):
            raise SettingError(f"{path}: has a key '{name}'; withdraw it with --revoke-key {name}")
        key = _PREFIX + secrets.token_urlsafe(32)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        _write_keys(path, (*keys, ApiKey(name, person, hash_key(key), created)))
    return key


def revoke_key(path: Path, name: str) -> None:
    """Remove a key from a file. Raises SettingError if it is not there."""
    with _locked(path):
        keys = _read_keys(path)
        left = tuple(entry for entry in keys if entry.name != name)
        if left == keys:
            known = ", ".join(entry.name for entry in keys) or "none"
            raise SettingError(f"{path}: has no key '{name}'; its keys: {known}")
        _write_keys(path, left)


def _stamp(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read_keys(path: Path) -> tuple[ApiKey, ...]:
    mode = path.stat().st_mode if path.exists() else 0
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingError(f"{path}: other users can open the file of keys; chmod 600 {path}")
    text = read_text_file(path)
    try:
        keys = tuple(ApiKey(**entry) for entry in json.loads(text)["keys"])
        if not all(isinstance(value, str) for key in keys for value in asdict(key).values()):
            raise TypeError("a value is no text")
    except (ValueError, TypeError, KeyError) as error:
        raise SettingError(
            f"{path}: is no file of API keys ({error}); make a new one with --new-key"
        ) from error
    return keys


def _write_keys(path: Path, keys: tuple[ApiKey, ...]) -> None:
    body = json.dumps({"keys": [asdict(key) for key in keys]}, ensure_ascii=False, indent=1)
    with atomic_path(path) as part:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(body + "\n")


class _locked:
    """Holds a lock file beside ``path``, so that no two writers lose each other's key."""

    def __init__(self, path: Path) -> None:
        self._lock = path.with_name(f"{path.name}.lock")

    def __enter__(self) -> None:
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(self._lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError as error:
            raise SettingError(
                f"{self._lock}: another process changes the keys; if none does, remove this file"
            ) from error

    def __exit__(self, *failure: object) -> None:
        self._lock.unlink(missing_ok=True)
