"""The commands of ``denizens bench``, also those of ``bench blind``: a blind comparison of two
speakers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ..core import Json, SettingError, did_you_mean
from .application import DeviceOption, DtypeOption, JsonOption, app, console, print_json, print_line

bench = typer.Typer(
    help="Benchmarks; most figures are ratios measured in one run.", no_args_is_help=True
)
app.add_typer(bench, name="bench")

TransformersModelOption = Annotated[
    str, typer.Option("--model", help="A model transformers can load.")
]
VoiceOption = Annotated[
    str | None,
    typer.Option("--voice", help="A folder of a trained voice, or none (default: the model's)."),
]
BfclOption = Annotated[
    Path | None, typer.Option("--data", help="The folder that holds BFCL_v4_*.jsonl, or bfcl/.")
]


def selected_parts(command: str, part: list[str] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    """The parts to measure: those named, or all. Raises SettingError for an unknown part."""
    for name in part or ():
        if name not in known:
            raise SettingError(f"bench {command}: no part '{name}'{did_you_mean(name, known)}")
    return tuple(part or known)


def run_benchmark(measure: Callable[..., Json], *arguments: object, **settings: object) -> Json:
    """Call ``measure`` and show its progress: a spinner on a terminal, else lines."""
    from .live_progress import loading_line

    with loading_line(console()) as progress:
        return measure(*arguments, progress=progress, **settings)


@bench.command()
def engine(
    model: TransformersModelOption = "smollm2",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    part: Annotated[
        list[str] | None,
        typer.Option(
            "--part",
            help="town_load, uniform_64, single, chat, sampling, voices; all if none.",
        ),
    ] = None,
    trace: Annotated[
        Path | None, typer.Option("--trace", help="The folder of a run whose asks are replayed.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A quarter of each load.")] = False,
    json: JsonOption = False,
) -> None:
    """Throughput compared with transformers' generate, with one request at a time, and with
    llama.cpp if installed."""
    from ..benchmarks.models import ENGINE_PARTS, measure_engine, measure_trace
    from ..models import load_model

    parts = selected_parts("engine", part, ENGINE_PARTS) if part or not trace else ()
    figures = run_benchmark(
        measure_engine, model, device=device, dtype=dtype, parts=parts, quick=quick
    )
    if trace is not None:
        load = partial(load_model, model, device=device, dtype=dtype)
        figures |= run_benchmark(measure_trace, load, trace)
    print_figures(figures, json)


def print_figures(figures: Json, as_json: bool) -> None:
    """Print figures as one JSON object, or one on a line."""
    if as_json:
        print_json(figures)
        return
    for name, figure in flatten(figures):
        print_line(f"{name:40} {figure}")


@bench.command()
def schemas(
    model: TransformersModelOption = "smollm2",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    answers: Annotated[int, typer.Option("--answers", min=1, help="Number of answers.")] = 1000,
    json: JsonOption = False,
) -> None:
    """Schema-constrained answers to fifty JSON schemas: validity, completeness, cost compared with
    free answers."""
    from ..benchmarks.models import measure_schemas
    from ..models import load_local

    figures = run_benchmark(
        measure_schemas, load_local(model, device=device, dtype=dtype), generations=answers
    )
    print_figures({"schemas": figures}, json)


@bench.command()
def decisions(
    data: BfclOption = None,
    model: TransformersModelOption = "smollm2",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    part: Annotated[
        list[str] | None,
        typer.Option("--part", help="tools, importance, reactions, choose_8; all if none."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Decisions on tools, importance and conversations: accuracy and latency."""
    from ..benchmarks import data_folder
    from ..benchmarks.models import DECISION_PARTS, measure_decisions

    parts = selected_parts("decisions", part, DECISION_PARTS)
    folder = data_folder(None if data is None else str(data))
    figures = run_benchmark(
        measure_decisions, model, device=device, dtype=dtype, data=folder, parts=parts
    )
    print_figures(figures, json)


@bench.command()
def tools(
    data: BfclOption = None,
    model: TransformersModelOption = "smollm2",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    part: Annotated[
        list[str] | None,
        typer.Option(
            "--part",
            help="simple_python, multiple, live_multiple, irrelevance, search; all if none.",
        ),
    ] = None,
    receipts: Annotated[
        Path | None, typer.Option("--receipts", help="File for a line of JSON per request.")
    ] = None,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            "--calibrate",
            help="Fit the weights of argument filling, write them to this file, and exit.",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A few requests of each part.")] = False,
    json: JsonOption = False,
) -> None:
    """Whole tool calls by name and arguments, and choosing among a thousand tools."""
    from ..benchmarks import data_folder
    from ..benchmarks.agents import TOOL_PARTS, calibrate_arguments, measure_tools

    parts = selected_parts("tools", part, TOOL_PARTS)
    folder = data_folder(None if data is None else str(data))
    if calibrate is not None:
        run_benchmark(
            calibrate_arguments,
            model,
            calibrate,
            device=device,
            dtype=dtype,
            data=folder,
            parts=parts,
        )
        return
    figures = run_benchmark(
        measure_tools,
        model,
        device=device,
        dtype=dtype,
        data=folder,
        parts=parts,
        quick=quick,
        receipts=receipts,
    )
    print_figures(figures, json)


