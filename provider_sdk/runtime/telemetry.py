"""OTLP traces, when the host asks for them; OpenTelemetry is imported only then.

Without it the trace context of a call is handed on unchanged.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from provider_sdk.context import TraceContext
from provider_sdk.errors import Unsupported

log = logging.getLogger("provider.traces")


class Tracing:
    """Makes one server span a call while `active`: a Tracer."""

    def __init__(self) -> None:
        self.active = False
        self._tracer: Any = None
        self._provider: Any = None
        self._propagator: Any = None

    def start(self, endpoint: str, service: str) -> None:
        """Export to `endpoint` (OTLP over HTTP, the whole URL). Imports for long: call it in a thread. Unsupported without the package."""
        try:
            sdk = importlib.import_module("opentelemetry.sdk.trace")
            export = importlib.import_module("opentelemetry.sdk.trace.export")
            resources = importlib.import_module("opentelemetry.sdk.resources")
            exporter = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
            propagation = importlib.import_module("opentelemetry.trace.propagation.tracecontext")
        except ImportError as error:
            raise Unsupported(f"the host asks for traces, but {error.name} is not installed: install provider-sdk[telemetry]") from error
        self._provider = sdk.TracerProvider(resource=resources.Resource.create({"service.name": service}))
        self._provider.add_span_processor(export.BatchSpanProcessor(exporter.OTLPSpanExporter(endpoint=endpoint)))
        self._tracer = self._provider.get_tracer("provider_sdk")
        self._propagator = propagation.TraceContextTextMapPropagator()
        self.active = True

    @contextlib.contextmanager
    def span(self, name: str, parent: TraceContext | None, attributes: Mapping[str, str]) -> Iterator[TraceContext | None]:
        """See Tracer."""
        carrier = {} if parent is None else {"traceparent": parent.traceparent, "tracestate": parent.tracestate}
        kind = importlib.import_module("opentelemetry.trace").SpanKind.SERVER
        context = self._propagator.extract(carrier)
        with self._tracer.start_as_current_span(name, context=context, kind=kind, attributes=dict(attributes)):
            onward: dict[str, str] = {}
            self._propagator.inject(onward)
            yield TraceContext(onward["traceparent"], onward.get("tracestate", "")) if "traceparent" in onward else parent

    def stop(self) -> None:
        """Export what is left, within a second. Blocks: call it in a thread."""
        if self._provider is not None:
            self._provider.force_flush(1000)
            self._provider.shutdown()
