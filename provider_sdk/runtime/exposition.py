"""Prometheus text of the process's metrics over HTTP, when an address is set. prometheus_client is imported only then."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from provider_sdk.errors import InvalidArgument, Unsupported
from provider_sdk.metrics import SECONDS, Counter, Gauge, Metrics


async def serve(address: str, metrics: Metrics) -> None:
    """Serve `metrics` on `address` (`host:port`) from a thread of its own until the process ends.

    InvalidArgument for another form, Unsupported without the package, OSError for an address that cannot be bound.
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
    await asyncio.to_thread(prometheus_client.start_http_server, int(port), host or "127.0.0.1", registry)


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
