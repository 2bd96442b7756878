"""The commands of ``denizens train``."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..core import SettingError
from .application import (
    EXIT_INTERRUPTED,
    DeviceOption,
    JsonOption,
    app,
    console,
    print_json,
    print_line,
    shell_quote,
)

if TYPE_CHECKING:
    from ..training.sources import TrainingData
    from ..training.voice import OwnLines, TrainedVoice, TrainingProgress, VoiceSettings

train = typer.Typer(
    help="Train voices and critics of lines; needs the extra train.", no_args_is_help=True
)
app.add_typer(train, name="train")

LINE_SECONDS = 15.0
"""The time between two lines of progress where the output is no terminal."""


DataArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="DATA...",
        help="CSV of personas and conversations, run folders, memory files, JSON Lines of chat "
        "messages; also mixed.",
    ),
]
CheckOption = Annotated[
    list[Path] | None,
    typer.Option("--check", help="Data to check on; default: a tenth of DATA."),
]
PeopleOption = Annotated[
    list[str] | None,
    typer.Option("--chats-with", help="A person whose private chats may be learned."),
]
MethodOption = Annotated[
    str, typer.Option("--method", help="lora, full, or frozen (only the last layers).")
]
PersonaOption = Annotated[
    Path | None, typer.Option("--persona", help="The card of the person whose voice it is.")
]
LinesOption = Annotated[
    Path | None, typer.Option("--lines", help="That person's lines: a text file, or .jsonl.")
]
StartOption = Annotated[
    str,
    typer.Option(
        "--start",
        help="The folder of a voice to begin from, or none; with --persona default: the shipped "
        "voice of the model.",
    ),
]
RateOption = Annotated[
    float, typer.Option("--learning-rate", help="0: 6e-4 for lora, 5e-5 full, 1e-4 frozen.")
]
TokensOption = Annotated[
    int, typer.Option("--tokens", help="Tokens to train on; 0: no bound; default: by the data.")
]
MinutesOption = Annotated[float, typer.Option("--minutes", help="Minutes to train; 0: no bound.")]
WindowOption = Annotated[int, typer.Option("--window", help="Most tokens of a dialogue learned.")]
TrainingDtypeOption = Annotated[str, typer.Option("--dtype", help="float32 or bfloat16.")]

DIALOGUE_TOKENS, OWN_TOKENS = 400_000, 40_000
"""Tokens that are trained on by default: on dialogues, on a person's own lines."""


@train.command()
def voice(
    data: DataArgument = None,
    out: Annotated[Path, typer.Option("--out", help="The new voice's folder.")] = Path("voice"),
    method: MethodOption = "lora",
    base: Annotated[str, typer.Option("--base", help="The model, as for --model.")] = "smollm2",
    check: CheckOption = None,
    persona: PersonaOption = None,
    lines: LinesOption = None,
    start: StartOption = "",
    chats_with: PeopleOption = None,
    rank: Annotated[int, typer.Option("--rank", help="The rank of the adapter.")] = 16,
    learning_rate: RateOption = 0.0,
    tokens: TokensOption = -1,
    minutes: MinutesOption = 0.0,
    batch: Annotated[int, typer.Option("--batch", help="Samples a step.")] = 4,
    window: WindowOption = 512,
    seed: Annotated[int, typer.Option("--seed")] = 1,
    device: DeviceOption = "auto",
    dtype: TrainingDtypeOption = "float32",
    json: JsonOption = False,
) -> None:
    """Teach a model to speak, by its own lines in dialogues. The same command continues a training
    that was interrupted."""
    from ..training.voice import VoiceSettings, train_voice

    if (persona is None) != (lines is None):
        raise SettingError("--persona and --lines go together: the card, and the lines")
    if not data and lines is None:
        raise SettingError("train voice: name DATA to learn from, or --persona and --lines")
    settings = VoiceSettings(
        method=method,  # type: ignore[arg-type]
        base=base,
        rank=rank,
        learning_rate=learning_rate,
        tokens=(OWN_TOKENS if lines else DIALOGUE_TOKENS) if tokens < 0 else tokens,
        minutes=minutes,
        batch=batch,
        window=window,
        seed=seed,
        device=device,
        dtype=dtype,
    )
    general, checks = _read_data(data, chats_with), _read_data(check, chats_with)
    own = _own_lines(persona, lines, general, seed)
    with _stop_after_step() as stopped, _progress(console()) as (show, tell):
        result = train_voice(
            general,
            out,
            settings,
            check=checks,
            own=own,
            start=_start_folder(start, settings, own),
            listener=show,
            tell=tell,
            stopped=stopped,
        )
    _print_result(result, json)


