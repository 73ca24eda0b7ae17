"""What is counted, and where it is read: metrics of the whole provider."""

from __future__ import annotations

from collections.abc import Callable

from provider_sdk.metrics import Metrics


class Counts:
    """Requests by status, their times, connections; `connections` gives those that stand now."""

    def __init__(self, metrics: Metrics, connections: Callable[[], int], held: Callable[[], int]) -> None:
        self._answered = metrics.counter("http_responses_total", "Responses, by status.", "status")
        self.seconds = metrics.histogram("http_request_seconds", "Time from a request's headers to the last byte of its response.")
        self.refused = metrics.counter("http_connections_refused_total", "Connections refused, by limit: address or client.", "limit")
        metrics.gauge("http_connections", "Connections that stand.", lambda: {(): float(connections())})
        metrics.gauge("http_body_bytes", "Bytes of bodies that are held.", lambda: {(): float(held())})

    def answered(self, status: int) -> None:
        """A response has been sent."""
        self._answered.add(str(status))
