"""The lorebook of a card (``character_book``): entries that are recalled when their keys occur."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...core import RECALLED_BY, Json, Record, SettingError, Time
from .card_macros import fill_macros

log = logging.getLogger(__name__)

LORE_IMPORTANCE = 5.0
"""Importance of a lorebook entry as a memory, from 1 to 10."""
MAX_ENTRIES = 20_000
_DECORATOR = re.compile(r"^@@@?(\w+)(.*)$")
_PATTERN_KEY = re.compile(r"/.+/[a-z]*", re.DOTALL)  # SillyTavern's form of a regular expression


@dataclass(frozen=True, slots=True, kw_only=True)
class LorebookEntry:
    """An enabled entry: ``keys`` (words and phrases, without regular expressions), its text
    without decorators, and whether it is known at all times."""

    content: str
    keys: tuple[str, ...] = ()
    constant: bool = False


def lorebook_entries(book: Json, source: Path | str) -> tuple[LorebookEntry, ...]:
    """The entries of a lorebook that are in use, by ``insertion_order``: those that are enabled
    and have a text. Raises SettingError for values of a wrong type."""
    if book is None:
        return ()
    entries = book.get("entries") if isinstance(book, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        raise SettingError(
            f"{source}: 'character_book' must be an object with a list 'entries' of at most "
            f"{MAX_ENTRIES:,}; correct it in a card editor"
        )
    read = [
        (order, entry)
        for number, data in enumerate(entries, 1)
        for order, entry in _read_entry(data, f"{source}: lorebook entry {number}")
    ]
    return tuple(entry for _, entry in sorted(read, key=lambda pair: pair[0]))


def _read_entry(data: Json, where: str) -> list[tuple[float, LorebookEntry]]:
    """The entry with its order, or nothing if it is not in use."""
    if not isinstance(data, dict):
        raise SettingError(f"{where}: must be an object; correct it in a card editor")
    content, order = data.get("content") or "", data.get("insertion_order") or 0
    if not isinstance(content, str):
        raise SettingError(f"{where}: 'content' must be a text; correct it in a card editor")
    if isinstance(order, bool) or not isinstance(order, int | float):
        raise SettingError(f"{where}: 'insertion_order' must be a number; correct it")
    keys = _texts(data, "keys", where)
    if data.get("selective") is True:
        keys += _texts(data, "secondary_keys", where)
    decorators, content = _split_decorators(content)
    enabled = data.get("enabled", True) is not False
    if "dont_activate" in decorators and "activate" not in decorators:
        enabled = False
    if not enabled or not content:
        return []
    patterns = data.get("use_regex") is True
    words = [] if patterns else [key for key in keys if not _PATTERN_KEY.fullmatch(key.strip())]
    if len(words) < len(keys):
        log.warning(
            "%s: keys that are regular expressions are not run; it is recalled by its text", where
        )
    constant = data.get("constant") is True or "activate" in decorators
    keys = tuple(dict.fromkeys(key.strip() for key in words if key.strip()))
    return [(float(order), LorebookEntry(content=content, keys=keys, constant=constant))]


def _texts(data: Mapping[str, Json], name: str, where: str) -> tuple[str, ...]:
    """A list of texts, or one text with commas."""
    value = data.get(name) or []
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise SettingError(f"{where}: '{name}' must be a list of texts; correct it")
    return tuple(items)


def _split_decorators(content: str) -> tuple[dict[str, str], str]:
    """The decorators at the beginning of a text (lines that start with @@), and the rest."""
    lines = content.strip().split("\n")
    decorators: dict[str, str] = {}
    while lines and (match := _DECORATOR.match(lines[0].strip())):
        decorators.setdefault(match[1], match[2].strip())
        lines.pop(0)
    return decorators, "\n".join(lines).strip()


def lore_records(
    entries: tuple[LorebookEntry, ...],
    *,
    char: str,
    user: str,
    at: Time,
    source: Path | str,
) -> tuple[Record, ...]:
    """The entries that are not constant as memories, numbered from 1, which are recalled by their
    text and their keys."""
    records: list[Record] = []
    for entry in entries:
        filled = [
            " ".join(fill_macros(text, char=char, user=user, source=source).split())
            for text in (entry.content, *entry.keys)
        ]
        text, *keys = filled
        if entry.constant or not text:
            continue
        listed = ", ".join(key.replace(",", " ") for key in keys if key)
        records.append(
            Record(
                id=len(records) + 1,
                kind="thought",
                text=text,
                created=at,
                who=char,
                importance=LORE_IMPORTANCE,
                predicate=RECALLED_BY if listed else "",
                object=listed,
                source="lorebook",
                sources=(f"document:lorebook of {char}",),
            )
        )
    return tuple(records)
