"""OpenTelemetry spans of requests, as an option."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Protocol

from ...core import SettingError
from .metrics import ObservedExchange, route_of

EXPORTERS = ("console", "otlp")


class TracedExchange(ObservedExchange, Protocol):
    """What a span needs of a request."""

    context: Any


class RequestTracer:
    """Makes a span for each request, with its route, status and times, never a text. ``provider``
    is an OpenTelemetry TracerProvider; None: no spans."""

    def __init__(self, provider: Any = None) -> None:
        self._tracer = None if provider is None else provider.get_tracer("denizens.server")

    @contextmanager
    def span(self, exchange: TracedExchange, scope: MutableMapping[str, Any]) -> Iterator[None]:
        """A span around a request."""
        if self._tracer is None:
            yield
            return
        with self._tracer.start_as_current_span(exchange.method) as span:
            try:
                yield
            finally:
                route = route_of(scope)
                span.update_name(f"{exchange.method} {route}")
                span.set_attribute("http.request.method", exchange.method)
                span.set_attribute("http.route", route)
                span.set_attribute("http.response.status_code", exchange.status)
                span.set_attribute("denizens.request_id", exchange.context.request_id)
                span.set_attribute("denizens.client_gone", exchange.gone)
                if exchange.first_piece is not None:
                    span.set_attribute("denizens.first_piece_seconds", exchange.first_piece)


def tracer_provider(exporter: str) -> Any:
    """An OpenTelemetry provider that prints spans to standard error (``console``) or sends them by
    OTLP over HTTP (``otlp``, configured by the variables OTEL_EXPORTER_OTLP_*). Raises
    SettingError for an unknown exporter or a package that is not installed."""
    if exporter not in EXPORTERS:
        raise SettingError(f"--telemetry: '{exporter}' is none of {', '.join(EXPORTERS)}")
    try:
        import sys

        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

        output: Any
        if exporter == "console":
            output = ConsoleSpanExporter(out=sys.stderr)
        else:
            from importlib import import_module

            module = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
            output = module.OTLPSpanExporter()
    except ImportError as error:
        package = "opentelemetry-exporter-otlp-proto-http"
        raise SettingError(
            f"--telemetry {exporter}: {error}; pip install 'denizens[telemetry]'"
            + (f" {package}" if exporter == "otlp" else "")
        ) from error
    provider = TracerProvider(resource=Resource.create({"service.name": "denizens"}))
    provider.add_span_processor(BatchSpanProcessor(output))
    return provider
