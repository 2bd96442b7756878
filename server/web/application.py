"""The FastAPI application of a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..chat_api import chat_router
from ..hosting import AgentHosts, HostingSettings, HostingState, publish_prompts
from ..openai_api import openai_router
from .errors import add_error_handlers
from .health import health_router
from .metrics import ServerMetrics
from .request_gate import RequestGate
from .request_spans import RequestTracer


def create_app(
    hosts: AgentHosts | None,
    settings: HostingSettings | None = None,
    *,
    routers: Sequence[Any] = (),
    tracer_provider: Any = None,
) -> Any:
    """The FastAPI application that serves the agents of ``hosts``, and ``routers`` beside them;
    without ``hosts`` only these.

    ``app.state.hosting`` is its HostingState. ``tracer_provider``: an OpenTelemetry provider for
    spans of requests. Raises SettingError for an address that needs API keys and has none.
    """
    from fastapi import FastAPI

    settings = settings or HostingSettings()
    settings.require_keys()
    hosting = HostingState(hosts, settings)
    if hosts is not None:
        publish_prompts(hosts)
    metrics = ServerMetrics(hosting)
    # The interactive pages load their scripts from elsewhere; the document itself is served.
    app = FastAPI(title="Denizens", docs_url=None, redoc_url=None)
    app.state.hosting = hosting
    app.state.metrics = metrics
    add_error_handlers(app)
    app.include_router(health_router(hosting, metrics))
    if hosts is not None:
        app.include_router(openai_router(hosts, settings))
        app.include_router(chat_router(hosts, settings))
    for router in routers:
        app.include_router(router)
    app.add_middleware(
        RequestGate, hosting=hosting, metrics=metrics, tracer=RequestTracer(tracer_provider)
    )
    if hosting.keys is not None:
        _document_keys(app)
    return app


def _document_keys(app: Any) -> None:
    """Let the OpenAPI document say that requests need a key."""
    make = app.openapi

    def openapi() -> Any:
        if app.openapi_schema is None:
            document = make()
            schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
            schemes["key"] = {"type": "http", "scheme": "bearer"}
            document["security"] = [{"key": []}]
        return app.openapi_schema

    app.openapi = openapi
