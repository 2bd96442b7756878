"""Macros in the texts of cards (``{{char}}``, ``{{user}}``, ...), filled.

Source: Character Card V3 specification, "Curly Braced Syntaxes"; V1 specification for ``<BOT>``
and ``<USER>``; SillyTavern's documentation of macros for those of text and time. Nothing else is
run: variables, conditions and scripts of front ends stay as they are written.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path

from ...core import Time

log = logging.getLogger(__name__)

MAX_NESTING = 8
"""How deep macros are filled that stand in one another; deeper ones stay as they are written."""
_MAX_SIDES = 10**9
_MACRO = re.compile(r"\{\{([^{}]*)\}\}")
_ANGLED = re.compile(r"<(char|bot|user)>", re.IGNORECASE)
_TRIM = "\0trim\0"
# Names are filled in last: a macro in somebody's name is no macro.
_NAME_MARKS = {"char": "\0char\0", "bot": "\0char\0", "user": "\0user\0"}
_MARK = re.compile("\0(char|user)\0")
_SENTENCE_START = re.compile(r"(?:^|[.!?…:]['\"*”’)]*\s+|\n\s*|[\"“*]\s*)$")


def fill_macros(
    text: str,
    *,
    char: str,
    user: str,
    at: Time | None = None,
    source: Path | str = "card",
) -> str:
    """The text with its macros filled, in any case of letters.

    ``{{char}}`` and ``{{user}}`` (also ``<BOT>``, ``<CHAR>``, ``<USER>``) are the names;
    ``{{random:a,b}}`` and ``{{pick:a,b}}`` (also with ``::``) one of their parts and
    ``{{roll:d6}}`` a number, always the same at one place of one text; ``{{reverse:abc}}``;
    ``{{newline}}``, ``{{trim}}``, ``{{noop}}``; comments (``{{// ...}}``, ``{{comment: ...}}``,
    ``{{hidden_key: ...}}``) and ``{{original}}`` are removed; with ``at`` also ``{{time}}``,
    ``{{date}}``, ``{{weekday}}``, ``{{isotime}}``, ``{{isodate}}``. Others stay as they are
    written, and a warning names them and ``source``.

    >>> fill_macros("{{Char}} waves. <USER>'s dog barks.", char="Bo", user="the visitor")
    "Bo waves. The visitor's dog barks."
    """
    macros = {**_plain_macros(), **(_time_macros(at) if at else {})}
    text = text.replace("\0", "")
    unknown: dict[str, None] = {}

    def filled(match: re.Match[str]) -> str:
        name, argument = _split(match[1])
        fill = macros.get(name)
        if fill is None:
            unknown[name] = None
            return match[0]
        return fill(argument, f"{match.start()} {match[0]}")

    for _ in range(MAX_NESTING):
        before = text
        text = _MACRO.sub(filled, text)
        if text == before:
            break
    text = _ANGLED.sub(lambda match: _NAME_MARKS[match[1].lower()], text)
    text = re.sub(rf"[ \t]*\n*{_TRIM}\n*[ \t]*", "", text)
    if unknown:
        shown = ", ".join(f"{{{{{name[:30]}}}}}" for name in list(unknown)[:5])
        log.warning("%s: macros that mean nothing here stay as they are written: %s", source, shown)
    return _with_names(text, {"char": char, "user": user})


def _with_names(text: str, names: Mapping[str, str]) -> str:
    """The text with the marks of names filled; "the visitor" begins a sentence in upper case."""

    def name(match: re.Match[str]) -> str:
        word = names[match[1]]
        starts = _SENTENCE_START.search(match.string[max(0, match.start() - 12) : match.start()])
        return word[:1].upper() + word[1:] if starts else word

    return _MARK.sub(name, text)


def _split(macro: str) -> tuple[str, str]:
    """The name of a macro in lower case, and its argument."""
    if macro.startswith("//"):
        return "//", macro[2:]
    name, _, argument = macro.partition(":")
    return name.strip().lower(), argument.removeprefix(":")


def _plain_macros() -> Mapping[str, Callable[[str, str], str]]:
    """Functions from a macro's argument, and a text that tells its place from others, to what it
    stands for."""
    return {
        **{name: _constant(mark) for name, mark in _NAME_MARKS.items()},
        **dict.fromkeys(("//", "comment", "hidden_key", "noop", "original"), _constant("")),
        "newline": _constant("\n"),
        "trim": _constant(_TRIM),
        "reverse": lambda argument, place: argument[::-1],
        "random": _pick,
        "pick": _pick,
        "roll": _roll,
    }


def _time_macros(at: Time) -> Mapping[str, Callable[[str, str], str]]:
    return {
        "time": _constant(f"{at:%I:%M %p}".lstrip("0")),
        "date": _constant(f"{at:%B} {at.day}, {at.year}"),
        "weekday": _constant(f"{at:%A}"),
        "isotime": _constant(f"{at:%H:%M}"),
        "isodate": _constant(f"{at:%Y-%m-%d}"),
    }


def _constant(text: str) -> Callable[[str, str], str]:
    return lambda argument, place: text


def _pick(argument: str, place: str) -> str:
    separator = "::" if "::" in argument else r"(?<!\\),"
    parts = [part.replace("\\,", ",").strip() for part in re.split(separator, argument)]
    return parts[_number(place) % len(parts)]


def _roll(argument: str, place: str) -> str:
    dice = re.fullmatch(r"\s*(?:(\d{1,2})?d)?(\d{1,10})\s*", argument, re.IGNORECASE)
    if dice is None or not 1 <= int(dice[2]) <= _MAX_SIDES:
        return ""
    count, sides = int(dice[1] or 1), int(dice[2])
    return str(sum(1 + _number(f"{place} {die}") % sides for die in range(count)))


def _number(place: str) -> int:
    """A number that depends on the place alone, from 0 to 2**64 - 1."""
    return int.from_bytes(blake2b(place.encode(errors="replace"), digest_size=8).digest())
