"""What is asked of people, casts and memories in a scenario, beside their types."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from unicodedata import category

from ..core import Persona, SettingError, did_you_mean, reserved_sign

if TYPE_CHECKING:
    from pathlib import Path

    from .scenario import PersonEntry, Scenario


MERGED_SETTINGS = {"policy": "[minds.policy]", "memory": "memory.budget = 1200"}
"""Keys of [minds] that a person's own are laid over, each with how it is written."""


def check_name(name: str, where: str) -> None:
    """Raises SettingError for a scenario's name that would lead out of the folder of runs: it
    becomes a folder's name and the root of a world's addresses."""
    if not name:
        return
    # Joiners belong to the spelling of some scripts.
    seen = name.replace("\u200c", "").replace("\u200d", "")
    hidden = any(category(sign) in ("Cc", "Cf") for sign in seen)
    if (
        hidden
        or re.search(r'[/\\:<>"|?*\x00-\x1f]', name)
        or not name.strip(". ")
        or name != name.strip()
    ):
        raise SettingError(
            f"{where}: name = {name!r} cannot name a folder; use letters, digits, blanks, "
            "'-' and '_', without '/' and ':'"
        )
    if len(name.encode(errors="surrogatepass")) > 200:
        raise SettingError(f"{where}: name is longer than 200 bytes; choose a shorter one")


def check_minds(made: Scenario) -> None:
    """Raises SettingError for settings of minds that are no table, and for documents given at
    a moment."""
    for key, example in MERGED_SETTINGS.items():
        tables = {f"[minds] {key}": getattr(made.minds, key)}
        tables |= {f"{one.persona.name}: {key}": getattr(one, key) for one in made.people}
        for where, table in tables.items():
            if table is not None and not isinstance(table, dict):
                raise SettingError(f"{made.source}: {where} must be a table, as in {example}")
    for given in made.inputs:
        if given.kind == "document":
            raise SettingError(
                f"{made.source}: [[inputs]] at {given.at}: a document is given to somebody with "
                "documents = ['handbook.md'] in its [[people]]"
            )
        if given.kind == "memories":
            raise SettingError(
                f"{made.source}: [[inputs]] at {given.at}: memories are given to somebody with "
                "memories = 'folder' in its [[people]]"
            )


def check_persona(persona: Persona, where: str) -> None:
    """Raises SettingError for a persona whose values cannot be lived with."""
    if not persona.name.strip() or reserved_sign(persona.name):
        raise SettingError(f"{where}: name = '{persona.name}' is none; give words without colons")
    if not 0 < persona.recency_decay <= 1:
        raise SettingError(f"{where}: recency_decay must lie in (0, 1]")
    for key in ("vision", "attention", "retention"):
        if getattr(persona, key) < 0:
            raise SettingError(f"{where}: {key} must not be negative")
    for entry in persona.routine:
        if not re.fullmatch(r"([01]?\d|2[0-4]):[0-5]\d", entry.at):
            raise SettingError(f"{where}: routine: at = '{entry.at}' is no time; write it as 07:30")


def select_cast(
    people: tuple[PersonEntry, ...], cast: tuple[str, ...], path: Path
) -> tuple[PersonEntry, ...]:
    """Those of the people who are in the cast (all without one). Raises SettingError for a
    name that two have, or nobody."""
    names = [member.persona.name for member in people]
    for name in names:
        if names.count(name) > 1:
            raise SettingError(f"{path}: two people are called '{name}'; rename one of them")
    for name in cast:
        if name not in names:
            raise SettingError(
                f"{path}: cast names '{name}'{did_you_mean(name, names)}, who is not in it"
            )
    return tuple(m for m in people if m.persona.name in cast) if cast else people
