"""What a live town is served from: a simulation that goes on, or a run that is read.

The application is made of its routes by ``server.web.create_app``."""

from __future__ import annotations

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
    from .live_routes import LiveHosts


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSettings:
    """How a live town is served. ``pace``: real seconds of a simulated minute; ``until``: where it
    ends; ``playing``: whether it plays from the start."""

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
    return LiveHosts(town, feed, desk)


def host_run(run: Run, folder: Path | str, settings: LiveSettings) -> LiveHosts:
    """What serves a run that is only read: finished, or written by another process."""
    from .interview_desk import InterviewDesk
    from .live_routes import LiveHosts
    from .live_town import RecordedTown

    feed = LiveFeed(RunCollector(run))
    town = RecordedTown(feed, run.people, run.clock.step_seconds)
    desk = InterviewDesk(Path(folder), allow_code=settings.allow_code)
    return LiveHosts(town, feed, desk)


@contextmanager
def town_started(hosts: LiveHosts) -> Iterator[None]:
    """The town goes on in this context, and ends after the step under way."""
    hosts.town.start()
    try:
        yield
    finally:
        hosts.feed.close()
        hosts.town.stop()
