"""The line that a 0.x host writes to a provider's standard input (wasmbus-0x.md §1.2, §1.3): base64 of a JSON object.

Every fault is one InvalidArgument that names the field.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provider_sdk.errors import InvalidArgument
from provider_sdk.hosts.line import Fields
from provider_sdk.hosts.wasmbus.links_wire import LinkDefinition
from provider_sdk.nkeys import decode_seed

_LEVELS = ("trace", "debug", "info", "warn", "error")
_DEFAULT_COLLECTOR = "http://localhost:55681/v1/traces"


@dataclass(frozen=True, slots=True)
class HostData:
    """What the host told, under the names of the wire."""

    host_id: str
    lattice_rpc_prefix: str
    link_name: str
    lattice_rpc_url: str = field(repr=False)
    lattice_rpc_user_jwt: str = field(repr=False)
    lattice_rpc_user_seed: str = field(repr=False)
    lattice_rpc_tls: bool
    provider_key: str
    invocation_seed: str = field(repr=False)
    instance_id: str
    env_values: Mapping[str, str] = field(repr=False)
    link_definitions: tuple[LinkDefinition, ...]
    cluster_issuers: tuple[str, ...]
    config_json: str = field(repr=False)
    default_rpc_timeout_ms: int | None
    structured_logging: bool
    log_level: str | None
    js_domain: str | None
    otel_config: Mapping[str, str] | None

    @property
    def trace_endpoint(self) -> str:
        """The collector's URL where the host asks for OTLP traces, by its configuration or environment; else empty (§1.4)."""
        config = self.otel_config or {}
        exporter = config.get("traces_exporter") or os.environ.get("OTEL_TRACES_EXPORTER", "")
        if exporter.lower() != "otlp":
            return ""
        endpoint = config.get("exporter_otlp_endpoint") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
        if not endpoint:
            return _DEFAULT_COLLECTOR
        return endpoint if endpoint.endswith("/v1/traces") else f"{endpoint.rstrip('/')}/v1/traces"


class _Fields(Fields):
    """With links as 0.x hosts write them."""

    def links(self, name: str) -> tuple[LinkDefinition, ...]:
        value = self._members.get(name)
        if not isinstance(value, list):
            raise self.wrong(name, "a list")
        for index, item in enumerate(value):
            if isinstance(item, dict) and "values" not in item:
                raise InvalidArgument(f"host data: {name}[{index}].values: expected an object of strings, got nothing")
        return tuple(LinkDefinition.from_members(item, f"host data: {name}[{index}]") for index, item in enumerate(value))


def _check_seed(name: str, seed: str) -> None:
    try:
        decode_seed(seed)
    except InvalidArgument as error:
        raise InvalidArgument(f"host data: {name}: {error}") from None


def parse_host_data(members: dict[str, Any]) -> HostData:
    """The host data of any host of §1.3, with its historic names and absences; InvalidArgument names the field."""
    fields = _Fields(members)
    level = fields.text("log_level").lower() or None
    if level is not None and level not in _LEVELS:
        raise InvalidArgument(f"host data: log_level: expected one of {', '.join(_LEVELS)}, got {level!r}")
    user_jwt, user_seed = fields.text("lattice_rpc_user_jwt").strip(), fields.text("lattice_rpc_user_seed").strip()
    if bool(user_jwt) != bool(user_seed):
        missing, given = ("seed", "jwt") if user_jwt else ("jwt", "seed")
        raise InvalidArgument(f"host data: lattice_rpc_user_{missing}: missing, and belongs to lattice_rpc_user_{given}, which is given")
    if user_seed:
        _check_seed("lattice_rpc_user_seed", user_seed)
    seed = fields.needed("invocation_seed")
    _check_seed("invocation_seed", seed)
    return HostData(
        host_id=fields.text("host_id"),
        lattice_rpc_prefix=fields.token("lattice_rpc_prefix", dots=True),
        link_name=fields.token("link_name"),
        lattice_rpc_url=fields.text("lattice_rpc_url").strip(),
        lattice_rpc_user_jwt=user_jwt,
        lattice_rpc_user_seed=user_seed,
        lattice_rpc_tls=fields.flag("lattice_rpc_tls"),
        provider_key=fields.token("provider_key"),
        invocation_seed=seed,
        instance_id=fields.text("instance_id"),
        env_values=fields.mapping("env_values", required=True) or {},
        link_definitions=fields.links("link_definitions"),
        cluster_issuers=fields.strings("cluster_issuers"),
        config_json=fields.text("config_json"),
        default_rpc_timeout_ms=fields.count("default_rpc_timeout_ms"),
        structured_logging=fields.flag("structured_logging", "structured_logging_enabled", "enable_structured_logging"),
        log_level=level,
        js_domain=fields.text("js_domain") or None,
        otel_config=fields.mapping("otel_config", required=False),
    )
