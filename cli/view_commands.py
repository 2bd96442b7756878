"""The commands view, export and doctor, and serving a run as a live town."""

from __future__ import annotations

import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core import RECORDED_LIBRARIES, Json, SettingError, Time, did_you_mean, library_versions
from .application import (
    DEFAULT_PACE,
    DEFAULT_PORT,
    CodeOption,
    FolderArgument,
    HostOption,
    JsonOption,
    LiveKeysOption,
    PaceOption,
    PausedOption,
    PortOption,
    ServeOption,
    app,
    console,
    print_json,
    print_line,
    shell_quote,
)

if TYPE_CHECKING:
    from ..server.hosting import HostingSettings
    from ..server.live import LiveHosts, LiveSettings
    from ..simulation import Simulation


@app.command()
def view(
    folder: FolderArgument,
    html: Annotated[
        Path | None, typer.Option("--html", help="Where to write the page (default DIR/run.html).")
    ] = None,
    serve: ServeOption = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="With --serve: go on with the run, as a live town.")
    ] = False,
    until: Annotated[
        str | None,
        typer.Option("--until", help='With --resume: the new end, "2023-02-13 12:00".'),
    ] = None,
    port: PortOption = DEFAULT_PORT,
    host: HostOption = "127.0.0.1",
    keys: LiveKeysOption = None,
    pace: PaceOption = DEFAULT_PACE,
    paused: PausedOption = False,
    allow_code: CodeOption = False,
) -> None:
    """Write a run, or a finished Smallville run, as one HTML page; or serve it with --serve."""
    from ..interop import load_smallville_page
    from ..viewer import collect_page_data, write_page

    if serve:
        if html:
            raise SettingError("--serve shows the page instead of writing it; leave --html out")
        options = LiveOptions(host, port, keys, pace, not paused, allow_code)
        require_serving(options, None, False)
        if resume:
            _serve_resumed(folder, until, options)
        else:
            serve_run(folder, options)
        return
    is_run = (folder / "run.db").is_file() or folder.is_file()
    if not is_run and not (folder / "master_movement.json").is_file():
        raise SettingError(
            f"{folder}: neither a run's folder (run.db) nor a finished Smallville run "
            "(master_movement.json); check the path"
        )
    if html is None:
        html = folder / "run.html" if is_run else Path(f"{folder.name}.html")
    data, shown = (collect_page_data(folder) if is_run else load_smallville_page(folder)), 12
    path = write_page(data, html)
    for step, text in data.headlines[:shown]:
        print_line(f"  step {step}: {text}")
    if len(data.headlines) > shown:
        print_line(f"  ... and {len(data.headlines) - shown} more")
    print_line(f"the page: {path.resolve()} ({path.stat().st_size / 1e6:.1f} MB)")


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """The options of a live town."""

    host: str
    port: int
    keys: Path | None
    pace: float = DEFAULT_PACE
    playing: bool = True
    allow_code: bool = False

    def hosting(self) -> HostingSettings:
        """The settings of the server. Raises SettingError for an address that needs API keys."""
        from ..server.hosting import HostingSettings

        people = self.keys.with_name("people.txt") if self.keys else None
        settings = HostingSettings(
            host=self.host, port=self.port, keys=self.keys, people=people, max_body=65_536
        )
        settings.require_keys()
        return settings

    def settings(self, until: Time | None = None) -> LiveSettings:
        """The settings of the town."""
        from ..server.live import LiveSettings

        return LiveSettings(
            pace=self.pace, until=until, playing=self.playing, allow_code=self.allow_code
        )


def require_serving(options: LiveOptions, steps: int | None, json: bool) -> None:
    """Check, before a model is loaded, that a town can be served. Raises SettingError."""
    from ..server.live import require_web_packages

    if steps is not None or json:
        raise SettingError("--serve goes with --until, not with --steps or --json; leave them out")
    require_web_packages()
    options.hosting()


def serve_simulation(
    simulation: Simulation, folder: Path, until: Time | None, options: LiveOptions
) -> None:
    """Serve a simulation until Ctrl-C, and say how to go on."""
    from ..server.live import host_simulation

    with simulation.store:
        _serve(host_simulation(simulation, folder, options.settings(until)), options)
        print_line(f"{folder}: {simulation.step} steps; hash {simulation.hash}")
    print_line(f"go on with: denizens view --serve --resume {shell_quote(folder)}")


def serve_run(folder: Path, options: LiveOptions) -> None:
    """Serve a run for reading until Ctrl-C."""
    from ..server.live import host_run
    from ..simulation import Run

    with Run(folder) as run:
        _serve(host_run(run, folder, options.settings()), options)


def _serve(hosts: LiveHosts, options: LiveOptions) -> None:
    from ..server.live import live_router, town_started
    from ..server.web import create_app, serve_app

    app = create_app(None, options.hosting(), routers=[live_router(hosts)])

    def announce(url: str) -> None:
        console().print(f"The town is at {url} (Ctrl-C ends it)")

    with town_started(hosts):
        serve_app(app, announce=announce)


def _serve_resumed(folder: Path, until: str | None, options: LiveOptions) -> None:
    from ..simulation import Run, parse_scenario_time
    from ..simulation import resume as take_up
    from .live_progress import loading_line

    with Run(folder) as run:
        end = parse_scenario_time(until, "--until") if until else run.scenario.end
    with loading_line(console()) as show:
        simulation = take_up(folder, progress=show, allow_code=options.allow_code)
    serve_simulation(simulation, folder, end, options)


@app.command()
def export(
    folder: FolderArgument,
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="A new or empty folder for the files.")
    ],
    to: Annotated[str, typer.Option("--to", help="csv or smallville.")] = "csv",
) -> None:
    """Write a run as CSV tables, or in the Smallville folder format."""
    from ..interop import export_csv, export_smallville
    from ..simulation import Run

    writers = {"csv": export_csv, "smallville": export_smallville}
    if to not in writers:
        hint = did_you_mean(to, writers)
        raise SettingError(f"export: --to '{to}' is unknown{hint}; use {' or '.join(writers)}")
    with Run(folder) as run:
        for path in writers[to](run, out):
            print_line(str(path))


@app.command()
def doctor(json: JsonOption = False) -> None:
    """Report on the environment: Python, libraries, device, models, disk space."""
    from ..models import cache_home, is_installed, known_models

    report: dict[str, Json] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cache": str(cache_home()),
        "models": {info.name: is_installed(info.name) for info in known_models()},
    }
    report |= library_versions(*RECORDED_LIBRARIES)
    existing = cache_home()
    while not existing.exists():
        existing = existing.parent
    report["disk_free_gb"] = round(shutil.disk_usage(existing).free / 1e9, 1)
    report["device"] = _device()
    ready = sys.version_info >= (3, 11) and all(report[name] for name in ("torch", "transformers"))
    report["ready"] = bool(ready)
    if json:
        print_json(report)
    else:
        for key, value in report.items():
            print_line(f"{key:24} {value}")
    if not ready:
        raise typer.Exit(1)


def _device() -> str:
    from ..models import pick_device

    return str(pick_device("auto"))
