"""Who talks with an agent: the one rule for names of people."""

from __future__ import annotations

import re
from collections.abc import Iterable
from unicodedata import category

from .errors import SettingError
from .text import normalize_name, reserved_sign, same_name
from .types import AgentId

MAX_NAME_LENGTH = 80
"""The most characters of a person's name."""

_JOINER_PATTERN = re.compile("[\u200c\u200d]")


def validate_person_name(agent: AgentId, person: object) -> AgentId:
    """A person's name as it is kept: composed (NFC), each run of blanks one space.

    What is for a person, and whom a policy trusts, goes by this very spelling. Raises
    SettingError for no text, nothing but blanks, invisible characters, more than
    ``MAX_NAME_LENGTH``
    characters, a colon or ``*`` (see ``reserved_sign``), and for the name of the ``agent`` in any
    case or Unicode form: under that, words of others would pass for its own.

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
    """A name without the joiners that stand between two letters, as Persian and Indic
    scripts write them."""
    return _JOINER_PATTERN.sub(
        lambda found: (
            ""
            if 0 < found.start() < len(name) - 1
            and category(name[found.start() - 1])[0] in "LM"
            and category(name[found.end()])[0] in "LM"
            else found[0]
        ),
        name,
    )


def parse_audience(people: str | Iterable[str]) -> tuple[AgentId, ...]:
    """The people whom an argument ``audience`` names, each once, in order: one name alone is
    one person, not its letters. Raises SettingError for what names nobody, such as an empty
    name: it must not become "for everybody".

    >>> parse_audience("Ada"), parse_audience(["Bo", "Ada", "Bo"]), parse_audience(())
    (('Ada',), ('Bo', 'Ada'), ())
    """
    try:
        names: list[object] = [people] if isinstance(people, str) else list(people)
    except TypeError:
        names = [people]
    if wrong := [name for name in names if not isinstance(name, str) or name.strip() in ("", "*")]:
        raise SettingError(
            f"audience {people!r}: {wrong[0]!r} is nobody's name; give names of people, "
            "or () for everybody"
        )
    # In the spelling in which people are known: see ``visitor``.
    return tuple(dict.fromkeys(normalize_name(str(name)) for name in names))
