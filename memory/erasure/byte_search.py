"""Searching a file's bytes for erased texts: the proof of an erasure."""

from __future__ import annotations

import mmap
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from json.encoder import encode_basestring, encode_basestring_ascii
from pathlib import Path

from ...core import Approval, ApprovalRequest, Record, ToolResult, Utterance
from ...store import Store, wal_path
from ..storage import PersonMatcher
from .text_columns import DERIVED_COLUMNS, TEXT_COLUMNS

CHUNK_BYTES = 200
"""Bytes of a long text searched for at a time."""
SHORT_TEXT = 12
"""Texts of fewer characters are searched for as whole JSON strings: as bytes alone they occur by
chance in digests and embeddings."""
_FIELDS = frozenset(
    one.name
    for form in (Record, ApprovalRequest, Approval, ToolResult, Utterance)
    for one in fields(form)
)
"""Field names that every file has; a tool's argument may have the same name."""
_WINDOW_BYTES = 48
_CONTEXT = 16
_BLANK = rb"(?:\s|\xc2\xa0|\xe3\x80\x80|\xe2\x80[\x80-\x8a]|\\[nrt]|\\u00a0|\\u3000)+"
_BLANK_16 = rb"(?:[\t\n\r \xa0]\x00|\x00\x30)+"


def search_texts(path: Path, texts: Collection[str], kept: Sequence[str]) -> tuple[int, int, int]:
    """How many erased texts were searched for in a file and its log, how many are still there, and
    how many are in kept texts too."""
    wanted = {text for text in texts if text}
    said = "\n".join(kept)
    whole = {*kept, *_FIELDS}
    shared = {text for text in wanted if (text in whole if _short(text) else text in said)}
    left = wanted - shared
    kept_bytes = encode_basestring(said).encode() if any(map(_long, left)) else b""
    count = 0
    with _mapped_files(path) as files:
        for text in left:
            count += any(
                data.find(part) >= 0 for part in _byte_forms(text, kept_bytes) for data in files
            )
    return len(wanted), count, len(shared)


def search_name(path: Path, person: PersonMatcher, schema: str) -> int:
    """How often a file's bytes hold a person's name: composed or decomposed, in any case, as UTF-8,
    UTF-16 or JSON escapes. ``schema`` is the file's SQL: a name that is a word of it counts only
    as it is written."""
    own = PersonMatcher(person.name).is_named_in(schema)
    pattern = re.compile(b"|".join(_name_forms(person.name, own)), 0 if own else re.IGNORECASE)
    count = 0
    with _mapped_files(path) as files:
        for data in files:
            for match in pattern.finditer(data):
                if not _is_within_text(data, match.start(), match.end()):
                    continue
                window = data[max(0, match.start() - _WINDOW_BYTES) : match.end() + _WINDOW_BYTES]
                count += any(person.is_named_in(text) for text in _decodings(window))
    return count


def search_cells(store: Store, person: PersonMatcher) -> int:
    """How many values of a file's tables, outside the known text columns, name a person. Each value
    is read by itself, since in the file's bytes no space precedes it."""
    known = {(place.table, place.column) for place in TEXT_COLUMNS}
    known |= {(table, column) for table, columns in DERIVED_COLUMNS.items() for column in columns}
    count = 0
    for (table,) in store.rows("SELECT name FROM sqlite_master WHERE type = 'table'"):
        columns = [row[1] for row in store.rows(f"PRAGMA table_info({table})")]
        for column in columns:
            if (table, column) in known:
                continue
            for (value,) in store.iter_rows(f"SELECT {column} FROM {table}"):
                if isinstance(value, str | bytes):
                    raw = value.encode("utf-8", "replace") if isinstance(value, str) else value
                    count += any(person.is_named_in(text) for text in _decodings(raw))
    return count


@contextmanager
def _mapped_files(path: Path) -> Iterator[list[mmap.mmap]]:
    """The file and its log, if there is one."""
    files: list[mmap.mmap] = []
    try:
        for item in (path, wal_path(path)):
            if item.exists() and item.stat().st_size:
                with item.open("rb") as handle:
                    files.append(mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ))
        yield files
    finally:
        for data in files:
            data.close()


