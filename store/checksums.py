"""Checksums, the digest of a hash chain, and reports of damage."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

from ..core import digest_text


@dataclass(frozen=True, slots=True)
class Damage:
    """Damage to a file: ``where`` (table and row), and ``what`` is wrong."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def chain_digest(previous: str, payload: str) -> str:
    """The next link of a hash chain: blake2b (128 bits, hex) of the previous link and a payload.

    A changed, missing or added row breaks every later link. The first link's ``previous`` is the
    empty string.

    >>> one = chain_digest("", "a")
    >>> chain_digest(one, "b") == chain_digest(chain_digest("", "a"), "b")
    True
    >>> chain_digest("", "ab") == chain_digest("a", "b")
    False
    """
    before = previous.encode()
    head = len(before).to_bytes(4, "little")
    return blake2b(head + before + payload.encode(), digest_size=16).hexdigest()


def header_digest(key: str, value: str) -> str:
    """Checksum of a header row."""
    return chain_digest(key, value)


def schema_digest(connection: sqlite3.Connection) -> str:
    """The digest of all table and index definitions."""
    rows = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
    )
    return digest_text("\n".join("\t".join(map(str, row)) for row in rows))


def store_damage(connection: sqlite3.Connection) -> Iterator[Damage]:
    """Damage to the file's structure, its header and its texts."""
    for (line,) in connection.execute("PRAGMA integrity_check(20)"):
        if line != "ok":
            yield Damage("file structure", line)
    for key, value, mark in connection.execute("SELECT key, value, digest FROM header"):
        if not isinstance(value, str) or header_digest(str(key), value) != mark:
            yield Damage(f"header '{key}'", "its checksum does not fit")
    for mark, text in connection.execute("SELECT digest, text FROM texts"):
        if not isinstance(text, str) or digest_text(text) != mark:
            yield Damage(f"text {mark}", "does not hash to its name")
