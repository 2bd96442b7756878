"""Names of the people who talk with agents, and of audiences."""

from __future__ import annotations

import re
from collections.abc import Iterable
from unicodedata import category

from .errors import SettingError
from .text import normalize_name, reserved_sign, same_name
from .types import AgentId

MAX_NAME_LENGTH = 80
"""Most characters of a person's name."""

_JOINER_PATTERN = re.compile("[\u200c\u200d]")


def validate_person_name(agent: AgentId, person: object) -> AgentId:
    """The normal form of a person's name, by which audiences and policies know the person:
    Unicode NFC, without surplus spaces.

    Raises SettingError for a value that is not text, is blank, has invisible characters or more
    than ``MAX_NAME_LENGTH``, a colon or ``*``, no letter or digit, or is the name of the
    ``agent``, whatever its case.

    >>> validate_person_name("Bo", "  Ada   Lind ")
    'Ada Lind'
    """
    if not isinstance(person, str):
        raise SettingError(f"{agent}: talks with people; a name is a text, not {person!r}")
    name = normalize_name(person)
    if any(category(letter) == "Cc" for letter in person.strip()):
        raise SettingError(f"{agent}: a person's name is one printable line, unlike {person!r:.80}")
    if not name:
        raise SettingError(f"{agent}: talks with people, and this one has no name; give one")
    if len(name) > MAX_NAME_LENGTH or not _without_joiners(name).isprintable():
        raise SettingError(
            f"{agent}: a person's name has at most {MAX_NAME_LENGTH} printable characters, unlike "
            f"{name[:MAX_NAME_LENGTH]!r}"
        )
    if sign := reserved_sign(name):
        raise SettingError(
            f"{agent}: '{sign}' in a person's name, {name!r}, would mean a document, a tool or "
            "everybody where rights are decided; write the name without it"
        )
    if same_name(name, agent):
        raise SettingError(
            f"{agent}: talks with people, and '{name}' is its own name; give the person's"
        )
    if not any(category(letter)[0] in "LN" for letter in name):
        raise SettingError(f"{agent}: {name!r} is no name: it has neither letter nor digit")
    return name


def _without_joiners(name: str) -> str:
    """The name without zero-width joiners between two letters, which Persian and Indic scripts
    use."""

    def replacement(match: re.Match[str]) -> str:
        start, end = match.span()
        inner = 0 < start < len(name) - 1
        joins = inner and category(name[start - 1])[0] in "LM" and category(name[end])[0] in "LM"
        return "" if joins else match[0]

    return _JOINER_PATTERN.sub(replacement, name)


def parse_audience(people: str | Iterable[str]) -> tuple[AgentId, ...]:
    """The people whom an argument ``audience`` names, without duplicates; a str is one name.

    Raises SettingError for an empty or invalid name, which must not come to mean everybody.

    >>> parse_audience("Ada"), parse_audience(["Bo", "Ada", "Bo"]), parse_audience(())
    (('Ada',), ('Bo', 'Ada'), ())
    """
    try:
        names: list[object] = [people] if isinstance(people, str) else list(people)
    except TypeError:
        names = [people]
    invalid = [name for name in names if not isinstance(name, str) or name.strip() in ("", "*")]
    if invalid:
        raise SettingError(
            f"audience {people!r}: {invalid[0]!r} is nobody's name; give names of people, "
            "or () for everybody"
        )
    return tuple(dict.fromkeys(normalize_name(str(name)) for name in names))
