"""Character cards are read right, written without loss, and refused with one clear line."""

from __future__ import annotations

import base64
import json
import logging
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from denizens import Cue, Memory, Persona, load_scenario
from denizens.core import SettingError
from denizens.interop.cards import (
    CARD_VERSIONS,
    CharacterCard,
    add_card,
    card_from_persona,
    load_character_card,
    write_character_card,
)
from denizens.interop.cards.json_members import member_spans, set_member
from denizens.interop.cards.png_chunks import (
    chunk_text,
    plain_png,
    read_png_chunks,
)
from denizens.tests.support.card_texts import CARD_TEXTS, card_picture
from hypothesis import given, settings
from hypothesis import strategies as st

COLORS = "amber cobalt crimson hollow silver gilded"
THINGS = (
    "lantern kettle compass thimble violin bridge orchard raven anvil ledger harbour chimney "
    "saddle beacon quarry meadow turret basin cradle gable"
)
NINE = datetime(2026, 5, 2, 9)
CONTAINERS = ("json", "tEXt", "zTXt", "iTXt", "iTXt-z")


def saved(folder: Path, text: str, container: str = "json") -> Path:
    path = folder / f"card.{'json' if container == 'json' else 'png'}"
    path.write_bytes(text.encode() if container == "json" else card_picture(text, container))
    return path


def read(folder: Path, name: str) -> CharacterCard:
    return load_character_card(saved(folder, CARD_TEXTS[name]), at=NINE)


def spans_of(text: str) -> dict[str, str]:
    """Every member of the card and of its ``data``, with its value as it is written."""
    members = {key: text[span.start : span.end] for key, span in member_spans(text).items()}
    if "spec" in members and members.get("data", "").startswith("{"):
        inner = members.pop("data")
        members |= {
            f"data.{key}": inner[span.start : span.end] for key, span in member_spans(inner).items()
        }
    return members


# -- round trips -----------------------------------------------------------------------------


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", CARD_TEXTS)
def test_a_card_is_written_as_it_was_read(tmp_path: Path, name: str, container: str) -> None:
    """Twelve cards of three versions, from JSON and every kind of PNG chunk, are written byte for
    byte as they were, to JSON and to PNG, with the picture's other chunks."""
    text = CARD_TEXTS[name]
    card = load_character_card(saved(tmp_path, text, container), at=NINE)
    assert card.version == name[:2]
    write_character_card(card, tmp_path / "out.json")
    assert (tmp_path / "out.json").read_bytes() == text.encode()
    write_character_card(card, tmp_path / "out.png")
    again = load_character_card(tmp_path / "out.png", at=NINE)
    assert again.json == text
    assert replace(again, look=b"", source=card.source) == replace(card, look=b"")
    if container != "json":
        kinds = [chunk.kind for chunk in read_png_chunks(again.look, "look")]
        assert kinds == [b"IHDR", b"tEXt", b"prVt", b"IDAT", b"IEND"]
        assert again.look == card.look


@pytest.mark.parametrize("name", CARD_TEXTS)
def test_a_changed_card_keeps_every_other_field(tmp_path: Path, name: str) -> None:
    """After a change of what the persona is doing and of its home, every other member is
    byte-equal, also within ``extensions``."""
    card = read(tmp_path, name)
    persona = replace(card.persona, currently="It rains {{today}}.", home="town:inn", age=77)
    changed = card_from_persona(persona, card=card)
    assert changed.persona == persona
    before, after = spans_of(card.json), spans_of(changed.json)
    root = "" if card.version == "v1" else "data."
    edited = {f"{root}scenario", f"{root}extensions"}
    assert {key: value for key, value in after.items() if key not in edited} == {
        key: value for key, value in before.items() if key not in edited
    }
    kept = json.loads(before.get(f"{root}extensions", "{}"))
    extensions = json.loads(after[f"{root}extensions"])
    own = {**kept.pop("denizens", {}), "age": 77, "home": "town:inn"}
    assert extensions == {**kept, "denizens": own}


@pytest.mark.parametrize("version", CARD_VERSIONS)
@pytest.mark.parametrize("name", CARD_TEXTS)
def test_another_version_keeps_every_field(tmp_path: Path, name: str, version: str) -> None:
    """A card written in another version has all members as they were, but for the name of the
    version, and gives the same persona, memories and greetings."""
    card = read(tmp_path, name)
    write_character_card(card, tmp_path / "out.json", version=version)  # type: ignore[arg-type]
    again = load_character_card(tmp_path / "out.json", at=NINE)
    before, after = spans_of(card.json), spans_of(again.json)
    if version == "v1":
        # V1 readers see the fields of V1 at the root; others read the card as before.
        assert all(isinstance(json.loads(after[key]), str) for key in ("name", "first_mes"))
        before = {key: value for key, value in before.items() if "data." in key}
    else:
        assert again.version == version
    changed = ("spec", "spec_version")
    assert {key: after[key] for key in before if key not in changed} == {
        key: value for key, value in before.items() if key not in changed
    }
    assert (again.persona, again.greetings) == (card.persona, card.greetings)
    assert [r.text for r in again.memories] == [r.text for r in card.memories]


