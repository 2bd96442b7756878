"""The commands run, resume, verify, replay, fork and new."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core import (
    ApprovalRequired,
    AsksFailed,
    Json,
    RunError,
    RunExists,
    SettingError,
    Time,
    to_json,
)
from .application import (
    DEFAULT_PACE,
    DEFAULT_PORT,
    EXIT_ASKS_FAILED,
    EXIT_USER_ERROR,
    CodeOption,
    FolderArgument,
    HostOption,
    JsonOption,
    LiveKeysOption,
    ModelOption,
    PaceOption,
    PausedOption,
    PortOption,
    ServeOption,
    VoiceOption,
    app,
    console,
    print_error,
    print_json,
    print_line,
    shell_quote,
)
from .approval_commands import print_requests
from .cost_tables import forecast_lines, usage_lines

if TYPE_CHECKING:
    from ..simulation import Scenario, Simulation

StepsOption = Annotated[int | None, typer.Option("--steps", min=0, help="At most so many steps.")]
UntilOption = Annotated[
    str | None, typer.Option("--until", help='Simulated time to stop at: "2023-02-13 12:00".')
]
CapOption = Annotated[
    int | None,
    typer.Option(
        "--max-tokens-per-day",
        min=0,
        metavar="N",
        help="Stop before a simulated day costs more tokens, read and written (0: no cap).",
    ),
]
PlannerOption = Annotated[
    str | None, typer.Option("--planner", help="daily, routine, or package.module:Class.")
]
RunFolderOption = Annotated[
    Path | None, typer.Option("--run", help="Folder for the run (default runs/NAME-SEED).")
]
ExactOption = Annotated[
    bool, typer.Option("--exact", help="float32, no cache reuse: equal runs are equal.")
]
DevicesOption = Annotated[
    str | None, typer.Option("--device", help="auto, cpu, cuda, mps; or several: cuda:0,cuda:1.")
]
KeepGoingOption = Annotated[
    bool, typer.Option("--keep-going", help="Go on though most asks of a role fail.")
]
AddOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--add", metavar="CARD", help="A character card whose character joins; may be repeated."
    ),
]


@app.command()
def run(
    scenario: Annotated[
        str,
        typer.Argument(
            metavar="SCENARIO", help="A TOML file, a built-in name, or a Smallville folder."
        ),
    ],
    steps: StepsOption = None,
    until: UntilOption = None,
    seed: Annotated[int | None, typer.Option("--seed", help="The run's seed.")] = None,
    model: ModelOption = None,
    voice: VoiceOption = None,
    planner: PlannerOption = None,
    folder: RunFolderOption = None,
    exact: ExactOption = False,
    device: DevicesOption = None,
    max_tokens_per_day: CapOption = None,
    keep_going: KeepGoingOption = False,
    add: AddOption = None,
    forecast: Annotated[
        bool, typer.Option("--forecast", help="Only estimate calls, tokens and time; run nothing.")
    ] = False,
    serve: ServeOption = False,
    port: PortOption = DEFAULT_PORT,
    host: HostOption = "127.0.0.1",
    keys: LiveKeysOption = None,
    pace: PaceOption = DEFAULT_PACE,
    paused: PausedOption = False,
    json: JsonOption = False,
) -> None:
    """Run a scenario from its beginning and record it in a folder; with --serve as a live town,
    on a page into which one can walk."""
    settings = _scenario_with_cards(scenario, add or []).with_overrides(
        seed=seed,
        model=model,
        voice=voice,
        planner=planner,
        exact=exact,
        device=device,
        max_tokens_per_day=max_tokens_per_day,
    )
    end = _end_time(settings, until, steps)
    if end is not None and end <= settings.start:
        raise SettingError(f"run: --until {end} is not after the scenario's start {settings.start}")
    if forecast:
        _print_forecast(settings, end, steps, json)
        return
    target = folder or _free_folder(f"{settings.scenario.name or 'run'}-{settings.scenario.seed}")
    if serve:
        from .view_commands import LiveOptions, require_serving, serve_simulation

        options = LiveOptions(host, port, keys, pace, not paused)
        require_serving(options, steps, json)
        serve_simulation(_begin_run(settings, target, keep_going), target, end, options)
    else:
        _run_to_end(_begin_run(settings, target, keep_going), target, end, steps, json)


def _scenario_with_cards(name: str, cards: Sequence[Path]) -> Scenario:
    """A scenario, and the characters of cards among its people."""
    from ..interop import load_scenario
    from ..interop.cards import add_card, load_character_card

    scenario = load_scenario(name)
    for path in cards:
        scenario = add_card(scenario, load_character_card(path))
    return scenario


def _begin_run(scenario: Scenario, folder: Path, keep_going: bool) -> Simulation:
    """Start recording a run. Raises RunExists when the folder holds one."""
    from ..simulation import begin
    from .live_progress import loading_line

    out = console()
    out.print(f"Waking {len(scenario.people)} people; the run is recorded in {folder}")
    try:
        with loading_line(out) as show:
            return begin(scenario, folder, progress=show, keep_going=keep_going)
    except RunExists as error:
        raise RunExists(
            f"{folder}: already holds a run; continue it: denizens resume {shell_quote(folder)}, "
            "or give another folder with --run"
        ) from error


def _print_forecast(scenario: Scenario, end: Time | None, steps: int | None, json: bool) -> None:
    from ..simulation.forecast import forecast_cost

    ends = [] if end is None else [end]
    if steps is not None:
        ends.append(scenario.clock.at(steps))
    stats = forecast_cost(scenario, min(ends), progress=console().print)
    if json:
        print_json({"forecast": stats.as_json()})
        return
    for line in forecast_lines(stats):
        print_line(line)


@app.command()
def resume(
    folder: FolderArgument,
    steps: StepsOption = None,
    until: UntilOption = None,
    max_tokens_per_day: CapOption = None,
    keep_going: KeepGoingOption = False,
    allow_code: CodeOption = False,
    json: JsonOption = False,
) -> None:
    """Continue a run after its last committed step, with the same hash as if it had never
    stopped."""
    from ..simulation import Run
    from ..simulation import resume as take_up
    from .live_progress import loading_line

    with Run(folder) as recorded:
        end = _end_time(recorded.scenario, until, steps)
    with loading_line(console()) as show:
        simulation = take_up(
            folder,
            max_tokens_per_day=max_tokens_per_day,
            progress=show,
            keep_going=keep_going,
            allow_code=allow_code,
        )
    _run_to_end(simulation, folder, end, steps, json)


def _end_time(scenario: Scenario, until: str | None, steps: int | None) -> Time | None:
    """When to stop at the latest: by the options, else by the scenario."""
    from ..simulation import parse_scenario_time

    end = parse_scenario_time(until, "--until") if until else scenario.end
    if end is None and steps is None:
        raise SettingError("say how long: --steps N or --until 'YYYY-MM-DD HH:MM'")
    return end


def _free_folder(name: str) -> Path:
    """``runs/NAME``, or the first of ``runs/NAME-2``, ... that does not exist."""
    target, number = Path("runs") / name, 2
    while target.exists():
        target, number = Path("runs") / f"{name}-{number}", number + 1
    return target


def _run_to_end(
    simulation: Simulation, folder: Path, end: Time | None, steps: int | None, json: bool
) -> None:
    """Run until the end and print the result. Exit code 3 if most asks failed."""
    from ..simulation import ProgressMeter, run_stats
    from .live_progress import live_line, stop_cleanly

    meter = ProgressMeter(simulation, simulation.end(until=end, steps=steps))
    out = console()
    failed: AsksFailed | None = None
    with simulation.store:
        with stop_cleanly(simulation, out), live_line(out, simulation, meter):
            try:
                for _ in simulation.run(until=end, steps=steps, progress=False):
                    pass
            except AsksFailed as error:
                failed = error
        if not simulation.keep_going:
            failed = failed or simulation.failures.all_failed()
        stats = run_stats(simulation.store)
    if json:
        _print_figures(simulation, folder, stats, failed)
    else:
        _print_summary(simulation, folder, stats)
    if failed:
        print_error(str(failed))
        raise typer.Exit(EXIT_ASKS_FAILED)


def _print_figures(
    simulation: Simulation, folder: Path, stats: dict[str, Json], failed: AsksFailed | None
) -> None:
    from ..simulation import CAP_KEY

    halted = simulation.halted
    stopped: Json = simulation.stopping
    extra: dict[str, Json] = {}
    if isinstance(halted, ApprovalRequired):
        stopped = "waiting"
        extra["requests"] = [to_json(request) for request in halted.requests]
    elif isinstance(halted, AsksFailed):
        stopped = "failed"
    elif halted:
        stopped = CAP_KEY
    if simulation.budget.cap:
        extra["cap"] = simulation.budget.stats(simulation.step)
    if failed:
        extra["error"] = str(failed)
    print_json({**stats, "run": str(folder), "stopped": stopped, **extra})


def _print_summary(simulation: Simulation, folder: Path, stats: dict[str, Json]) -> None:
    from ..simulation import failure_lines

    halted = simulation.halted
    for line in usage_lines(stats["ledger"]):
        print_line(line)
    print_line(
        f"{stats['steps']} steps of {stats['agents']} people, "
        f"{stats['agent_steps_per_s']} agent-steps/s, {stats['model_calls']} model calls, "
        f"{stats['prompt_tokens']} tokens read, {stats['generated_tokens']} written"
    )
    for line in failure_lines(stats["failures"]):
        print_line(line)
    print_line(f"hash {stats['hash']}")
    if isinstance(halted, ApprovalRequired):
        print_requests(folder, halted.requests)
    elif isinstance(halted, AsksFailed):
        print_line("stopped: most asks failed")
        print_line(f"go on with: denizens resume {shell_quote(folder)}")
    elif halted:
        print_line(f"stopped by the cap: {halted}")
        print_line(f"go on with: denizens resume {shell_quote(folder)} --max-tokens-per-day N")
    elif simulation.stopping:
        print_line(f"go on with: denizens resume {shell_quote(folder)}")
    print_line(f"look at it: denizens view {shell_quote(folder)}")


@app.command()
def verify(
    folder: FolderArgument, allow_code: CodeOption = False, json: JsonOption = False
) -> None:
    """Check a run's file: checksums, hash chain, all asks, states and memories."""
    from ..simulation import check_run, failure_lines, open_store, run_stats

    try:
        with open_store(folder) as store:
            damage = [f"{folder}: {finding}" for finding in check_run(store, allow_code=allow_code)]
            stats = {} if damage else run_stats(store)
    except RunError as error:
        # A file too broken to be opened is a finding too.
        damage, stats = [str(error)], {}
    if json:
        print_json({"ok": not damage, "damage": damage, **stats})
    elif not damage:
        print_line(f"{folder}: {stats['steps']} steps, all well; hash {stats['hash']}")
        for line in failure_lines(stats["failures"]):
            print_line(line)
    for finding in damage:
        print_error(finding)
    if damage:
        raise typer.Exit(EXIT_USER_ERROR)


