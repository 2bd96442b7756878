"""The commands of ``denizens bench blind``: a blind comparison of two speakers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .application import DeviceOption, DtypeOption, JsonOption, print_line
from .bench_commands import (
    TransformersModelOption,
    VoiceOption,
    bench,
    print_figures,
    selected_parts,
)

blind = typer.Typer(
    help="A blind comparison of two speakers: situations, lines, ballots, verdicts.",
    no_args_is_help=True,
)
bench.add_typer(blind, name="blind")

SituationsArgument = Annotated[
    Path, typer.Argument(metavar="SITUATIONS", help="A file of situations.")
]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of what is drawn.")]
KeyOption = Annotated[Path, typer.Option("--key", help="The file that says which line is whose.")]


@blind.command()
def situations(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write them.")],
    run: Annotated[
        list[Path] | None, typer.Option("--run", help="A run's folder; may be repeated.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="A CSV file of dialogues (default: persona_chat/check.csv)."),
    ] = None,
    count: Annotated[
        int, typer.Option("--count", min=1, help="Situations from runs, and from dialogues.")
    ] = 50,
    seed: SeedOption = 1,
) -> None:
    """Draw situations from the conversations of runs and from dialogues of a file."""
    from ..benchmarks.dialogue import (
        dialogue_file,
        read_conversations,
        talk_situations,
        town_situations,
        write_situations,
    )
    from ..training import read_persona_csv

    talks = [talk for folder in run or () for talk in read_conversations(folder)]
    drawn = town_situations(talks, count, seed=seed)
    dialogues = read_persona_csv(dialogue_file(data))
    drawn += talk_situations(dialogues, count, seed=seed, first_id=len(drawn) + 1)
    write_situations(drawn, file)
    print_line(f"{file}: {len(drawn)} situations")


@blind.command()
def speak(
    situations: SituationsArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the lines.")],
    speaker: Annotated[
        str, typer.Option("--as", help="planner, or role-play: one plain generation.")
    ] = "planner",
    model: TransformersModelOption = "smollm2",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    voice: VoiceOption = None,
) -> None:
    """Write the line that a speaker says in each situation."""
    from ..benchmarks.dialogue import planner_lines, read_situations, role_play_lines, write_lines
    from ..models import load_model

    (kind,) = selected_parts("blind speak", [speaker], ("planner", "role-play"))
    given = read_situations(situations)
    loaded = load_model(model, device=device, dtype=dtype, voice=voice)
    say = planner_lines if kind == "planner" else role_play_lines
    write_lines(say(loaded, given), file)
    print_line(f"{file}: {len(given)} lines")


@blind.command()
def ballots(
    situations: SituationsArgument,
    before: Annotated[Path, typer.Option("--before", help="The lines of one speaker.")],
    after: Annotated[Path, typer.Option("--after", help="The lines of the other.")],
    out: Annotated[Path, typer.Option("--out", help="The file for judges.")],
    key: KeyOption,
    seed: SeedOption = 1,
) -> None:
    """Write a file for judges, who cannot see which line is whose."""
    from ..benchmarks.dialogue import read_lines, read_situations, write_ballots

    given = read_situations(situations)
    write_ballots(given, read_lines(before), read_lines(after), out, key, seed=seed)
    print_line(f"{out}: for the judges; {key}: the key, not for them")


@blind.command()
def verdicts(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="The answers of each judge.")
    ],
    key: KeyOption,
    json: JsonOption = False,
) -> None:
    """How often the lines of "after" were preferred, with a 95 % Wilson interval."""
    from ..benchmarks.dialogue import read_verdicts

    print_figures(read_verdicts(files, key), json)
