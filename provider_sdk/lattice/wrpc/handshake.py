"""What a provider is told on its standard input by a 1.x host (wrpc-1x.md §1.2), and the environment it is started in (§1.1)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.lattice.handshake import rpc_url
from provider_sdk.lattice.manner import Manner
from provider_sdk.lattice.wrpc.settings import Resolved, secret_document
from provider_sdk.nkeys import CurveKey

OTEL: dict[str, Any] = {"enable_observability": False, "protocol": "Http", "additional_ca_paths": [], "trace_level": "info"}


@dataclass(frozen=True, slots=True)
class WrpcProgram:
    """A provider that a 1.x host can start: the argument vector, its id on the lattice, the names of its configurations.

    `cwd` None is the host's own. `key` and `version` are those of the claims in its archive, told in events alone; empty without claims.
    """

    command: tuple[str, ...]
    id: str
    name: str
    config: tuple[str, ...] = ()
    image_ref: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    key: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class WrpcFacts:
    """What every provider of one host is told alike; times in seconds, `otel` the members of `otel_config`."""

    lattice: str
    host_id: str
    url: str
    era: Era = Era.SECOND
    host_xkey: str = ""
    user_jwt: str = ""
    user_seed: str = field(default="", repr=False)
    rpc_timeout: float | None = 2.0
    structured_logging: bool = False
    log_level: str | None = "info"
    otel: Mapping[str, Any] = field(default_factory=lambda: OTEL)


def host_data(
    facts: WrpcFacts, provider_id: str, instance_id: str, links: Sequence[Mapping[str, Any]], own: Resolved, xkey: CurveKey
) -> dict[str, Any]:
    """The HostData document; `links` as they are spelled for this provider, `xkey` the one made for it, left out before v1.1."""
    document: dict[str, Any] = {
        "host_id": facts.host_id,
        "lattice_rpc_prefix": facts.lattice,
        "link_name": "default",
        "lattice_rpc_user_jwt": facts.user_jwt,
        "lattice_rpc_user_seed": facts.user_seed,
        "lattice_rpc_url": rpc_url(Manner.RUST, facts.url),
        "env_values": {},
        "instance_id": instance_id,
        "provider_key": provider_id,
        "link_definitions": list(links),
        "config": own.values,
        "cluster_issuers": [],
        "structured_logging": facts.structured_logging,
        "otel_config": dict(facts.otel),
    }
    if facts.era is Era.SECOND:
        document["secrets"] = secret_document(own.secrets)
        document["host_xkey_public_key"] = facts.host_xkey
        document["provider_xkey_private_key"] = xkey.seed
    if facts.rpc_timeout is not None:
        document["default_rpc_timeout_ms"] = round(facts.rpc_timeout * 1000)
    if facts.log_level is not None:
        document["log_level"] = facts.log_level
    return document


def environment() -> dict[str, str]:
    """The whole environment of a provider's process."""
    return {name: value for name, value in os.environ.items() if name in ("RUST_LOG", "SYSTEMROOT") or name.startswith("OTEL_")}
