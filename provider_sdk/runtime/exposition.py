"""`/metrics` (Prometheus text) and `/healthz` over HTTP, when an address is set. What they need is imported only then."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import accumulate
from socketserver import TCPServer
from typing import Any

from provider_sdk.errors import InvalidArgument, Unsupported
from provider_sdk.hosts.base import Health
from provider_sdk.metrics import SECONDS, Counter, Gauge, Metrics

HEALTH_WITHIN = 3.0
CLIENT_WITHIN = 5.0


async def serve(address: str, metrics: Metrics, health: Callable[[], Awaitable[Health]]) -> None:
    """Serve both on `address` (`host:port`) from threads of their own until the process ends.

    `/healthz` is 200 or 503 with what a host's health request is told as JSON. InvalidArgument for another form of address, Unsupported
    without prometheus-client, OSError for an address that cannot be bound.
    """
    host, separator, port = address.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65535:
        raise InvalidArgument(f"{address!r} is not host:port")
    try:
        import prometheus_client
    except ImportError as error:
        raise Unsupported("prometheus-client is not installed: install provider-sdk[metrics]") from error
    registry = prometheus_client.CollectorRegistry(auto_describe=False)
    registry.register(_Collector(metrics))
    loop = asyncio.get_running_loop()

    def state() -> Health:
        return asyncio.run_coroutine_threadsafe(_awaited(health), loop).result(HEALTH_WITHIN)

    pages: dict[str, Callable[[], Page]] = {"/metrics": partial(_metrics, registry), "/healthz": partial(_healthz, state)}
    server = await asyncio.to_thread(_Server, (host.strip("[]") or "127.0.0.1", int(port)), pages)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


async def _awaited(health: Callable[[], Awaitable[Health]]) -> Health:
    return await health()


Page = tuple[int, str, bytes]


def _metrics(registry: Any) -> Page:
    import prometheus_client

    return 200, prometheus_client.CONTENT_TYPE_LATEST, prometheus_client.generate_latest(registry)


def _healthz(state: Callable[[], Health]) -> Page:
    try:
        health = state()
    except TimeoutError:
        health = Health(False, f"no answer within {HEALTH_WITHIN:g} s")
    body = json.dumps({"healthy": health.healthy, "message": health.message}).encode()
    return (200 if health.healthy else 503), "application/json", body + b"\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], pages: dict[str, Callable[[], Page]]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.pages = pages
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer's own asks the resolver for the name of the address.
        TCPServer.server_bind(self)


class _Handler(BaseHTTPRequestHandler):
    timeout = CLIENT_WITHIN
    server: _Server

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        status, kind, body = page() if page else (404, "text/plain", b"/metrics and /healthz are here\n")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 # its name in http.server

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: who asks here does so every few seconds."""


class _Collector:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        for metric in self._metrics:
            if isinstance(metric, Counter):
                counter = CounterMetricFamily(metric.name, metric.doc, labels=metric.labels)
                for labels, value in tuple(metric.values.items()):
                    counter.add_metric(labels, value)
                yield counter
            elif isinstance(metric, Gauge):
                gauge = GaugeMetricFamily(metric.name, metric.doc, labels=metric.labels)
                for labels, value in metric.read().items():
                    gauge.add_metric(labels, value)
                yield gauge
            else:
                histogram = HistogramMetricFamily(metric.name, metric.doc, labels=metric.labels)
                for labels, entry in tuple(metric.values.items()):
                    bounds = [*map(str, SECONDS), "+Inf"]
                    histogram.add_metric(labels, list(zip(bounds, map(float, accumulate(entry.counts)), strict=True)), entry.total)
                yield histogram
