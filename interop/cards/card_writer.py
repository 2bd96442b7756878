"""Writing cards: as JSON or PNG, in the versions V1, V2 and V3, with all that the card had."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

from ...core import Json, Persona, SettingError, atomic_path, check_arguments, to_json
from .card_persona import (
    CARD_KEYWORDS,
    EXTENSION_FIELDS,
    card_of_json,
    persona_texts,
)
from .character_card import (
    CARD_VERSIONS,
    EXTENSION,
    SPECS,
    V1_FIELDS,
    CardVersion,
    CharacterCard,
    parse_card_json,
)
from .json_members import set_member
from .png_chunks import PngChunk, plain_png, read_png_chunks, text_chunk, write_png_chunks

_PLAIN_LOOK = (256, 384, (92, 107, 128))


@check_arguments
def card_from_persona(
    persona: Persona,
    *,
    card: CharacterCard | None = None,
    greetings: tuple[str, ...] = (),
    look: bytes = b"",
) -> CharacterCard:
    """A card of a persona.

    With the ``card`` that the persona came from, only the fields that changed are written anew;
    all else, also its macros, is left as its author wrote it. Without it a card of V2 is made: the
    facts become constant entries of its lorebook.
    """
    if card is None:
        text = _new_card_json(persona, greetings)
        return card_of_json(text, f"{persona.name}.json", look=look)
    text = card.json
    before = parse_card_json(text, card.source)
    root = () if before.version == "v1" else ("data",)
    if persona.name != card.persona.name:
        name_field = "nickname" if before.fields.get("nickname") else "name"
        text = set_member(text, (*root, name_field), persona.name)
    old = persona_texts(before.fields, card.persona.name, card.user, card.source)
    names = {"traits": "personality", "background": "description", "currently": "scenario"}
    for field, key in names.items():
        if getattr(persona, field) != old[field]:
            text = set_member(text, (*root, key), getattr(persona, field))
    if persona.facts != card.persona.facts:
        raise SettingError(
            f"{card.source}: the facts of {persona.name} are entries of the card's lorebook; "
            "change them there"
        )
    for field in EXTENSION_FIELDS:
        if getattr(persona, field) != getattr(card.persona, field):
            value = to_json(persona)[field]
            text = set_member(text, (*root, "extensions", EXTENSION, field), value)
    changed = card_of_json(text, card.source, look=look or card.look, user=card.user)
    return replace(changed, memories=card.memories)


@check_arguments
def write_character_card(
    card: CharacterCard,
    path: Path | str,
    *,
    version: CardVersion | None = None,
    look: bytes = b"",
) -> None:
    """Write a card to a ``.json`` or ``.png`` file, in its own version or another one.

    In its own version the JSON is written byte for byte as it was read. In another one the fields
    of that version are added, and no field is removed. A PNG file has ``look`` as its picture, else
    the card's own, else a plain one, and the card in the chunk ``chara``; of V3 in ``ccv3``, and as
    V2 in ``chara`` too.
    Raises SettingError for another suffix or version, and OSError.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in (".json", ".png"):
        raise SettingError(f"{target}: a card is written as .json or .png; give one of these names")
    data = (
        card_json(card, version).encode()
        if suffix == ".json"
        else card_png(replace(card, look=look or card.look), version)
    )
    with atomic_path(target) as part:
        part.write_bytes(data)


def card_json(card: CharacterCard, version: CardVersion | None = None) -> str:
    """The JSON of a card in a version (None: its own)."""
    wanted = version or card.version
    if wanted not in CARD_VERSIONS:
        raise SettingError(f"version '{wanted}' of cards is unknown; use v1, v2 or v3")
    if wanted == card.version:
        return card.json
    text, fields = card.json, parse_card_json(card.json, card.source).fields
    if wanted == "v1":
        for name in V1_FIELDS:
            text = set_member(text, (name,), fields.get(name) or "")
        return text
    spec, spec_version = SPECS[wanted]
    text = set_member(text, ("spec",), spec)
    text = set_member(text, ("spec_version",), spec_version)
    if card.version == "v1":
        own = {name: fields.get(name) or "" for name in V1_FIELDS}
        text = set_member(text, ("data",), {**own, **_v2_defaults(), "tags": list(card.tags)})
    if wanted == "v3" and not isinstance(fields.get("group_only_greetings"), list):
        text = set_member(text, ("data", "group_only_greetings"), [])
    return text


def card_png(card: CharacterCard, version: CardVersion | None = None) -> bytes:
    """The PNG file of a card in a version (None: its own)."""
    wanted = version or card.version
    texts = {"chara": card_json(card, wanted)}
    if wanted == "v3":
        v2 = card_json(replace(card, json=texts["chara"], version="v3"), "v2")
        texts = {"chara": v2, "ccv3": texts["chara"]}
    added = [text_chunk(name, base64.b64encode(text.encode())) for name, text in texts.items()]
    chunks = read_png_chunks(card.look or plain_png(*_PLAIN_LOOK), card.source)
    kept = [chunk for chunk in chunks if chunk.keyword not in CARD_KEYWORDS]
    end = PngChunk(b"IEND", b"")
    return write_png_chunks([*(chunk for chunk in kept if chunk.kind != b"IEND"), *added, end])


def _v2_defaults() -> dict[str, Json]:
    return {
        "creator_notes": "",
        "system_prompt": "",
        "post_history_instructions": "",
        "alternate_greetings": [],
        "tags": [],
        "creator": "",
        "character_version": "",
        "extensions": {},
    }


def _new_card_json(persona: Persona, greetings: tuple[str, ...]) -> str:
    spec, spec_version = SPECS["v2"]
    values = to_json(persona)
    data: dict[str, Json] = {
        "name": persona.name,
        "description": persona.background,
        "personality": persona.traits,
        "scenario": persona.currently,
        "first_mes": greetings[0] if greetings else "",
        "mes_example": "",
        **_v2_defaults(),
        "alternate_greetings": list(greetings[1:]),
        "extensions": {EXTENSION: {field: values[field] for field in EXTENSION_FIELDS}},
    }
    if persona.facts:
        entries = [_constant_entry(fact, order) for order, fact in enumerate(persona.facts)]
        data["character_book"] = {"entries": entries, "extensions": {}}
    card = {"spec": spec, "spec_version": spec_version, "data": data}
    return json.dumps(card, ensure_ascii=False, indent=2)


def _constant_entry(fact: str, order: int) -> Json:
    return {
        "keys": [],
        "content": fact,
        "extensions": {},
        "enabled": True,
        "insertion_order": order,
        "constant": True,
    }
