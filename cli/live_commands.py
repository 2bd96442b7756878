"""Serving a run as a live town: the options of ``run --serve`` and ``view --serve``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core import SettingError, Time
from .application import console, print_line, shell_quote

if TYPE_CHECKING:
    from ..server.live import LiveHosts, LiveSettings
    from ..simulation import Simulation

DEFAULT_PORT = 8760
DEFAULT_PACE = 3.0

ServeOption = Annotated[
    bool, typer.Option("--serve", help="Serve the page of the run while it goes on.")
]
PortOption = Annotated[int, typer.Option("--port", min=1, max=65535, help="Port of --serve.")]
HostOption = Annotated[str, typer.Option("--host", help="Address of --serve.")]
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


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """The options of a live town."""

    host: str
    port: int
    pace: float = DEFAULT_PACE
    playing: bool = True
    allow_code: bool = False

    def settings(self, until: Time | None = None) -> LiveSettings:
        """The settings of the server."""
        from ..server.live import LiveSettings

        return LiveSettings(
            host=self.host,
            port=self.port,
            pace=self.pace,
            until=until,
            playing=self.playing,
            allow_code=self.allow_code,
        )


def require_serving(steps: int | None, json: bool) -> None:
    """Check, before a model is loaded, that a town can be served. Raises SettingError."""
    from ..server.live import require_web_packages

    if steps is not None or json:
        raise SettingError("--serve goes with --until, not with --steps or --json; leave them out")
    require_web_packages()


def serve_simulation(
    simulation: Simulation, folder: Path, until: Time | None, options: LiveOptions
) -> None:
    """Serve a simulation until Ctrl-C, and say how to go on."""
    from ..server.live import host_simulation

    with simulation.store:
        settings = options.settings(until)
        _serve(host_simulation(simulation, folder, settings), settings)
        print_line(f"{folder}: {simulation.step} steps; hash {simulation.hash}")
    print_line(f"go on with: denizens view --serve --resume {shell_quote(folder)}")


def serve_run(folder: Path, options: LiveOptions) -> None:
    """Serve a run for reading until Ctrl-C."""
    from ..server.live import host_run
    from ..simulation import Run

    with Run(folder) as run:
        settings = options.settings()
        _serve(host_run(run, folder, settings), settings)


def _serve(hosts: LiveHosts, settings: LiveSettings) -> None:
    from ..server.live import serve_live

    console().print(f"The town is at http://{settings.host}:{settings.port} (Ctrl-C ends it)")
    serve_live(hosts, settings)
