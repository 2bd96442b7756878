"""The routes of the own API and of the chat page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..hosting import AgentHosts, HostingSettings

if TYPE_CHECKING:
    from fastapi import APIRouter


def chat_router(hosts: AgentHosts, settings: HostingSettings) -> APIRouter:
    """A FastAPI router with the routes under ``/api``, and with the chat page: ``/`` and
    ``/page/...``, which need no key, since they hold no data."""
    from fastapi import APIRouter, Depends

    from . import agent_routes, approval_routes, memory_routes, page_files, session_routes
    from .chat_service import ChatService

    api = APIRouter(prefix="/api", dependencies=[Depends(ChatService(hosts, settings).provide)])
    for part in (agent_routes, session_routes, memory_routes, approval_routes):
        api.include_router(part.router)
    both = APIRouter()
    both.include_router(api)
    both.include_router(page_files.router)
    return both
