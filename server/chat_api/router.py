"""The routes of the own API."""

from __future__ import annotations

from typing import Any

from ..hosting import AgentHosts, HostingSettings


def chat_router(hosts: AgentHosts, settings: HostingSettings) -> Any:
    """A FastAPI router with the routes under ``/api``."""
    from fastapi import APIRouter

    router = APIRouter(prefix="/api", tags=["agents"])

    @router.get("/agents")
    async def agents() -> Any:
        return [{"id": one} for one in hosts]

    return router
