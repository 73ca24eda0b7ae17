"""The line that a 1.x host writes to a provider's standard input (wrpc-1x.md §1.2): base64 of a JSON object.

Members that are unknown or have no use (`env_values`, `cluster_issuers`) are ignored, and all may be null or missing but the lattice and
the provider's own key. Every fault is one InvalidArgument that names the field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from provider_sdk.errors import InvalidArgument
from provider_sdk.hosts.line import Fields
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.hosts.wrpc.links_wire import LinkDefinition, read_texts
from provider_sdk.hosts.wrpc.otel import OtelConfig, read_otel
from provider_sdk.hosts.wrpc.secret_values import SecretBox, read_secrets
from provider_sdk.nkeys import CurveKey, curve_public, decode_seed

_LEVELS = ("critical", "error", "warn", "info", "debug", "trace")


@dataclass(frozen=True, slots=True)
class HostData:
    """What the host told, under the names of the wire. Empty where it told nothing."""

    host_id: str
    lattice_rpc_prefix: str
    link_name: str
    lattice_rpc_url: str = field(repr=False)
    lattice_rpc_user_jwt: str = field(repr=False)
    lattice_rpc_user_seed: str = field(repr=False)
    provider_key: str
    instance_id: str
    link_definitions: tuple[LinkDefinition, ...]
    config: Mapping[str, str] = field(repr=False)
    secrets: Mapping[str, str | bytes] = field(repr=False)
    host_xkey_public_key: str
    provider_xkey_private_key: str = field(repr=False)
    default_rpc_timeout_ms: int | None
    structured_logging: bool
    log_level: str
    otel_config: OtelConfig = field(repr=False)

    @property
    def era(self) -> Era:
        """Hosts before v1.1 have no X keys (§0.3)."""
        return Era.SECOND if self.host_xkey_public_key or self.provider_xkey_private_key else Era.FIRST

    @property
    def secret_box(self) -> SecretBox:
        """What opens the secrets of links."""
        seed = self.provider_xkey_private_key
        return SecretBox(CurveKey.from_seed(seed) if seed else None, self.host_xkey_public_key)


def parse_host_data(members: dict[str, Any]) -> HostData:
    """The host data of any host of §1.2; InvalidArgument names the field."""
    fields = Fields(members)
    level = fields.text("log_level").lower()
    if level and level not in _LEVELS:
        raise InvalidArgument(f"host data: log_level: expected one of {', '.join(_LEVELS)}, got {level[:64]!r}")
    user_jwt, user_seed = fields.text("lattice_rpc_user_jwt").strip(), fields.text("lattice_rpc_user_seed").strip()
    if bool(user_jwt) != bool(user_seed):
        missing, given = ("seed", "jwt") if user_jwt else ("jwt", "seed")
        raise InvalidArgument(f"host data: lattice_rpc_user_{missing}: missing, and belongs to lattice_rpc_user_{given}, which is given")
    host_public, provider_seed = fields.text("host_xkey_public_key").strip(), fields.text("provider_xkey_private_key").strip()
    _check("lattice_rpc_user_seed", decode_seed, user_seed)
    _check("host_xkey_public_key", curve_public, host_public)
    _check("provider_xkey_private_key", CurveKey.from_seed, provider_seed)
    config = read_texts(members.get("config"), "host data: config")
    return HostData(
        host_id=fields.text("host_id"),
        lattice_rpc_prefix=fields.token("lattice_rpc_prefix", dots=True),
        link_name=fields.text("link_name") or "default",
        lattice_rpc_url=fields.text("lattice_rpc_url").strip(),
        lattice_rpc_user_jwt=user_jwt,
        lattice_rpc_user_seed=user_seed,
        provider_key=fields.token("provider_key", dots=True),
        instance_id=fields.text("instance_id"),
        link_definitions=_links(members.get("link_definitions")),
        config=config,
        secrets=read_secrets(members.get("secrets"), "host data: secrets"),
        host_xkey_public_key=host_public,
        provider_xkey_private_key=provider_seed,
        default_rpc_timeout_ms=fields.count("default_rpc_timeout_ms", 64),
        structured_logging=fields.flag("structured_logging"),
        log_level=level,
        otel_config=read_otel(members.get("otel_config"), config),
    )


def _links(value: Any) -> tuple[LinkDefinition, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise Fields({"link_definitions": value}).wrong("link_definitions", "a list")
    return tuple(LinkDefinition.from_members(item, f"host data: link_definitions[{index}]") for index, item in enumerate(value))


def _check(name: str, read: Callable[[str], object], key: str) -> None:
    try:
        if key:
            read(key)
    except InvalidArgument as error:
        raise InvalidArgument(f"host data: {name}: {error.message}") from None
