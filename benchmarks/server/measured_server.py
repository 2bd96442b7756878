"""A web server on a paced model in a process of its own, so that clients do not slow it."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core import Json
from ...server.hosting import AgentHosts, HostingSettings
from ...server.web import bind_socket, create_app, make_server
from .paced_model import PacedModel

MODEL_ID = "paced"


@dataclass(frozen=True, slots=True)
class MeasuredServer:
    """A running server: its port, and the pipe by which its process is asked for its state."""

    port: int
    pipe: Any

    def state(self) -> dict[str, int]:
        """``rows``: asks in progress; ``running`` and ``waiting`` requests; ``memory`` in bytes,
        ``seconds`` of processor time."""
        self.pipe.send("state")
        state: dict[str, int] = self.pipe.recv()
        return state


@contextmanager
def running_server(
    settings: dict[str, Any], model: dict[str, Any] | None = None
) -> Iterator[MeasuredServer]:
    """A server with these fields of HostingSettings and arguments of PacedModel; ends with the
    block."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_run, args=(there, settings, model or {}), daemon=True)
    process.start()
    try:
        yield MeasuredServer(here.recv(), here)
    finally:
        here.send("stop")
        process.join(30)
        if process.is_alive():
            process.kill()


def _run(pipe: Any, settings: dict[str, Any], model: dict[str, Any]) -> None:
    """The server's process."""
    import asyncio

    limits = HostingSettings(port=0, **settings)
    paced = PacedModel(**model)
    app = create_app(AgentHosts({}, paced, MODEL_ID), limits)
    listener = bind_socket(limits)
    server = make_server(app, limits)

    async def serve() -> None:
        loop = asyncio.get_running_loop()

        def answer() -> None:
            if pipe.recv() == "stop":
                server.should_exit = True
            else:
                pipe.send(_state(app, paced))

        loop.add_reader(pipe.fileno(), answer)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        pipe.send(listener.getsockname()[1])
        await task
        loop.remove_reader(pipe.fileno())

    asyncio.run(serve())


def _state(app: Any, model: PacedModel) -> Json:
    admission = app.state.hosting.admission
    times = os.times()
    return {
        "rows": model.open,
        "running": admission.running,
        "waiting": admission.waiting,
        "memory": _resident_bytes(),
        "seconds": times.user + times.system,
    }


def _resident_bytes() -> int:
    """The memory of this process; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
