"""What a 1.x host says about telemetry (wrpc-1x.md §1.3), as its own settings and those of the provider's configuration have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from provider_sdk.errors import InvalidArgument
from provider_sdk.hosts.line import Fields

_COLLECTOR = "http://127.0.0.1:4318"
_PROTOCOLS = ("http", "grpc")
_MOST_DIGITS = 18
# Keys of the provider's configuration, and what they override.
_KEYS = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "observability_endpoint",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "traces_endpoint",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "metrics_endpoint",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "logs_endpoint",
    "OTEL_TRACES_SAMPLER": "traces_sampler",
    "OTEL_TRACES_SAMPLER_ARG": "traces_sampler_arg",
    "OTEL_BSP_MAX_CONCURRENT_EXPORTS": "concurrent_exports",
    "OTEL_BSP_MAX_QUEUE_SIZE": "max_batch_queue_size",
}


def is_otel_key(name: str) -> bool:
    """Whether a key of the provider's configuration is one of those that override the host's telemetry settings."""
    return name.upper() in _KEYS


@dataclass(frozen=True, slots=True)
class OtelConfig:
    """What counts of `otel_config`; a signal's switch is None where the host leaves it to `enable_observability`."""

    enable_observability: bool = False
    enable_traces: bool | None = None
    enable_metrics: bool | None = None
    enable_logs: bool | None = None
    observability_endpoint: str = ""
    traces_endpoint: str = ""
    protocol: str = "http"
    additional_ca_paths: tuple[str, ...] = ()
    traces_sampler: str = ""
    max_batch_queue_size: int | None = None
    concurrent_exports: int | None = None

    @property
    def trace_endpoint(self) -> str:
        """The whole URL that traces go to by OTLP over HTTP; empty where none are wanted, or not in that way."""
        if not self._wants("traces") or self.protocol != "http":
            return ""
        if self.traces_endpoint:
            return self.traces_endpoint
        base = self.observability_endpoint or _COLLECTOR
        return f"{base.rstrip('/')}/v1/traces" if urlsplit(base).path in ("", "/") else base

    def beyond(self) -> str:
        """What is asked for that our telemetry cannot do, as one line; empty where that is nothing."""
        wanted = []
        if self.protocol != "http" and any(map(self._wants, ("traces", "metrics", "logs"))):
            wanted.append("OTLP over gRPC (traces go over HTTP alone)")
        others = [signal for signal in ("metrics", "logs") if self._wants(signal)]
        if others:
            wanted.append(f"{' and '.join(others)} by OTLP (metrics stand at metrics_address, logs on stderr)")
        if self.trace_endpoint:
            given = ("traces_sampler", "max_batch_queue_size", "concurrent_exports", "additional_ca_paths")
            wanted += [name for name in given if getattr(self, name)]
        return f"the host asks for telemetry that this provider does not have: {', '.join(wanted)}" if wanted else ""

    def _wants(self, signal: str) -> bool:
        switch: bool | None = getattr(self, f"enable_{signal}")
        return self.enable_observability if switch is None else switch


def read_otel(members: Any, config: Mapping[str, str]) -> OtelConfig:
    """`otel_config` of the host data, overridden by the provider's configuration; InvalidArgument names the field."""
    if members is None:
        members = {}
    if not isinstance(members, dict):
        raise Fields({"otel_config": members}).wrong("otel_config", "an object")
    overrides: dict[str, Any] = {_KEYS[name.upper()]: value for name, value in config.items() if is_otel_key(name) and value}
    for name in ("max_batch_queue_size", "concurrent_exports"):
        if name in overrides:
            number = overrides[name]
            overrides[name] = int(number) if number.isdecimal() and len(number) <= _MOST_DIGITS else None
    try:
        return _read(Fields({**members, **overrides}))
    except InvalidArgument as error:
        raise InvalidArgument(error.message.replace("host data: ", "host data: otel_config.", 1)) from None


def _read(fields: Fields) -> OtelConfig:
    protocol = fields.text("protocol").lower() or "http"
    if protocol not in _PROTOCOLS:
        raise fields.wrong("protocol", "Http or Grpc")
    return OtelConfig(
        enable_observability=fields.flag("enable_observability"),
        enable_traces=fields.switch("enable_traces"),
        enable_metrics=fields.switch("enable_metrics"),
        enable_logs=fields.switch("enable_logs"),
        observability_endpoint=fields.text("observability_endpoint"),
        traces_endpoint=fields.text("traces_endpoint"),
        protocol=protocol,
        additional_ca_paths=fields.strings("additional_ca_paths", required=False),
        traces_sampler=fields.text("traces_sampler"),
        max_batch_queue_size=fields.count("max_batch_queue_size", 64),
        concurrent_exports=fields.count("concurrent_exports", 64),
    )
