"""The line that a 0.x host writes to a provider's standard input (wasmbus-0x.md §1.2, §1.3): base64 of a JSON object.

Every fault is one InvalidArgument that names the field.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provider_sdk.errors import InvalidArgument
from provider_sdk.hosts.wasmbus.envelope import is_utf8
from provider_sdk.hosts.wasmbus.links_wire import LinkDefinition
from provider_sdk.nkeys import decode_seed

_TOKEN = re.compile(r"[^\s.*>\x00-\x1f]+")
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


class _Fields:
    """Typed access to the object's members."""

    def __init__(self, members: dict[str, Any]) -> None:
        self._members = members

    def _wrong(self, name: str, expected: str) -> InvalidArgument:
        value = self._members.get(name)
        got = "nothing" if name not in self._members else _json_kind(value)
        return InvalidArgument(f"host data: {name}: expected {expected}, got {got}")

    def text(self, name: str) -> str:
        value = self._members.get(name)
        if value is not None and not isinstance(value, str):
            raise self._wrong(name, "a string")
        if value and not is_utf8(value):
            raise InvalidArgument(f"host data: {name}: not UTF-8")
        return value or ""

    def needed(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise self._wrong(name, "a string that is not empty") if name in self._members else self._wrong(name, "a string")
        return value

    def token(self, name: str, *, dots: bool = False) -> str:
        value = self.needed(name)
        parts = value.split(".") if dots else [value]
        if not all(_TOKEN.fullmatch(part) for part in parts):
            raise InvalidArgument(f"host data: {name}: {value!r} cannot be part of a NATS subject")
        return value

    def flag(self, *names: str) -> bool:
        for name in names:
            value = self._members.get(name)
            if value is not None:
                if value not in (True, False, 0, 1):
                    raise self._wrong(name, "true or false")
                return bool(value)
        return False

    def count(self, name: str) -> int | None:
        value = self._members.get(name)
        if value is not None and (type(value) is not int or not 0 <= value < 1 << 32):
            raise self._wrong(name, "a whole number below 2^32")
        return value

    def strings(self, name: str) -> tuple[str, ...]:
        value = self._members.get(name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(name, "a list of strings")
        return tuple(value)

    def mapping(self, name: str, *, required: bool) -> dict[str, str] | None:
        value = self._members.get(name)
        if value is None and not required:
            return None
        if not isinstance(value, dict) or not all(isinstance(item, str | None) for item in value.values()):
            raise self._wrong(name, "an object of strings")
        return {key: item for key, item in value.items() if item is not None}

    def links(self, name: str) -> tuple[LinkDefinition, ...]:
        value = self._members.get(name)
        if not isinstance(value, list):
            raise self._wrong(name, "a list")
        for index, item in enumerate(value):
            if isinstance(item, dict) and "values" not in item:
                raise InvalidArgument(f"host data: {name}[{index}].values: expected an object of strings, got nothing")
        return tuple(LinkDefinition.from_members(item, f"host data: {name}[{index}]") for index, item in enumerate(value))


def _json_kind(value: Any) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return "null" if value is None else names[type(value)] if value != "" else "an empty string"


def decode_line(line: bytes) -> dict[str, Any]:
    """The JSON object of the line; base64 padded or not. InvalidArgument."""
    text = line.strip()
    if not text:
        raise InvalidArgument("stdin is empty - expecting host data configuration")
    try:
        decoded = base64.b64decode(text.rstrip(b"=") + b"=" * (-len(text.rstrip(b"=")) % 4), validate=True)
    except binascii.Error as error:
        raise InvalidArgument(f"host data: not base64: {error}") from None
    try:
        members = json.loads(decoded)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"host data: not JSON: {error}") from None
    if not isinstance(members, dict):
        raise InvalidArgument(f"host data: expected a JSON object, got {_json_kind(members)}")
    return members


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
