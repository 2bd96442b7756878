"""Reading cards: from a JSON or PNG file to a persona with memories, greetings and a picture."""

from __future__ import annotations

import base64
import binascii
import logging
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from ...core import (
    Json,
    Persona,
    SettingError,
    Time,
    build_settings,
    check_arguments,
    decode_text,
    reserved_sign,
)
from .card_macros import fill_macros
from .character_card import EXTENSION, CharacterCard, ParsedCard, parse_card_json
from .lorebook import lore_records
from .png_chunks import SIGNATURE, PngChunk, chunk_text, read_png_chunks, write_png_chunks

log = logging.getLogger(__name__)

CARD_SUFFIXES = (".json", ".png")
MAX_PNG_BYTES = 32 * 2**20
MAX_JSON_BYTES = 16 * 2**20
CARD_KEYWORDS = ("ccv3", "chara")
"""Keywords of the chunks that hold a card, the one that counts first."""
EXTENSION_FIELDS = ("age", "lifestyle", "daily", "home", "knows", "routine")
"""Fields of a Persona that cards lack. Others (its voice, how often it reflects) are the
application's, not the card's."""
_MAX_NAME_CHARS = 200
_AGE = re.compile(r"\bage\b\W{0,4}(\d{1,3})\b|\b(\d{1,3})[ -]years?[ -]old\b", re.IGNORECASE)
_OTHER_FORMATS = (
    (b"PK\x03\x04", "is a CHARX archive (or another zip file), which is not read"),
    (b"RIFF", "is a WebP picture, whose cards are not read"),
    (b"\xff\xd8\xff", "is a JPEG picture, which holds no card"),
)


@check_arguments
def load_character_card(
    path: Path | str, *, user: str = "the visitor", at: Time | None = None
) -> CharacterCard:
    """A character card of the versions V1, V2 or V3, from a JSON file or a PNG file.

    The persona has the card's personality as traits, its description as background, its scenario
    as what it is currently doing, and the constant entries of its lorebook as facts; the other
    entries become ``memories``, created ``at`` (None: now). ``user`` is what ``{{user}}`` stands
    for in them. Raises SettingError, naming the file and the remedy, for whatever cannot be read.
    """
    source = Path(path)
    data = _read_bytes(source)
    look = b""
    if data.startswith(SIGNATURE):
        chunks = read_png_chunks(data, source)
        text = _card_text(chunks, source)
        look = write_png_chunks(chunk for chunk in chunks if chunk.keyword not in CARD_KEYWORDS)
    else:
        text = decode_text(data, source)
    return card_of_json(text, source, look=look, user=user, at=at)


@check_arguments
def load_cards(
    folder: Path | str, *, user: str = "the visitor", at: Time | None = None
) -> tuple[CharacterCard, ...]:
    """The cards in a folder, by file name; files that are neither JSON nor PNG are passed over.

    Raises SettingError for a card that cannot be read, for two cards of one name, and if the folder
    has none.
    """
    home = Path(folder)
    if not home.is_dir():
        raise SettingError(f"{home}: is no folder; give a folder of character cards")
    files = sorted(
        file
        for file in home.iterdir()
        if file.suffix.lower() in CARD_SUFFIXES and file.is_file() and file.name[0] != "."
    )
    cards = tuple(load_character_card(file, user=user, at=at) for file in files)
    if not cards:
        raise SettingError(f"{home}: has no character cards (files .json or .png); put some there")
    names: dict[str, Path] = {}
    for card in cards:
        other = names.setdefault(card.name.casefold(), card.source)
        if other != card.source:
            raise SettingError(
                f"{card.source}: is a card of '{card.name}', as {other.name} is; rename one of "
                "the characters, or remove one file"
            )
    return cards


def card_of_json(
    text: str,
    source: Path | str,
    *,
    look: bytes = b"",
    user: str = "the visitor",
    at: Time | None = None,
) -> CharacterCard:
    """The card of a JSON text. Raises SettingError as ``load_character_card`` does."""
    parsed = parse_card_json(text, source)
    fields = parsed.fields
    persona = _persona_of(parsed, source, user)
    records = lore_records(
        parsed.entries,
        char=persona.name,
        user=user,
        at=at or datetime.now().replace(microsecond=0),
        source=source,
    )
    greetings = [fields.get("first_mes") or "", *(fields.get("alternate_greetings") or ())]
    return CharacterCard(
        persona=persona,
        memories=records,
        greetings=tuple(greeting for greeting in greetings if greeting.strip()),
        version=parsed.version,
        json=text,
        look=look,
        source=Path(source),
        user=user,
        tags=tuple(fields.get("tags") or ()),
        creator=fields.get("creator") or "",
        creator_notes=fields.get("creator_notes") or "",
    )


