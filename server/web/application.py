"""The FastAPI application of a server."""

from __future__ import annotations

from typing import Any

from ..chat_api import chat_router
from ..hosting import AgentHosts, HostingSettings
from ..openai_api import openai_router


def create_app(hosts: AgentHosts, settings: HostingSettings | None = None) -> Any:
    """The application that serves the agents of ``hosts``."""
    from fastapi import FastAPI

    settings = settings or HostingSettings()
    app = FastAPI(title="Denizens")
    app.include_router(openai_router(hosts, settings))
    app.include_router(chat_router(hosts, settings))

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return app
