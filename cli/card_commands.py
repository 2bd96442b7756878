"""The commands of ``denizens card``: character cards of SillyTavern and other front ends."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core import SettingError
from .application import JsonOption, app, print_json, print_line

card = typer.Typer(help="Read and write character cards.", no_args_is_help=True)
app.add_typer(card, name="card")


@card.command()
def show(
    file: Annotated[Path, typer.Argument(metavar="CARD", help="A card, as JSON or PNG.")],
    json: JsonOption = False,
) -> None:
    """Say what a card becomes: persona, facts, memories and greetings; and its creator's notes."""
    from ..core import to_json
    from ..interop.cards import load_character_card

    read = load_character_card(file)
    if json:
        records = [record.text for record in read.memories]
        about = {"version": read.version, "tags": read.tags, "creator": read.creator}
        print_json(
            {"persona": to_json(read.persona), "memories": records, "greetings": read.greetings}
            | {**about, "creator_notes": read.creator_notes, "picture": bool(read.look)}
        )
        return
    persona = read.persona
    print_line(f"{persona.name}, {persona.age} (card {read.version.upper()})")
    for what, text in (
        ("traits", persona.traits),
        ("background", persona.background),
        ("currently", persona.currently),
        ("creator", read.creator),
        ("creator's notes", read.creator_notes),
        ("tags", ", ".join(read.tags)),
        *((f"greeting {index}", text) for index, text in enumerate(read.greetings)),
        *(("fact", text) for text in persona.facts),
        *((f"memory ({record.object})", record.text) for record in read.memories),
    ):
        if text:
            print_line(f"{what}: {' '.join(text.split())}")


@card.command()
def export(
    source: Annotated[
        Path,
        typer.Argument(metavar="SOURCE", help="A card, a persona's file, a scenario, or a run."),
    ],
    to: Annotated[Path, typer.Argument(metavar="OUT", help="The .json or .png file to write.")],
    agent: Annotated[
        str | None, typer.Option("--agent", help="Who, of a scenario or a run with several.")
    ] = None,
    version: Annotated[
        str | None, typer.Option("--version", help="v1, v2 or v3; default: the card's own, or v2.")
    ] = None,
    image: Annotated[
        Path | None, typer.Option("--image", help="The picture, a PNG file; default: the card's.")
    ] = None,
) -> None:
    """Write a character card. What the package does not use of a card is written as it was."""
    from ..interop.cards import CARD_VERSIONS, find_card, load_look, write_character_card

    wanted = next((known for known in CARD_VERSIONS if known == version), None)
    if version is not None and wanted is None:
        raise SettingError(f"--version '{version}': is unknown; use {', '.join(CARD_VERSIONS)}")
    found = find_card(source, agent)
    look = load_look(image) if image else b""
    write_character_card(found, to, version=wanted, look=look)
    print_line(f"{to}: the card of {found.name}")
