"""What is counted, and where it is read: metrics of the whole provider."""

from __future__ import annotations

from collections.abc import Callable

from provider_sdk.metrics import Metrics


class Counts:
    """Requests by status, their times; `connections` stand now, `in_progress` are requests whose response is not known yet."""

    def __init__(self, metrics: Metrics, held: Callable[[], int]) -> None:
        self.connections = 0
        self.in_progress = 0
        self._answered = metrics.counter("http_responses_total", "Responses, by status.", "status")
        self.seconds = metrics.histogram("http_request_seconds", "Time from a request's headers to the last byte of its response.")
        self.refused = metrics.counter("http_connections_refused_total", "Connections refused, by limit: address or client.", "limit")
        metrics.gauge("http_connections", "Connections that stand.", lambda: {(): float(self.connections)})
        metrics.gauge("http_requests_in_progress", "Requests whose response is not known yet.", lambda: {(): float(self.in_progress)})
        metrics.gauge("http_body_bytes", "Bytes of bodies that are held.", lambda: {(): float(held())})

    def answered(self, status: int) -> None:
        """A response has been sent."""
        self._answered.add(str(status))
