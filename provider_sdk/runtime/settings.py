"""Settings that every provider has: read from the provider's own configuration, beside the provider's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TypeVar

from provider_sdk.config import Config, Layer, Loaded, setting

C = TypeVar("C", bound=Config)


class RuntimeSettings(Config):
    """Limits and addresses of the process; the same for every provider."""

    call_timeout: float | None = setting(
        None,
        unit="seconds",
        minimum=0.001,
        doc="Longest time a call may take; by default what the host says that its callers wait, and 30 s for the blobstore.",
    )
    max_calls: int = setting(1024, minimum=1, doc="Calls served at once in all; more are answered resource_exhausted at once.")
    max_calls_per_link: int = setting(256, minimum=1, doc="Calls served at once for one link.")
    link_wait: float = setting(1.0, unit="seconds", minimum=0.0, doc="How long a call waits for a link that it has overtaken.")
    link_timeout: float = setting(30.0, unit="seconds", minimum=0.1, doc="How long setting up a link may take before it counts as failed.")
    stream_memory: int = setting(
        32 << 20,
        unit="bytes",
        minimum=1 << 20,
        doc="Bytes of streams held in memory, all together; what comes beyond goes to files. 1.x only.",
    )
    stream_spool: int = setting(
        4 << 30,
        unit="bytes",
        minimum=0,
        doc="Bytes of streams held in files without a name; a stream that would need more is aborted. 1.x only.",
    )
    stream_timeout: float = setting(
        30.0, unit="seconds", minimum=0.1, doc="How long a stream may stand still until it is given up. 1.x only."
    )
    drain_timeout: float = setting(5.0, unit="seconds", minimum=0.0, doc="How long SIGTERM and SIGINT wait for calls in flight.")
    metrics_address: str | None = setting(
        None, doc="host:port on which /metrics (Prometheus text) and /healthz are served; none by default."
    )
    nats_ca_file: Path | None = setting(
        None, doc="PEM file of the authorities that the NATS server's certificate is checked against; by default the system's."
    )
    data_dir: Path | None = setting(
        None, doc="Folder for the data of embedded backends; default: LATTICE/PROVIDER_ID in the user's state folder."
    )
    log_level: str | None = setting(
        None, choices=("trace", "debug", "info", "warn", "error"), doc="Least level that is logged; the host's word comes first."
    )

    def differing(self, other: RuntimeSettings) -> list[str]:
        """The names of the settings that have another value there."""
        return [member.name for member in fields(self) if getattr(self, member.name) != getattr(other, member.name)]


def own_layers(values: Mapping[str, object], secrets: Mapping[str, object]) -> tuple[Layer, ...]:
    """A provider's own configuration and secrets."""
    return Layer("provider configuration", values), Layer("provider secrets", secrets, secret=True)


def load_link(config_class: type[C], own: tuple[Layer, ...], values: Mapping[str, object], secrets: Mapping[str, object]) -> Loaded[C]:
    """The settings of a link over those of its provider. WrongSettings."""
    layers = (*own, Layer("link values", values), Layer("link secrets", secrets, secret=True))
    loaded = config_class.load(*layers, ignore=RuntimeSettings.names())
    misplaced = values.keys() & set(RuntimeSettings.names()) - set(config_class.names())
    told = [f"link values: {name} is ignored: it belongs in the provider's own configuration" for name in sorted(misplaced)]
    return replace(loaded, warnings=loaded.warnings + told)
