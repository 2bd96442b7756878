"""A card's character as one more person of a scenario."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ...core import Address, SettingError, check_arguments, same_name, to_json
from ...simulation import (
    MindsTable,
    ModelTable,
    PersonEntry,
    Scenario,
    ScenarioTable,
    WorldTable,
    check_persona,
)
from ...world import load_smallville_map, load_tiled
from .character_card import CharacterCard

log = logging.getLogger(__name__)

_BED = re.compile(r"(?:^|guest |double |single |bunk |feather |straw |four-poster )beds?$|^bunk$")
_GUEST = re.compile(r"\b(?:guest|spare|visitor)", re.IGNORECASE)


@check_arguments
def add_card(scenario: Scenario, card: CharacterCard) -> Scenario:
    """The scenario with a card's character among its people.

    It lives at its home if the card names one (``extensions.denizens.home``), else in a room with a
    bed that is nobody's home, a guest room first, and begins there. It plans its day as the others
    do, wakes at 7 and goes to bed at 11 unless the card says otherwise, and knows the whole map.
    Raises SettingError if somebody of that name is there already.
    """
    persona = card.persona
    if other := next((p.name for p in scenario.people if same_name(p.name, persona.name)), ""):
        raise SettingError(
            f"{card.source}: '{persona.name}' is a name that {scenario.scenario.name} has already "
            f"({other}); rename the character in a card editor"
        )
    if not persona.home:
        home = _free_home(scenario)
        if not home:
            log.warning(
                "%s: no room with a bed is free; %s has no home and enters by the road",
                card.source,
                persona.name,
            )
        persona = replace(persona, home=home)
    check_persona(persona, str(card.source))
    records = [to_json(replace(record, created=scenario.start)) for record in card.memories]
    entry = PersonEntry(persona=persona, records=tuple(records), card_json=card.json)
    return replace(scenario, people=(*scenario.people, entry))


@check_arguments
def scenario_of_card(card: CharacterCard) -> Scenario:
    """A scenario of a card's character alone in a room, to chat with."""
    name = re.sub(r"\W+", "-", card.source.stem).strip("-_") or "card"
    empty = Scenario(
        scenario=ScenarioTable(name=name, title=card.name, about=f"The card of {card.name}."),
        world=WorldTable(kind="places", places=({"name": "room", "objects": ["bed", "chair"]},)),
        model=ModelTable(),
        minds=MindsTable(),
        people=(),
        source=str(card.source),
    )
    return add_card(empty, card)


def is_card_file(path: Path) -> bool:
    """Whether a file is to be read as a card: a picture, or JSON with the fields of a card."""
    if path.suffix.lower() == ".json" and path.is_file():
        text = path.read_text(encoding="utf-8", errors="replace")
        return '"chara_card_v' in text or '"first_mes"' in text
    return path.suffix.lower() == ".png"


def _free_home(scenario: Scenario) -> Address:
    """A room with a bed in a house that is nobody's home, a guest room first; empty: none."""
    taken = [_house(person.persona.home) for person in scenario.people if person.persona.home]
    rooms = [
        room
        for room, objects in _rooms(scenario).items()
        if any(_BED.search(name.lower()) for name in objects) and _house(room) not in taken
    ]
    return min(rooms, key=lambda room: (not _GUEST.search(room), room), default="")


def _house(address: Address) -> Address:
    """The first two parts of an address: the building, or the place in a world of places."""
    return ":".join(address.split(":")[:2])


def _rooms(scenario: Scenario) -> Mapping[Address, tuple[str, ...]]:
    """The rooms of the scenario's world with the names of their objects; none if the world is
    made by code."""
    table = scenario.world
    if table.kind == "places":
        return {
            f"{scenario.world_name}:{place.get('name', '')}": tuple(place.get("objects", ()))
            for place in table.places
            if isinstance(place, dict)
        }
    if table.kind not in ("town", "smallville") or not table.map:
        return {}
    path = Path(table.map)
    town = load_smallville_map(path) if path.is_dir() else load_tiled(path)
    rooms: dict[Address, tuple[str, ...]] = {}
    for address in town.object_addresses:
        room, _, name = address.rpartition(":")
        rooms[room] = (*rooms.get(room, ()), name)
    return rooms
