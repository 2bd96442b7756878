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
    help="Simulate agents with local language models, view their runs, talk with them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, mps.")]
DtypeOption = Annotated[str, typer.Option("--dtype", help="bfloat16, float32 or auto.")]


def _not_blank(value: str | None) -> str | None:
    """Reject a blank name, which an unset shell variable gives: it must not mean "no name"."""
    if value is not None and not value.strip():
        raise typer.BadParameter("is blank; give a name, or omit the option")
    return value


ViewerOption = Annotated[
    str | None,
    typer.Option(
        "--person", callback=_not_blank, help="Only records that everybody or this person may see."
    ),
]
FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")]
CodeOption = Annotated[
    bool,
    typer.Option(
        "--allow-code", help="Load the user code (worlds, planners, tools) that the run names."
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
VoiceOption = Annotated[
    str | None,
    typer.Option(
        "--voice",
        callback=_not_blank,
        metavar="DIR",
        help="The folder of a trained voice; default: the model's own; none: base weights.",
    ),
]

DEFAULT_PORT = 8760
"""Port of a live town."""
DEFAULT_PACE = 3.0
"""Real seconds that a minute of a live town takes."""

ServeOption = Annotated[
    bool, typer.Option("--serve", help="Serve the page of the run while it goes on.")
]
PortOption = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="Port of --serve; 0: any.")
]
HostOption = Annotated[str, typer.Option("--host", help="Address of --serve.")]
LiveKeysOption = Annotated[
    Path | None,
    typer.Option(
        "--keys", help="File of API keys for --serve; made by: denizens serve --keys FILE --new-key"
    ),
]
PaceOption = Annotated[
    float,
    typer.Option(
        "--pace",
        min=0,
        max=3600,
        metavar="SECONDS",
        help="Real seconds of a simulated minute with --serve (0: as fast as the minds think).",
    ),
]
PausedOption = Annotated[
    bool, typer.Option("--paused", help="With --serve: wait for play on the page.")
]

EXIT_USER_ERROR = 2
"""Exit code for errors that the user can correct: a wrong name, file, setting or run."""
EXIT_ASKS_FAILED = 3
"""Exit code of a run in which most asks failed."""
EXIT_INTERRUPTED = 130
"""Exit code after a second Ctrl-C."""


def console() -> Console:
    """The console for messages to people: standard error, plain text when piped."""
    return Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def print_error(text: str) -> None:
    """Print one line about an error to standard error."""
    typer.echo(f"denizens: {' '.join(text.splitlines())}", err=True)


def print_line(text: str) -> None:
    """Print a line of the result to standard output."""
    typer.echo(text)


def print_json(figures: Json) -> None:
    """Print one JSON object on a line of its own, as the last output of a ``--json`` command."""
    typer.echo(json.dumps(figures, ensure_ascii=False))


def shell_quote(path: object) -> str:
    """A path or name quoted for the shell, for hints that are copied.

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
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
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
    # These libraries draw progress bars even for fast operations.
    for name in ("transformers", "sentence_transformers", "torch", "httpx"):
        logging.getLogger(name).setLevel(max(level, logging.ERROR))
