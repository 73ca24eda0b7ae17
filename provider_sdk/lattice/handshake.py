"""What a provider is told on its standard input (wasmbus-0x.md §1.2, §1.3), and the environment it is started in (§1.1)."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from provider_sdk.lattice.links import LinkDefinition
from provider_sdk.lattice.manner import Manner


@dataclass(frozen=True, slots=True)
class ProviderProgram:
    """A provider that a host can start: the argument vector, the identity its archive would carry, the operator's settings.

    `key` is the provider's public key (`V…`); `configuration` becomes `config_json`; `cwd` None is the host's own.
    """

    command: tuple[str, ...]
    key: str
    name: str
    contract: str
    link_name: str = "default"
    image_ref: str = ""
    version: str = "0.1.0"
    revision: int = 0
    configuration: str | None = None
    cwd: Path | None = None


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What every provider of one host is told alike; `invocation_seed` is the cluster's seed."""

    manner: Manner
    lattice: str
    host_id: str
    url: str
    invocation_seed: str = field(repr=False)
    cluster_issuers: tuple[str, ...]
    user_jwt: str = ""
    user_seed: str = field(default="", repr=False)
    rpc_timeout: float = 2.0
    structured_logging: bool = False
    log_level: str | None = None


def host_data(facts: HostFacts, program: ProviderProgram, instance_id: str, links: Sequence[LinkDefinition]) -> dict[str, object]:
    """The HostData document with the fields, names and absences of the manner, in the order that the host writes them."""
    common: dict[str, object] = {
        "host_id": facts.host_id,
        "lattice_rpc_prefix": facts.lattice,
        "link_name": program.link_name,
        "lattice_rpc_user_jwt": facts.user_jwt,
        "lattice_rpc_user_seed": facts.user_seed,
        "lattice_rpc_url": rpc_url(facts.manner, facts.url),
        "provider_key": program.key,
        "invocation_seed": facts.invocation_seed,
        "env_values": {},
        "instance_id": instance_id,
        "link_definitions": [link.document(facts.manner) for link in links],
        "cluster_issuers": list(facts.cluster_issuers),
    }
    timeout = round(facts.rpc_timeout * 1000)
    if facts.manner is Manner.OTP:
        common |= {
            "config_json": program.configuration or "",
            "default_rpc_timeout_ms": timeout,
            "structured_logging": facts.structured_logging,
            "log_level": facts.log_level,
            "lattice_rpc_tls": 0,
            "js_domain": None,
        }
        return dict(sorted(common.items()))
    if program.configuration is not None:
        common["config_json"] = program.configuration
    common |= {"default_rpc_timeout_ms": timeout, "structured_logging": facts.structured_logging}
    if facts.log_level is not None:
        common["log_level"] = facts.log_level
    traces = {key: os.environ.get(name) or None for key, name in _OTEL.items()}
    return common | {"otel_config": traces}


_OTEL = {"traces_exporter": "OTEL_TRACES_EXPORTER", "exporter_otlp_endpoint": "OTEL_EXPORTER_OTLP_ENDPOINT"}


def stdin_line(manner: Manner, document: Mapping[str, object]) -> bytes:
    """The one line that the provider reads."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return base64.b64encode(text.encode()) + manner.habits.line_end


def rpc_url(manner: Manner, url: str) -> str:
    """The server's address as the host writes it: without a scheme (OTP), with one (Rust)."""
    if manner is Manner.OTP:
        return url.removeprefix("nats://")
    return url if "://" in url else f"nats://{url}"


def environment(manner: Manner) -> dict[str, str]:
    """The whole environment of a provider's process."""
    if not manner.habits.clears_environment:
        return dict(os.environ)
    kept = {name: os.environ.get(name, "") for name in _OTEL.values()}
    kept |= {name: os.environ[name] for name in ("RUST_LOG", "SYSTEMROOT") if name in os.environ}
    return kept
