"""The command's frame: the app, its options shared by commands, errors and exit codes."""

from __future__ import annotations

import json
import logging
import sys
from typing import Annotated

import typer
from rich.console import Console

from ..core import DenizensError, Json

app = typer.Typer(
    name="denizens",
    help="Agents that live: simulate a town of local minds, look at it, talk with it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print figures as one JSON object.")]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", help="smollm2, a folder, a GGUF file, a Hugging Face id, improvised."),
]

BAD = 2
"""Exit code for anything the user can mend: a wrong name, file, setting or run."""


def console() -> Console:
    """Where words for people go: standard error, plain when piped."""
    return Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """A line of result on standard output."""
    typer.echo(text)


def print_json(figures: Json) -> None:
    """One JSON object on a line of its own, the last thing a ``--json`` command prints."""
    typer.echo(json.dumps(figures, ensure_ascii=False))


@app.callback()
def frame(
    log_level: Annotated[
        str, typer.Option("--log-level", help="debug, info, warning or error.")
    ] = "warning",
) -> None:
    """Set up logging."""
    level = getattr(logging, log_level.upper(), None)
    if not isinstance(level, int):
        raise typer.BadParameter(f"'{log_level}' is none of debug, info, warning, error")
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    # Libraries draw bars of their own for things that take no time here.
    for name in ("transformers", "sentence_transformers", "torch", "httpx"):
        logging.getLogger(name).setLevel(max(level, logging.ERROR))


def main() -> None:
    """Run the command; an error of ours becomes one line and exit code 2."""
    from . import looking, models, running, talking  # noqa: F401  (they add their commands)

    try:
        app()
    except DenizensError as error:
        typer.echo(f"denizens: {error}", err=True)
        sys.exit(BAD)
