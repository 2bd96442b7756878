"""The commands of ``denizens train``."""

from __future__ import annotations

import typer

from .application import app

train = typer.Typer(
    help="Train voices and critics of lines; needs the extra train.", no_args_is_help=True
)
app.add_typer(train, name="train")
