"""The routes by which machines watch a server: /healthz, /readyz, /metrics."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from ..hosting import HostingState
from .metrics import ServerMetrics

_FREE_BYTES = 16_000_000  # of the disk of a memory file, below which replies could not be kept


def health_router(hosting: HostingState, metrics: ServerMetrics) -> Any:
    """A FastAPI router with the three routes."""
    from fastapi import APIRouter
    from starlette.responses import JSONResponse, PlainTextResponse, Response

    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Whether the server lives."""
        return {"status": "ok"}

    @router.get("/readyz", responses={503: {"description": "Not ready, with the reasons"}})
    async def readyz() -> Any:
        """Whether the server takes requests: its model is loaded, its memory can be written, its
        queue has room."""
        reasons = unready_reasons(hosting)
        if reasons:
            body = {"status": "not ready", "reasons": reasons}
            return JSONResponse(body, 503, {"Retry-After": "2"})
        return {"status": "ready"}

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics_text() -> Any:
        """Figures in Prometheus' text form."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def unready_reasons(hosting: HostingState) -> list[str]:
    """Why the server cannot take a request now."""
    reasons = []
    if hosting.admission.stopping:
        reasons.append("the server stops")
    if hosting.admission.full:
        reasons.append("the queue is full")
    if not all(_is_writable(path) for path in _store_files(hosting)):
        reasons.append("a memory file cannot be written")
    return reasons


def _store_files(hosting: HostingState) -> set[str]:
    return {agent.memory.store.name for agent in hosting.agents}


def _is_writable(name: str) -> bool:
    if name == ":memory:":
        return True
    path = Path(name)
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        return False
    return os.access(path, os.W_OK) and free > _FREE_BYTES
