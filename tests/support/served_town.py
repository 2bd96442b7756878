"""A live town on a real server in a thread, and its events as a client reads them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from denizens.core import Json, Model
from denizens.models import ImprovisedModel
from denizens.server.hosting import HostingSettings
from denizens.server.live import (
    LiveHosts,
    LiveSettings,
    LiveTown,
    host_run,
    host_simulation,
    live_router,
    town_started,
)
from denizens.server.web import bind_socket, create_app, make_server
from denizens.simulation import Run, begin, read_scenario, resume

PATIENT = 60.0
"""Seconds after which a test gives up waiting; no verdict depends on it."""


@dataclass
class ServedTown:
    """A served town: ``url``, and what serves it."""

    url: str
    hosts: LiveHosts
    folder: Path
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def town(self) -> LiveTown:
        """The town that goes on."""
        assert isinstance(self.hosts.town, LiveTown)
        return self.hosts.town

    def get(self, path: str, **options: Any) -> httpx.Response:
        """A GET request."""
        return httpx.get(f"{self.url}{path}", timeout=PATIENT, **options)

    def post(self, path: str, body: Json, who: str = "", **options: Any) -> httpx.Response:
        """A POST request, with the secret of ``who``."""
        headers = {"X-Visitor": self.secrets[who]} if who in self.secrets else {}
        headers |= options.pop("headers", {})
        url = f"{self.url}/live/{path}"
        return httpx.post(url, json=body, headers=headers, timeout=PATIENT, **options)

    def enter(self, name: str, **fields: Json) -> Json:
        """Walk in; keeps the secret."""
        answer = self.post("enter", {"name": name, **fields})
        answer.raise_for_status()
        self.secrets[name] = answer.json()["secret"]
        return answer.json()

    def act(self, who: str, path: str, **fields: Json) -> httpx.Response:
        """Do something as somebody who walked in."""
        return self.post(path, {"name": who, **fields}, who)

    def step(self, count: int = 1) -> None:
        """Make steps, and wait until they are made."""
        town = self.town
        goal = min(town.simulation.step + count, town.status()["end"])
        self.post("control", {"action": "step", "value": count}).raise_for_status()
        self.wait_for(lambda status: status["step"] >= goal and status["state"] != "playing")

    def wait_for(self, fits: Callable[[Mapping[str, Any]], bool]) -> Json:
        """Wait until the status fits."""
        with self.events() as events:
            for kind, value, _ in events:
                if kind == "status" and fits(value):
                    return value
        raise AssertionError("the events ended")

    @contextmanager
    def events(self, after: str = "", last_id: str = "") -> Iterator[Iterator[Event]]:
        """The events as (kind, value, id), as they come."""
        headers = {"Last-Event-ID": last_id} if last_id else {}
        url = f"{self.url}/live/events?after={after}"
        with httpx.stream("GET", url, headers=headers, timeout=PATIENT) as response:
            response.raise_for_status()
            yield read_events(response.iter_lines())

    def visitor(self, name: str) -> Json:
        """What the page shows to a person."""
        return self.get("/live/run").json()["visitors"].get(name)


Event = tuple[str, Any, str]


def read_events(lines: Iterator[str]) -> Iterator[Event]:
    """Server-sent events of lines."""
    kind, data, id = "message", "", ""
    for line in lines:
        if not line:
            if data:
                yield kind, json.loads(data), id
            kind, data = "message", ""
        elif line.startswith("event: "):
            kind = line[7:]
        elif line.startswith("data: "):
            data += line[6:]
        elif line.startswith("id: "):
            id = line[4:]


@contextmanager
def served_town(
    folder: Path,
    *,
    scenario: str = "crossroads",
    planner: str | None = None,
    model: Model | None = None,
    playing: bool = False,
    pace: float = 0.0,
    warm_up: int = 0,
    keys: Path | None = None,
) -> Iterator[ServedTown]:
    """A town that is served while it goes on: begun in ``folder``, or resumed from there after
    ``warm_up`` steps."""
    model = model or ImprovisedModel()
    if (folder / "run.db").exists():
        simulation = resume(folder, model=model, progress=lambda text: None)
    else:
        settings = read_scenario(scenario).with_overrides(planner=planner)
        simulation = begin(settings, folder, model=model, progress=lambda text: None)
    with simulation.store:
        list(simulation.run(steps=warm_up, progress=False))
        hosts = host_simulation(simulation, folder, LiveSettings(pace=pace, playing=playing))
        with _running(hosts, keys) as url:
            yield ServedTown(url, hosts, folder)


@contextmanager
def served_run(folder: Path) -> Iterator[ServedTown]:
    """A run that is served for reading."""
    with Run(folder) as run:
        hosts = host_run(run, folder, LiveSettings())
        with _running(hosts) as url:
            yield ServedTown(url, hosts, folder)


@contextmanager
def _running(hosts: LiveHosts, keys: Path | None = None) -> Iterator[str]:
    settings = HostingSettings(port=0, keys=keys)
    app = create_app(None, settings, routers=[live_router(hosts)])
    listener = bind_socket(settings)
    server = make_server(app, settings)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    with town_started(hosts):
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(PATIENT)
