"""The routes of the OpenAI API."""

from __future__ import annotations

from typing import Any

from ..hosting import AgentHosts, HostingSettings


def openai_router(hosts: AgentHosts, settings: HostingSettings) -> Any:
    """A FastAPI router with the routes under ``/v1``."""
    from fastapi import APIRouter

    router = APIRouter(prefix="/v1", tags=["OpenAI"])

    @router.get("/models")
    async def models() -> Any:
        ids = [hosts.model_id, *hosts]
        data = [{"id": one, "object": "model", "created": 0, "owned_by": "denizens"} for one in ids]
        return {"object": "list", "data": data}

    return router