def _read_data(paths: list[Path] | None, people: list[str] | None) -> TrainingData | None:
    """The data in files, whose contents are printed; None without files."""
    if not paths:
        return None
    from ..training.sources import read_training_data

    data = read_training_data(paths, people=tuple(people or ()))
    for source in data.sources:
        console().print(str(source))
    return data


def _own_lines(
    persona: Path | None, lines: Path | None, general: TrainingData | None, seed: int
) -> OwnLines | None:
    """A person's lines; None if none are given."""
    if persona is None or lines is None:
        return None
    from ..core import Persona
    from ..models import load_embedder
    from ..training.voice import read_own_lines

    return read_own_lines(
        Persona.load(persona),
        lines,
        general=general.dialogues if general else (),
        embed=load_embedder().vectors if general else None,
        seed=seed,
    )


def _start_folder(start: str, settings: VoiceSettings, own: OwnLines | None) -> Path | None:
    """The voice to begin from; None for none."""
    from ..models.files import shipped_voice

    if start:
        return None if start == "none" else Path(start)
    is_adapter = own is not None and settings.method == "lora"
    return shipped_voice(settings.base) if is_adapter else None


def _print_result(result: TrainedVoice, as_json: bool) -> None:
    """Print what came of it; raises Exit if it was interrupted."""
    from ..training.voice import read_voice

    folder = shell_quote(result.folder)
    if not result.finished:
        console().print(
            f"stopped after {result.history.tokens:,} tokens; the same command continues it"
        )
        raise typer.Exit(EXIT_INTERRUPTED)
    facts = read_voice(result.folder) or {}
    before, after = facts.get("before", {}), facts.get("after", {})
    if as_json:
        training = facts.get("training", {})
        figures = {key: training.get(key) for key in ("steps", "tokens", "seconds", "ended")}
        print_json({"voice": str(result.folder), **figures, "before": before, "after": after})
        return
    print_line(f"nats a token of true lines: {before.get('nll')} before, {after.get('nll')} after")
    print_line(f"report: {folder}/report.html")
    if facts.get("method") == "lora":
        print_line(f"use it with: denizens chat larkspur NAME --voice {folder}")
    else:
        print_line(f"use it with: denizens chat larkspur NAME --model {folder}")


@contextmanager
def _stop_after_step() -> Iterator[Callable[[], bool]]:
    """Yields a function that says whether Ctrl-C was pressed or the process told to end; the second
    Ctrl-C breaks it off."""
    asked: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        console().print("Stopping after this step (Ctrl-C again breaks it off).")

    before = {kind: signal.signal(kind, stop) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


@contextmanager
def _progress(
    console: Console,
) -> Iterator[tuple[Callable[[TrainingProgress], None], Callable[[str], None]]]:
    """Yields a function that shows how far a training has come, on a terminal in one line that is
    redrawn, else from time to time in a new one; and one that prints a line."""
    line, printed_at, check = "", 0.0, -1.0

    def show(progress: TrainingProgress) -> None:
        nonlocal line, printed_at, check
        line = progress_line(progress)
        due = progress.check != check or progress.seconds - printed_at >= LINE_SECONDS
        if due and not console.is_terminal:
            printed_at, check = progress.seconds, progress.check
            console.print(line)

    if not console.is_terminal:
        yield show, console.print
        return
    with Live(get_renderable=lambda: Text(line), console=console, refresh_per_second=4):
        yield show, console.print


def progress_line(progress: TrainingProgress) -> str:
    """How far a training has come, in a line."""
    left = progress.seconds_left
    minutes = f", about {left / 60:.0f} min left" if left == left else ""
    loss = f", loss {progress.loss:.3f}" if progress.loss == progress.loss else ""
    return (
        f"{100 * progress.share:3.0f} %  step {progress.step}, {progress.tokens:,} tokens{loss}, "
        f"check {progress.check:.3f} (best {progress.best:.3f}){minutes}"
    )
