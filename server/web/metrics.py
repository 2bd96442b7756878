"""Figures of a server for Prometheus: counts and times, never a text, a key or a person."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any, Protocol

from ..hosting import HostingState

_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)


class ObservedExchange(Protocol):
    """What the figures need of a request."""

    began: float
    method: str
    status: int
    first_piece: float | None
    gone: bool


class ServerMetrics:
    """The figures of one server, in a registry of its own."""

    def __init__(self, hosting: HostingState) -> None:
        import prometheus_client as prometheus

        self._prometheus = prometheus
        self.registry = prometheus.CollectorRegistry()
        self.registry.register(_HostingCollector(hosting))
        self._requests = prometheus.Counter(
            "denizens_requests",
            "Requests by route, method and status (499: the client went away).",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self._seconds = prometheus.Histogram(
            "denizens_request_seconds",
            "Time from a request's headers to the end of its response.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._first_piece = prometheus.Histogram(
            "denizens_first_piece_seconds",
            "Time from a request's headers to the first piece of its response.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )

    def observe(self, exchange: ObservedExchange, scope: MutableMapping[str, Any]) -> None:
        """Count a request that has ended."""
        import time

        route = route_of(scope)
        status = "499" if exchange.gone else str(exchange.status or 500)
        self._requests.labels(route, exchange.method, status).inc()
        self._seconds.labels(route).observe(time.monotonic() - exchange.began)
        if exchange.first_piece is not None:
            self._first_piece.labels(route).observe(exchange.first_piece)

    def text(self) -> bytes:
        """The figures in Prometheus' text form."""
        return bytes(self._prometheus.generate_latest(self.registry))


def route_of(scope: MutableMapping[str, Any]) -> str:
    """The pattern of the route that a request took, "other" if none: never the path itself, which
    may name a person."""
    return str(getattr(scope.get("route"), "path", None) or "other")


class _HostingCollector:
    """Reads the state of admission and engine when the figures are asked for."""

    def __init__(self, hosting: HostingState) -> None:
        self._hosting = hosting

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        admission = self._hosting.admission
        yield GaugeMetricFamily("denizens_running", "Admitted requests.", admission.running)
        yield GaugeMetricFamily("denizens_waiting", "Requests in the queue.", admission.waiting)
        stats = admission.stats
        yield CounterMetricFamily("denizens_admitted", "Requests admitted.", stats.admitted)
        waited = CounterMetricFamily("denizens_queue_seconds", "Time spent in the queue.")
        waited.add_metric([], stats.waited_seconds)
        yield waited
        refused = CounterMetricFamily(
            "denizens_refused", "Requests refused by admission.", labels=["reason"]
        )
        for reason in ("queue", "key", "rate", "stopping"):
            refused.add_metric([reason], stats.refused[reason])
        yield refused
        yield from self._engine_figures()

    def _engine_figures(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        engine = getattr(getattr(self._hosting.hosts, "model", None), "engine", None)
        scheduler = getattr(engine, "scheduler", None)
        if engine is None or scheduler is None:
            return
        rows = len(scheduler.running)
        yield GaugeMetricFamily("denizens_engine_rows", "Sequences in the batch.", rows)
        waiting = len(scheduler.waiting)
        yield GaugeMetricFamily("denizens_engine_waiting", "Sequences that wait.", waiting)
        stats = engine.stats
        yield CounterMetricFamily("denizens_engine_passes", "Forward passes.", stats.passes)
        yield CounterMetricFamily("denizens_engine_tokens", "Tokens computed.", stats.tokens)
        reused = stats.reused
        yield CounterMetricFamily("denizens_engine_reused_tokens", "Tokens cached.", reused)
