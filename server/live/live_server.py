"""Starts the server of a live town, and of a run that is read."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...core import SettingError, Time
from ...simulation import Run, Simulation
from ...viewer import RunCollector
from .live_feed import LiveFeed

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from .live_routes import LiveHosts

DEFAULT_PORT = 8760
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
GRACEFUL_SECONDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSettings:
    """How a live town is served. ``pace``: real seconds of a simulated minute; ``until``: where it
    ends; ``playing``: whether it plays from the start."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    pace: float = 3.0
    until: Time | None = None
    playing: bool = True
    allow_code: bool = False


def require_web_packages() -> None:
    """Raises SettingError if the packages of the extra ``serve`` are not installed."""
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise SettingError(
            f"a live town needs a web server ({error}): pip install 'denizens[serve]'"
        ) from error


def host_simulation(
    simulation: Simulation, folder: Path | str, settings: LiveSettings
) -> LiveHosts:
    """What serves a simulation that goes on; its store is closed by the caller."""
    from .interview_desk import InterviewDesk
    from .live_routes import LiveHosts
    from .live_town import LiveTown

    run = Run(simulation.store)
    feed = LiveFeed(RunCollector(run))
    town = LiveTown(
        simulation, feed, until=settings.until, pace=settings.pace, playing=settings.playing
    )
    model = next(iter(simulation.agents.values())).model
    desk = InterviewDesk(Path(folder), model, allow_code=settings.allow_code)
    return LiveHosts(town, feed, desk, _title(run))


def host_run(run: Run, folder: Path | str, settings: LiveSettings) -> LiveHosts:
    """What serves a run that is only read: finished, or written by another process."""
    from .interview_desk import InterviewDesk
    from .live_routes import LiveHosts
    from .live_town import RecordedTown

    feed = LiveFeed(RunCollector(run))
    town = RecordedTown(feed, run.people, run.clock.step_seconds)
    desk = InterviewDesk(Path(folder), allow_code=settings.allow_code)
    return LiveHosts(town, feed, desk, _title(run))


def _title(run: Run) -> str:
    heading = run.scenario.scenario
    return heading.title or heading.name


def create_live_app(hosts: LiveHosts) -> FastAPI:
    """The application of a live town; its routes need no other server."""
    from fastapi import FastAPI

    from .live_routes import live_router
    from .loopback_guard import LoopbackGuard

    app = FastAPI(title="Denizens: a live town", docs_url=None, redoc_url=None)
    app.include_router(live_router(hosts))
    app.add_middleware(LoopbackGuard)
    return app


def serve_live(hosts: LiveHosts, settings: LiveSettings) -> None:
    """Serve until Ctrl-C, and end the town after the step under way. Raises SettingError for an
    address that is not this machine's own, or that is taken."""
    with open_live_server(hosts, settings) as server:
        server.run()


@contextmanager
def open_live_server(hosts: LiveHosts, settings: LiveSettings) -> Iterator[uvicorn.Server]:
    """A server that is not yet started, with the town playing; at the end the town is stopped."""
    import uvicorn

    if settings.host not in LOOPBACK_HOSTS:
        raise SettingError(
            f"--host {settings.host}: a live town is served to this machine only; use 127.0.0.1"
        )
    _require_free(settings)

    class LiveServer(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            hosts.feed.close()  # else the readers' streams would keep the server waiting
            await super().shutdown(sockets)

    config = uvicorn.Config(
        create_live_app(hosts),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    hosts.town.start()
    try:
        yield LiveServer(config)
    finally:
        hosts.feed.close()
        hosts.town.stop()


def _require_free(settings: LiveSettings) -> None:
    """Raises SettingError if another program listens on the port."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingError(
                f"port {settings.port} of {settings.host} cannot be used ({error.strerror}); "
                "give another one with --port"
            ) from error