def test_v3_in_a_picture_can_be_read_as_v2(tmp_path: Path) -> None:
    """A PNG of a V3 card has it in ``ccv3``, and in ``chara`` with the name of V2; ``ccv3``
    counts."""
    write_character_card(read(tmp_path, "v3 full"), tmp_path / "out.png")
    chunks = read_png_chunks((tmp_path / "out.png").read_bytes(), "out")
    texts = {
        chunk.keyword: json.loads(base64.b64decode(chunk_text(chunk, "out")))
        for chunk in chunks
        if chunk.keyword
    }
    assert texts["chara"]["spec"] == "chara_card_v2"
    assert texts["ccv3"]["spec"] == "chara_card_v3"
    assert texts["chara"]["data"] == texts["ccv3"]["data"]
    assert load_character_card(tmp_path / "out.png").version == "v3"


@given(st.dictionaries(st.text(), st.recursive(st.none() | st.booleans() | st.text()
       | st.integers(-(2**70), 2**70), lambda inner: st.lists(inner) | st.dictionaries(st.text(),
       inner), max_leaves=8)), st.lists(st.text(), min_size=1, max_size=3), st.text(),
       st.sampled_from([None, 1, "\t"]))  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_an_edit_of_json_changes_one_member(
    data: dict[str, object], path: list[str], value: str, indent: int | str | None
) -> None:
    """``set_member`` sets the member that it names, and all others keep their text."""
    text = json.dumps(data, indent=indent, ensure_ascii=indent is None)
    edited = set_member(text, tuple(path), value)
    inner = json.loads(edited)
    for key in path:
        inner = inner[key]
    assert inner == value
    before, after = spans_of_object(text), spans_of_object(edited)
    assert before.keys() - {path[0]} == after.keys() - {path[0]}
    assert all(before[key] == after[key] for key in before if key != path[0])


def spans_of_object(text: str) -> dict[str, str]:
    return {key: text[span.start : span.end] for key, span in member_spans(text).items()}


# -- meaning ---------------------------------------------------------------------------------


def test_a_card_becomes_a_persona(tmp_path: Path) -> None:
    """Description, personality, scenario, age and constant entries stand where personas have them;
    the names are filled."""
    card = read(tmp_path, "v2 full")
    persona = card.persona
    assert (persona.name, persona.age, persona.traits) == ("Oda Brandt", 52, "calm")
    assert persona.background == "Oda Brandt steers the ferry. Oda Brandt is 52 years old."
    assert persona.currently == "Oda Brandt waits for the fog to lift."
    assert persona.facts == ("Oda Brandt never sails on Sundays.",)
    assert [record.text for record in card.memories] == [
        "The red buoy marks the sandbank.",
        "It hangs under the quay and rings.",
    ]
    assert [record.keys for record in card.memories] == [("buoy",), ("sunken bell", "low tide")]
    assert all(record.sources == ("document:lorebook of Oda Brandt",) for record in card.memories)
    assert card.greeting("Ada") == "You are late, Ada."
    assert card.greeting("Ada", 1) == "Ahoy, Ada."
    assert card.greeting("Ada", 2) in ("Fog again.", "Mist again.")
    assert card.greeting("Ada", 2) == card.greeting("Ada", 2)
    with pytest.raises(SettingError, match="has no greeting 3; it has 3"):
        card.greeting("Ada", 3)
    assert card.examples("Ada") == (
        (("Ada", "When do you leave?"), ("Oda Brandt", "When I can see the buoy.")),
    )
    assert card.creator_notes == "Best with a slow model."


def test_v2_counts_its_data_and_v3_its_nickname(tmp_path: Path) -> None:
    """Fields of V1 beside ``data`` do not count; the nickname is what ``{{char}}`` is; the card's
    extension gives age and hours."""
    assert read(tmp_path, "v2 with V1 fields").persona == Persona(
        name="Tom Pell",
        age=67,
        traits="slow",
        background="Tom Pell carves spoons.\r\nTom Pell hums.",
        lifestyle="Tom Pell wakes up around 5am, goes to bed around 9pm.",
    )
    card = read(tmp_path, "v3 full")
    assert (card.name, card.persona.age) == ("Sera Vey", 230)
    assert card.persona.background.startswith("Sera Vey guards the moon well.")
    assert [record.text for record in card.memories] == ["The well is silver at midnight."]


