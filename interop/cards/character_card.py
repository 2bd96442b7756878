"""Character cards: their JSON in the versions V1, V2 and V3, checked, with the fields in use.

Sources: malfoyslastname/character-card-spec-v2 (V1 and V2), kwaroran/character-card-spec-v3.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from ...core import (
    Json,
    Persona,
    Record,
    SettingError,
    Time,
    parse_settings,
)
from .card_macros import fill_macros
from .lorebook import LorebookEntry, lorebook_entries

log = logging.getLogger(__name__)

CardVersion: TypeAlias = Literal["v1", "v2", "v3"]
CARD_VERSIONS: tuple[CardVersion, ...] = ("v1", "v2", "v3")
SPECS: Mapping[CardVersion, tuple[str, str]] = {
    "v2": ("chara_card_v2", "2.0"),
    "v3": ("chara_card_v3", "3.0"),
}
"""What the fields ``spec`` and ``spec_version`` say."""
V1_FIELDS = ("name", "description", "personality", "scenario", "first_mes", "mes_example")
EXTENSION = "denizens"
"""The key in a card's ``extensions`` that holds the fields of a Persona that cards lack."""
_TEXTS = (*V1_FIELDS, "nickname", "creator_notes", "creator")
_TEXT_LISTS = ("alternate_greetings", "tags")
_START = re.compile(r"<START>", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CharacterCard:
    """A character card: the persona, memories and greetings that it gives, and its own JSON.

    ``memories`` are for ``Agent(memories=...)``. ``greetings`` are the first line and the
    alternative ones, with their macros: ``greeting`` fills them. ``json`` is the card's JSON as
    its author wrote it, ``look`` its picture as a PNG file without the card (empty: none). ``user``
    is what ``{{user}}`` stands for in the persona and the memories.
    """

    persona: Persona
    memories: tuple[Record, ...] = ()
    greetings: tuple[str, ...] = ()
    version: CardVersion = "v2"
    json: str = ""
    look: bytes = field(default=b"", repr=False)
    source: Path = Path("card")
    user: str = "the visitor"
    tags: tuple[str, ...] = ()
    creator: str = ""
    creator_notes: str = ""

    @property
    def name(self) -> str:
        """The name of the persona: the card's nickname if it has one, else its name."""
        return self.persona.name

    @property
    def fields(self) -> Mapping[str, Json]:
        """The card's fields: the object ``data``, in V1 the card itself."""
        return parse_card_json(self.json, self.source).fields

    def greeting(self, person: str = "", index: int = 0, *, at: Time | None = None) -> str:
        """The greeting of that index for a person (empty: ``user``), with its macros filled;
        empty if the card has none. Raises SettingError for an index that it does not have."""
        if not self.greetings and index == 0:
            return ""
        if not 0 <= index < len(self.greetings):
            raise SettingError(
                f"{self.source}: has no greeting {index}; it has {len(self.greetings)}, counted "
                "from 0"
            )
        return fill_macros(
            self.greetings[index],
            char=self.name,
            user=person or self.user,
            at=at or datetime.now(),
            source=self.source,
        ).strip()

    def examples(self, person: str = "") -> tuple[tuple[tuple[str, str], ...], ...]:
        """The example conversations (``mes_example``): the lines of each, as speaker and text."""
        text = str(self.fields.get("mes_example") or "")
        filled = fill_macros(
            text, char=self.name, user=person or self.user, at=datetime.now(), source=self.source
        )
        talks = [_example_lines(part) for part in _START.split(filled)]
        return tuple(talk for talk in talks if talk)


@dataclass(frozen=True, slots=True)
class ParsedCard:
    """The JSON of a card as values: its version, its fields and its lorebook's entries."""

    version: CardVersion
    fields: Mapping[str, Json]
    entries: tuple[LorebookEntry, ...]


def parse_card_json(text: str, source: Path | str) -> ParsedCard:
    """The version and the fields of a card's JSON, checked as far as they are used.

    Raises SettingError, naming the file and the field, for what is no card and for values of a
    wrong type.
    """
    # Whatever the file is called, a card is JSON.
    data = parse_settings(text, f"{source}" if not f"{source}".endswith(".toml") else f"{source}:")
    if not isinstance(data, dict):
        raise SettingError(f"{source}: holds no character card but {_kind(data)}; {_REMEDY}")
    version = _version_of(data, source)
    fields = data if version == "v1" else data.get("data")
    if not isinstance(fields, dict):
        raise SettingError(
            f"{source}: 'data' is {_kind(fields)}, but a card's fields are an object in it; "
            "export the card again"
        )
    for name in _TEXTS:
        if not isinstance(fields.get(name) or "", str):
            raise SettingError(_wrong_type(source, name, "a text", fields[name]))
    for name in _TEXT_LISTS:
        items = fields.get(name) or []
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise SettingError(_wrong_type(source, name, "a list of texts", items))
    return ParsedCard(version, fields, lorebook_entries(fields.get("character_book"), source))


_REMEDY = "give a card of SillyTavern V1, V2 or V3, as JSON or PNG"


def _version_of(data: Mapping[str, Json], source: Path | str) -> CardVersion:
    spec = data.get("spec")
    if spec is None and "data" not in data:
        if not any(name in data for name in V1_FIELDS[1:]) or "name" not in data:
            raise SettingError(
                f"{source}: holds no character card (it has neither 'spec' nor the fields name "
                f"and description); {_REMEDY}"
            )
        return "v1"
    for version, (name, _) in SPECS.items():
        if spec == name:
            _warn_of_newer(version, data, source)
            return version
    if isinstance(spec, str) and re.fullmatch(r"chara_card_v\d+", spec):
        log.warning("%s: is a card of the version %s; it is read as V3", source, spec)
        return "v3"
    raise SettingError(f"{source}: spec = {spec!r:.40} is no character card's; {_REMEDY}")


def _warn_of_newer(version: CardVersion, data: Mapping[str, Json], source: Path | str) -> None:
    known = SPECS[version][1]
    try:
        newer = float(str(data.get("spec_version", known))) > float(known)
    except ValueError:
        newer = True
    if newer:
        said = data["spec_version"]
        log.warning("%s: spec_version %.40s is read as %s", source, said, known)


def _example_lines(text: str) -> tuple[tuple[str, str], ...]:
    """The lines "Name: text" of an example; a line without a name goes on with the one before."""
    lines: list[tuple[str, str]] = []
    for line in text.splitlines():
        match = re.match(r"\s*([^:\n]{1,60}):\s*(.*)", line)
        if match:
            lines.append((match[1].strip(), match[2].strip()))
        elif lines and line.strip():
            who, before = lines[-1]
            lines[-1] = (who, f"{before}\n{line.strip()}".strip())
    return tuple(lines)


def _wrong_type(source: Path | str, name: str, wanted: str, value: Json) -> str:
    return f"{source}: '{name}' must be {wanted}, not {_kind(value)}; correct it in a card editor"


def _kind(value: Json) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    if value is None:
        return "nothing"
    return names.get(type(value), "a number")