def persona_texts(fields: Mapping[str, Json], name: str, user: str, source: Path | str) -> Json:
    """The fields of a Persona that a card's own fields give, with their macros filled."""

    def filled(key: str) -> str:
        return fill_macros(fields.get(key) or "", char=name, user=user, source=source).strip()

    return {
        "traits": filled("personality"),
        "background": filled("description"),
        "currently": filled("scenario"),
    }


def _persona_of(parsed: ParsedCard, source: Path | str, user: str) -> Persona:
    fields = parsed.fields
    name = _name_of(fields, source)
    facts = [
        " ".join(fill_macros(entry.content, char=name, user=user, source=source).split())
        for entry in parsed.entries
        if entry.constant
    ]
    return build_settings(
        Persona,
        {
            "name": name,
            **persona_texts(fields, name, user, source),
            "facts": tuple(fact for fact in facts if fact),
            "age": _age_in(fields.get("description") or ""),
            "lifestyle": f"{name} wakes up around 7am, goes to bed around 11pm.",
            **_own_extension(fields, source),
        },
        source,
    )


def _own_extension(fields: Mapping[str, Json], source: Path | str) -> dict[str, Json]:
    """What ``extensions.denizens`` says of the fields that cards lack."""
    extensions = fields.get("extensions") or {}
    own = extensions.get(EXTENSION) if isinstance(extensions, dict) else None
    if own is None:
        return {}
    if not isinstance(own, dict):
        raise SettingError(
            f"{source}: extensions.{EXTENSION} must be an object with any of "
            f"{', '.join(EXTENSION_FIELDS)}; correct it"
        )
    if ignored := sorted(set(own) - set(EXTENSION_FIELDS)):
        log.warning("%s: extensions.%s: not used: %s", source, EXTENSION, ", ".join(ignored)[:200])
    return {key: value for key, value in own.items() if key in EXTENSION_FIELDS}


def _name_of(fields: Mapping[str, Json], source: Path | str) -> str:
    """The nickname, else the name, without the signs that no name may have."""
    written = " ".join((fields.get("nickname") or fields.get("name") or "").split())
    name = written.replace("\0", "")
    while sign := reserved_sign(name):
        name = " ".join(name.replace(sign, " ").split())
    if not name:
        raise SettingError(f"{source}: the card has no name; give it one in a card editor")
    if len(name) > _MAX_NAME_CHARS:
        raise SettingError(
            f"{source}: the card's name is longer than {_MAX_NAME_CHARS} characters; shorten it"
        )
    if name != written:
        log.warning("%s: the name '%s' is read as '%s'", source, written, name)
    return name


def _age_in(description: str) -> int:
    match = _AGE.search(description)
    age = int(match[1] or match[2]) if match else 0
    return age or 30


def _read_bytes(source: Path) -> bytes:
    """The bytes of a file that may be a card, no more than one may have."""
    if source.is_dir():
        raise SettingError(f"{source}: is a folder; give a card, a JSON or PNG file")
    try:
        with source.open("rb") as file:
            data = file.read(MAX_PNG_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingError(f"{source}: cannot be read ({reason}); check the path") from error
    limit = MAX_PNG_BYTES if data.startswith(SIGNATURE) else MAX_JSON_BYTES
    if len(data) > limit:
        raise SettingError(
            f"{source}: is larger than {limit // 2**20} MB, the most that a card may have; shrink "
            "its picture or its lorebook"
        )
    for start, what in _OTHER_FORMATS:
        if data.startswith(start):
            raise SettingError(f"{source}: {what}; export it as PNG or JSON from its front end")
    return data


def _card_text(chunks: tuple[PngChunk, ...], source: Path) -> str:
    """The JSON in the chunk that counts: ``ccv3``, else ``chara``."""
    for keyword in CARD_KEYWORDS:
        for chunk in chunks:
            if chunk.keyword == keyword:
                return _decoded(chunk_text(chunk, source), keyword, source)
    raise SettingError(
        f"{source}: is a picture without a character card (no chunk {' or '.join(CARD_KEYWORDS)}); "
        "save the original file, since copies by web pages and messengers lose the card"
    )


def _decoded(data: bytes, keyword: str, source: Path) -> str:
    """The text of base64, or of plain JSON as some tools write it."""
    if data.lstrip()[:1] != b"{":
        try:
            data = base64.b64decode(b"".join(data.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise SettingError(
                f"{source}: the card in its chunk {keyword} is not base64; export the card again"
            ) from error
    return decode_text(data, f"{source}: chunk {keyword}")