@app.command()
def replay(
    folder: FolderArgument, allow_code: CodeOption = False, json: JsonOption = False
) -> None:
    """Repeat a run from its recorded answers, without a model; names the first ask that differs."""
    from ..simulation import failure_lines
    from ..simulation import replay as live_again

    result = live_again(folder, allow_code=allow_code)
    if json:
        figures = {
            "steps": result.steps,
            "hash": result.hash,
            "asks": result.asks,
            "model_calls": 0,
        }
        print_json({**figures, "agrees": True, "failures": result.failures})
    else:
        print_line(
            f"{folder}: {result.steps} steps and {result.asks} asks agree; no model was called"
        )
        for line in failure_lines(result.failures):
            print_line(line)
        print_line(f"hash {result.hash}")


@app.command()
def fork(
    source: Annotated[str, typer.Argument(metavar="DIR@STEP", help="Run and step.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Folder for the copy.")],
) -> None:
    """Copy a run as of STEP steps, to be continued in another way."""
    from ..simulation import fork as split

    folder, _, step = source.rpartition("@")
    if not folder or not re.fullmatch("[0-9]+", step):
        raise SettingError(f"fork: '{source}' must be written DIR@STEP, as in runs/town@120")
    split(folder, int(step), new)
    print_line(
        f"{new}: a copy of {folder} after {step} steps; go on with: denizens resume "
        f"{shell_quote(new)}"
    )


@app.command()
def new(name: Annotated[str, typer.Argument(metavar="NAME", help="A name.")]) -> None:
    """Write a scenario to start from: NAME.toml, two agents at a crossroads."""
    from ..simulation import find_scenario

    path = Path(name if name.endswith(".toml") else f"{name}.toml")
    # It becomes a text in TOML and the first part of every address.
    if not re.fullmatch(r"\w[\w .-]*", path.stem):
        raise SettingError(f"new: '{path.stem}' is no name; use letters, digits, '-' and '_'")
    if path.exists():
        raise SettingError(f"{path}: exists already; choose another name")
    if not path.parent.is_dir():
        raise SettingError(f"{path}: its folder does not exist; create the folder first")
    text = find_scenario("crossroads").read_text(encoding="utf-8")
    path.write_text(text.replace("crossroads", path.stem), encoding="utf-8")
    print_line(f"{path}: edit it, then: denizens run {shell_quote(path)}")