def _short(text: str) -> bool:
    return len(text) < SHORT_TEXT


def _long(text: str) -> bool:
    return len(text) > 2 * CHUNK_BYTES


def _unicode_forms(text: str) -> set[str]:
    if text.isascii():
        return {text}
    return {text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))}


def _byte_forms(text: str, kept: bytes) -> list[bytes]:
    """The forms in which a file may hold a text; of a long text, which pages split, those parts
    that no kept text contains."""
    if _long(text):
        stored = encode_basestring(text)[1:-1].encode()
        parts = [
            stored[at : at + CHUNK_BYTES]
            for at in range(0, len(stored) - CHUNK_BYTES + 1, CHUNK_BYTES)
        ]
        return [part for part in parts if part not in kept]
    encoded: list[bytes] = []
    for form in _unicode_forms(text):
        for quoted in {encode_basestring(form), encode_basestring_ascii(form)}:
            # Inside a JSON text that is itself a JSON string the quotation marks are escaped.
            texts = (quoted, encode_basestring(quoted)[1:-1]) if _short(text) else (quoted[1:-1],)
            encoded += [each.encode("utf-8", "replace") for each in texts]
        if not _short(text):
            encoded.append(form.encode("utf-16-le", "surrogatepass"))
    return encoded


def _name_forms(name: str, exact: bool) -> Iterator[bytes]:
    signs = ("'\u2019\u02bc", "-\u2010\u2011")
    names = {name}
    for like in signs:
        names |= {re.sub(f"[{like}]", sign, one) for one in names for sign in like}
    forms = {
        unicodedata.normalize(kind, one) for kind in ("NFC", "NFD", "NFKC", "NFKD") for one in names
    }
    if not exact:
        cased = (str.lower, str.upper, str.title, str.casefold)
        forms |= {change(form) for form in forms for change in cased}
    for form in sorted(forms):
        words = form.split()
        yield _BLANK.join(re.escape(word.encode("utf-8", "replace")) for word in words)
        escaped = [encode_basestring_ascii(word)[1:-1].encode() for word in words]
        yield _BLANK.join(map(re.escape, escaped))
        wide = [word.encode("utf-16-le", "surrogatepass") for word in words]
        yield _BLANK_16.join(map(re.escape, wide))
        wide = [word.encode("utf-16-be", "surrogatepass") for word in words]
        yield _BLANK_16.join(map(re.escape, wide))


def _is_within_text(data: mmap.mmap, start: int, end: int) -> bool:
    """Whether there is text before or after a match: short names occur by chance in digests and
    embeddings, words are inside JSON."""
    before = data[max(0, start - _WINDOW_BYTES) : start]
    after = data[end : end + _WINDOW_BYTES]
    for cut in range(4):  # A character may be cut at either end.
        left, right = before[-_CONTEXT:][cut:], after[: _CONTEXT - cut]
        if before[-1:] == b"}":  # After the JSON of a record its embedding begins.
            left = b""
        if any(len(side) == _CONTEXT - cut and _is_printable(side) for side in (left, right)):
            return True
    # Of UTF-16 every other byte of an ASCII character is 0.
    wide = [before[-2 * at : len(before) - 2 * at + 2] for at in range(1, _WINDOW_BYTES // 2)]
    wide += [after[at : at + 2] for at in range(0, _WINDOW_BYTES - 1, 2)]
    signs = [pair for pair in wide if len(pair) == 2 and 0 in pair and 32 <= sum(pair) < 127]
    return len(signs) > 6


def _is_printable(data: bytes) -> bool:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return all(sign.isprintable() or sign in "\t\n\r" for sign in text)


def _decodings(window: bytes) -> Iterator[str]:
    """The texts that these bytes may encode."""
    text = window.decode("utf-8", "ignore")
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), text)
    yield re.sub(r"\\.", " ", text)
    for start in (0, 1):
        yield window[start:].decode("utf-16-le", "ignore")
        yield window[start:].decode("utf-16-be", "ignore")
