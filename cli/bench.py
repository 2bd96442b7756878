"""bench engine, bench decisions, bench schemas."""

from __future__ import annotations

import typer

from .app import app

bench = typer.Typer(help="Measure this machine, as ratios in one run.", no_args_is_help=True)
app.add_typer(bench, name="bench")
