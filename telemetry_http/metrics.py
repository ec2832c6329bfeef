"""Metrics: what the service knows of itself, for Prometheus."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from attrs import frozen
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from starlette.types import Scope

import telemetry_http
from telemetry_core import TelemetryError

if TYPE_CHECKING:
    from telemetry_http.service import TelemetryService

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})
_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 10, 30)


@frozen
class _Facts:
    """What only the storage knows; `NaN` where it does not say."""

    is_ready: bool = False
    last_seq: float = math.nan
    is_run_active: float = math.nan


class Metrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self, service: TelemetryService) -> None:
        self._service = service
        self._facts = _Facts()
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "telemetry_http_requests",
            "Requests, by method, route and status",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._latency = Histogram(
            "telemetry_http_request_duration_seconds",
            "Time from a request to the first byte of its answer",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        # Looking a child up by its labels takes longer than counting does.
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._registry.register(self)

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request that was answered with *status* after *seconds*."""
        method = scope["method"] if scope["method"] in _METHODS else "other"
        # By its template: each type and each run in a path would be a series of its own.
        route = getattr(scope.get("route"), "path", "unknown")
        key = (method, route, status)
        children = self._children.get(key)
        if children is None:
            children = (
                self._requests.labels(method, route, str(status)),
                self._latency.labels(method, route),
            )
            self._children[key] = children
        children[0].inc()
        children[1].observe(seconds)

    async def text(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics in a format that *accept* takes, and the name of that format."""
        self._facts = await self._ask()
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def collect(self) -> Iterator[Metric]:
        """Yield what is not counted by requests."""
        service, facts = self._service, self._facts
        tally, recorder = service.tally, service.recorder
        events = CounterMetricFamily(
            "telemetry_http_events", "Events, by what became of them", labels=["outcome"]
        )
        events.add_metric(["recorded"], tally.recorded)
        events.add_metric(["duplicate"], tally.duplicates)
        events.add_metric(["refused"], tally.refused)
        yield events
        waiting = GaugeMetricFamily(
            "telemetry_http_waiting_requests", "Requests that wait for a thread", labels=["kind"]
        )
        waiting.add_metric(["asking"], service.asking.waiting)
        waiting.add_metric(["changing"], service.changing.waiting)
        yield waiting
        yield CounterMetricFamily(
            "telemetry_observers_missed", "Facts that observers were too slow for", recorder.missed
        )
        yield CounterMetricFamily(
            "telemetry_numbers_nulled", "NaN and infinities recorded as null", recorder.nulled
        )
        for name, help_, value in (
            ("telemetry_storage_ready", "Whether an event would be recorded now", facts.is_ready),
            ("telemetry_last_seq", "The highest seq that was given", facts.last_seq),
            ("telemetry_run_active", "Whether a run is active", facts.is_run_active),
        ):
            yield GaugeMetricFamily(name, help_, float(value))
        version = GaugeMetricFamily("telemetry_info", "The version that runs", labels=["version"])
        version.add_metric([telemetry_http.__version__], 1)
        yield version

    async def _ask(self) -> _Facts:
        try:
            return await self._service.look(self._look)
        except (TelemetryError, OSError):
            return _Facts()

    def _look(self) -> _Facts:
        recorder = self._service.recorder

        def known(ask: Callable[[], float]) -> float:
            try:
                return ask()
            except (TelemetryError, OSError):
                return math.nan

        def check() -> float:
            self._service.check_writable()
            return 1

        return _Facts(
            is_ready=known(check) == 1,
            last_seq=known(lambda: recorder.current().as_of_seq),
            is_run_active=known(lambda: recorder.active_run() is not None),
        )
