"""The typer application, options shared by commands, exit codes and printing."""

from __future__ import annotations

import json
import logging
import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..core import Json

app = typer.Typer(
    name="denizens",
    help="Agents that live: simulate a town of local minds, look at it, talk with it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print figures as one JSON object.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, mps.")]
DtypeOption = Annotated[str, typer.Option("--dtype", help="bfloat16, float32 or auto.")]


def _not_blank(value: str | None) -> str | None:
    """A blank name, as of a variable that is not set, must not stand for no name at all."""
    if value is not None and not value.strip():
        raise typer.BadParameter("is blank; give a name, or leave the option out")
    return value


ViewerOption = Annotated[
    str | None,
    typer.Option(
        "--person", callback=_not_blank, help="Only what is for everybody or for this person."
    ),
]
FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")]
CodeOption = Annotated[
    bool,
    typer.Option(
        "--allow-code", help="Load worlds, planners and tools of one's own that the run names."
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="smollm2, a folder, a GGUF file, a Hugging Face id, improvised; or another engine: "
        "openai:URL#name, llamacpp:FILE.gguf.",
    ),
]

EXIT_USER_ERROR = 2
"""Exit code for anything the user can mend: a wrong name, file, setting or run."""
EXIT_ASKS_FAILED = 3
"""Exit code of a run most of whose asks failed."""
EXIT_INTERRUPTED = 130
"""Exit code after a second Ctrl-C."""


def console() -> Console:
    """Where words for people go: standard error, plain when piped."""
    return Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def print_error(text: str) -> None:
    """One line about what went wrong, on standard error."""
    typer.echo(f"denizens: {' '.join(text.splitlines())}", err=True)


def print_line(text: str) -> None:
    """A line of result on standard output."""
    typer.echo(text)


def print_json(figures: Json) -> None:
    """One JSON object on a line of its own, the last thing a ``--json`` command prints."""
    typer.echo(json.dumps(figures, ensure_ascii=False))


def shell_quote(path: object) -> str:
    """A path or name as it is typed in a shell, for hints that are copied.

    >>> shell_quote("runs/my town-1"), shell_quote("runs/town")
    ("'runs/my town-1'", 'runs/town')
    """
    return shlex.quote(str(path))


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print_line(f"denizens {version('denizens')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
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
