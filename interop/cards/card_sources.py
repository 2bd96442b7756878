"""Where cards to be written come from: card files, files of personas, scenarios and runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...core import Persona, SettingError, check_arguments, read_settings
from ...simulation import RUN_FILE, PersonEntry, Run, Scenario, match_name, read_scenario
from .card_persona import card_of_json, load_character_card
from .card_writer import card_from_persona
from .character_card import CharacterCard
from .png_chunks import SIGNATURE, read_png_chunks, write_png_chunks


@check_arguments
def find_card(source: Path | str, agent: str | None = None) -> CharacterCard:
    """The card of a card file, of a persona's file (TOML, JSON), or of the person ``agent`` (a full
    or first name) in a scenario or a run, as it was at the start.

    Raises SettingError, naming the file, if it holds none, and RunError for a broken run.
    """
    path = Path(source)
    if (path / RUN_FILE).is_file():
        with Run(path) as run:
            return card_of_person(run.scenario, agent)
    if path.suffix.lower() == ".png":
        return load_character_card(path)
    if path.suffix.lower() == ".json":
        return _card_of_file(path)
    if path.suffix.lower() == ".toml" and path.is_file() and not _is_scenario(path):
        return card_from_persona(Persona.load(path))
    return card_of_person(read_scenario(source), agent)


def load_look(path: Path) -> bytes:
    """The bytes of a PNG file, to be the picture of a card. Raises SettingError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if not data.startswith(SIGNATURE):
        raise SettingError(f"{path}: is no PNG picture; convert it to PNG")
    return write_png_chunks(read_png_chunks(data, path))


def _card_of_file(path: Path) -> CharacterCard:
    """The card in a JSON file, or of the persona in it."""
    try:
        return load_character_card(path)
    except SettingError as error:
        try:
            persona = Persona.load(path)
        except SettingError:
            raise error from None
        return card_from_persona(persona)


def _is_scenario(path: Path) -> bool:
    data = read_settings(path)
    return isinstance(data.get("scenario"), dict) or "people" in data


@check_arguments
def card_of_person(scenario: Scenario, agent: str | None = None) -> CharacterCard:
    """The card of a person of a scenario (a full or first name; None: the only one): the card that
    the person came from, with its greetings, else one made of the persona. Raises SettingError."""
    names = [person.name for person in scenario.people]
    if agent is None and len(names) > 1:
        raise SettingError(
            f"{scenario.source}: has {len(names)} people; say whose card with --agent: "
            f"{', '.join(names)}"
        )
    name = match_name(agent, names) if agent else names[0]
    return _card_of_entry(scenario.people[names.index(name)])


def _card_of_entry(person: PersonEntry) -> CharacterCard:
    if not person.card_json:
        return card_from_persona(person.persona)
    card = card_of_json(person.card_json, f"card of {person.name}")
    # Its room in this world means nothing in another one.
    persona = replace(person.persona, home=card.persona.home)
    return card_from_persona(persona, card=card)