@bench.command()
def memory(
    data: Annotated[
        Path | None, typer.Option("--data", help="Conversations in LoCoMo's format.")
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option("--part", help="quality, known, speed, claims, harm; all if none."),
    ] = None,
    receipts: Annotated[
        Path | None, typer.Option("--receipts", help="File for a line of JSON per question.")
    ] = None,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            "--calibrate",
            help="Fit the weights of answerability, write them to this file, and exit.",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer questions, smaller sizes.")] = False,
    json: JsonOption = False,
) -> None:
    """Recall quality, answerability, speed, temporal facts, and fault injection."""
    from ..benchmarks.memory import MEMORY_PARTS, calibrate_answerability, measure_memory

    parts = selected_parts("memory", part, MEMORY_PARTS)
    if calibrate is not None:
        run_benchmark(calibrate_answerability, data, calibrate)
        return
    figures = run_benchmark(measure_memory, parts, data=data, quick=quick, to=receipts)
    print_figures(figures, json)


@bench.command()
def tasks(
    model: Annotated[
        str,
        typer.Option(
            "--model", help="A model, or 'perfect': a scripted one that solves the tasks."
        ),
    ] = "perfect",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    planner: Annotated[
        list[str] | None,
        typer.Option(
            "--planner", help="react, plan_and_execute, reflexion, deliberate; all if none."
        ),
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", help="A task by name; all if none.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Twelve tasks with tools that work, fail or lie, by planner: solved tasks and number of
    asks."""
    from ..benchmarks.agents import BENCHMARK_TASKS, TASK_PLANNERS, measure_tasks

    planners = selected_parts("tasks", planner, tuple(TASK_PLANNERS))
    names = selected_parts("tasks", task, tuple(problem.name for problem in BENCHMARK_TASKS))
    figures = run_benchmark(
        measure_tasks, model, device=device, dtype=dtype, planners=planners, tasks=names
    )
    print_figures(figures, json)


@bench.command()
def understanding(
    model: TransformersModelOption = "smollm2",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    part: Annotated[
        list[str] | None, typer.Option("--part", help="intent, sentiment, language; all if none.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Classification of intent, sentiment and language: accuracy."""
    from ..benchmarks.models import UNDERSTANDING_PARTS, measure_understanding

    parts = selected_parts("understanding", part, UNDERSTANDING_PARTS)
    figures = run_benchmark(measure_understanding, model, device=device, dtype=dtype, parts=parts)
    print_figures(figures, json)


@bench.command()
def dialogue(
    model: TransformersModelOption = "smollm2",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    voice: VoiceOption = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="A CSV file of dialogues (default: persona_chat/check.csv)."),
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(
            "--part",
            help="nll, replies, told, learned, discriminator, town; all if none.",
        ),
    ] = None,
    items: Annotated[
        int, typer.Option("--items", min=0, help="Dialogues to take (0: 50 to 150, by the part).")
    ] = 0,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            help="Folder for the runs of part town and their dialogues.txt; runs there are read.",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few dialogues, one seed.")] = False,
    json: JsonOption = False,
) -> None:
    """Conversation: likelihood of true lines, the right reply among 20, facts told and learned,
    and the lines of five mornings in Larkspur."""
    from ..benchmarks.dialogue import DIALOGUE_PARTS, measure_dialogue

    parts = selected_parts("dialogue", part, DIALOGUE_PARTS)
    figures = run_benchmark(
        measure_dialogue,
        model,
        device=device,
        dtype=dtype,
        voice=voice,
        data=data,
        parts=parts,
        items=items,
        keep=keep,
        quick=quick,
    )
    print_figures(figures, json)


@bench.command()
def chat(
    model: TransformersModelOption = "smollm2",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    people: Annotated[int, typer.Option("--people", min=2, help="How many chat at once.")] = 32,
    messages: Annotated[int, typer.Option("--messages", min=1, help="Messages of each.")] = 2,
    drafts: Annotated[int, typer.Option("--drafts", min=1, help="Drafts of each reply.")] = 1,
    json: JsonOption = False,
) -> None:
    """Chats of many people at once with one agent, compared with the same chats one after another:
    tokens per second, time to the first piece."""
    from ..benchmarks.agents import measure_chats

    figures = run_benchmark(
        measure_chats,
        model,
        device=device,
        dtype=dtype,
        chats=people,
        messages=messages,
        drafts=drafts,
    )
    print_figures(figures, json)


@bench.command()
def labels(
    scenario: Annotated[str, typer.Argument(help="A scenario's name or file.")] = "larkspur",
    json: JsonOption = False,
) -> None:
    """Which share of the records of a day is confidential or rests on the words of others."""
    from ..benchmarks.agents import measure_labels
    from ..interop import load_scenario

    figures = run_benchmark(measure_labels, load_scenario(scenario))
    print_figures(figures, json)


@bench.command("serve")
def serve_load(
    part: Annotated[
        list[str] | None,
        typer.Option("--part", help="load, burst, disconnects, slow_readers; all if none."),
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", help="How long part load lasts.")] = 60.0,
    clients: Annotated[int, typer.Option("--clients", min=1, help="Clients of part load.")] = 64,
    json: JsonOption = False,
) -> None:
    """The web server on the loopback and a scripted model: 64 streaming clients, 1,000 requests at
    once, 500 disconnects, 100 clients that read a byte a second."""
    from ..benchmarks.server import SERVER_PARTS, measure_server

    parts = selected_parts("serve", part, SERVER_PARTS)
    figures = run_benchmark(measure_server, parts=parts, seconds=seconds, clients=clients)
    print_figures(figures, json)


def flatten(figures: Json, before: str = "") -> Iterator[tuple[str, Json]]:
    """Nested figures with their full names."""
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


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