def test_macros_are_filled_or_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Macros of text are filled in any case of letters, comments go, an unknown one stays and is
    named in a warning; those of time are filled in greetings."""
    with caplog.at_level(logging.WARNING):
        card = read(tmp_path, "v3 with macros")
    first, second = card.persona.background.split("\n")
    assert first == "Nell Ostrow counts stars."
    assert second.startswith("Nell Ostrow owes the visitor ")
    assert second.split()[5] in "123456"
    assert card.persona.traits == "quiet"
    assert card.persona.currently == "{{unknown_macro::1}}"
    assert "{{unknown_macro}}" in caplog.text
    assert card.greeting("Ada", at=NINE) == "It is Saturday, Ada. cba"


def test_a_macro_in_a_name_is_no_macro(tmp_path: Path) -> None:
    """What a person calls itself is put in as it is."""
    card = read(tmp_path, "v2 full")
    name = "{{random:a,b}}{{char}}<BOT>"
    assert card.greeting(name) == f"You are late, {name}."


def test_patterns_are_not_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Keys that are regular expressions are named in a warning and not run, since a card may hold
    one that never ends; the entry is kept, with its plain keys."""
    with caplog.at_level(logging.WARNING):
        card = read(tmp_path, "v2 with patterns")
    assert [record.text for record in card.memories] == ["The last valve came from a ship."]
    assert card.memories[0].keys == ("valve", "glass")
    assert "lorebook entry 1: keys that are regular expressions are not run" in caplog.text


def test_lore_is_recalled_by_its_keys(tmp_path: Path) -> None:
    """Of 120 entries each is recalled when one of its keys occurs in what is said, in other words
    around it, whether its text has the key or not; it is the first hit."""
    keys = [f"{word} {thing}" for word in COLORS.split() for thing in THINGS.split()]
    data = json.loads(CARD_TEXTS["v2 full"])
    data["data"]["character_book"]["entries"] = [
        {"keys": [key], "content": f"It {'was made' if n % 2 else 'is kept'} by guild number {n}."
         if n % 3 else f"The {key} belongs to guild number {n}.", "enabled": True,
         "insertion_order": n, "extensions": {}} for n, key in enumerate(keys)
    ]  # fmt: skip
    card = load_character_card(saved(tmp_path, json.dumps(data)), at=NINE)
    assert len(card.memories) == 120
    with Memory(":memory:", card.name) as memory:
        memory.add(card.memories)
        for key, record in zip(keys, card.memories, strict=True):
            cue = Cue(text=f"Tell me what you know about the {key}, please.", at=NINE, limit=8,
                      rules="hybrid")  # fmt: skip
            assert memory.recall(cue)[0].record.text == record.text


def test_a_persona_becomes_a_card(tmp_path: Path) -> None:
    """A persona without a card is written as V2, its facts as constant entries, its routine in the
    extension; it is read as it was."""
    for person in load_scenario("larkspur").people:
        card = card_from_persona(person.persona, greetings=("Good day, {{user}}.",))
        write_character_card(card, tmp_path / "out.png")
        again = load_character_card(tmp_path / "out.png")
        assert replace(again.persona, voice=person.persona.voice) == person.persona
        assert again.greeting("Ada") == "Good day, Ada."


# -- in a town -------------------------------------------------------------------------------


def test_a_card_joins_a_scenario(tmp_path: Path) -> None:
    """The character lives in the free guest room, a second one nowhere else than there is room;
    a name that is taken is refused; the scenario's record holds the card."""
    town = load_scenario("larkspur")
    card = read(tmp_path, "v2 full")
    joined = add_card(town, card)
    person = joined.people[-1]
    assert person.persona.home == "Larkspur:Heron Inn:guest room"
    assert person.card_json == card.json
    assert person.records[0]["created"] == town.start.isoformat()
    with pytest.raises(SettingError, match="'Oda Brandt' is a name that larkspur has already"):
        add_card(joined, card)
    other = add_card(joined, read(tmp_path, "v3 full")).people[-1]
    assert other.persona.home == ""
    assert add_card(load_scenario("crossroads"), card).people[-1].persona.home == ""


def test_a_card_alone_is_a_scenario(tmp_path: Path) -> None:
    """``load_scenario`` of a card, as JSON or PNG, is its character in a room, so that ``chat`` and
    ``run`` take a card too."""
    for container in ("json", "tEXt"):
        scenario = load_scenario(saved(tmp_path, CARD_TEXTS["v2 full"], container))
        (person,) = scenario.people
        assert (person.name, person.persona.home) == ("Oda Brandt", "card:room")
        assert person.card_json == CARD_TEXTS["v2 full"]
    (tmp_path / "x.png").write_bytes(plain_png(1, 1, (0, 0, 0)))
    with pytest.raises(SettingError, match="is a picture without a character card"):
        load_scenario(tmp_path / "x.png")


def test_no_file_sets_what_only_cards_give(tmp_path: Path) -> None:
    """``records`` and ``card_json`` in a scenario's file are unknown keys."""
    text = (
        '[scenario]\nname = "x"\n[world]\nkind = "places"\nplaces = [{ name = "a" }]\n'
        '[[people]]\nname = "Bo"\ncard_json = "{}"\n'
    )
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(SettingError, match="card_json"):
        load_scenario(tmp_path / "x.toml")
