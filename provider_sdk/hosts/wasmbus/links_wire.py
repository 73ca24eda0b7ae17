"""Link definitions and health answers as bytes (wasmbus-0x.md §6.2, §7.1, A.6): msgpack on a lattice, JSON under the test kit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgpack

from provider_sdk.errors import InvalidArgument
from provider_sdk.hosts.line import is_utf8
from provider_sdk.hosts.wasmbus.envelope import as_map, kind, unpack

_NAMES = ("actor_id", "provider_id", "link_name", "contract_id", "values")


@dataclass(frozen=True, slots=True)
class LinkDefinition:
    """One link as hosts tell it. `values` may hold secrets and is left out of the representation."""

    actor_id: str
    provider_id: str
    link_name: str
    contract_id: str
    values: Mapping[str, str] = field(default_factory=dict, repr=False)

    @staticmethod
    def from_members(members: Any, where: str) -> LinkDefinition:
        """From decoded JSON or msgpack; unknown keys (OTP's `id`) are ignored. InvalidArgument names `where` and the member."""
        if not isinstance(members, dict):
            raise InvalidArgument(f"{where}: expected a map, got {kind(members)}")
        for name in _NAMES[:4]:
            if not isinstance(members.get(name, ""), str):
                raise InvalidArgument(f"{where}.{name}: expected a string, got {kind(members[name])}")
            if not is_utf8(members.get(name, "")):
                raise InvalidArgument(f"{where}.{name}: not UTF-8")
        values = members.get("values", {})
        if not isinstance(values, dict):
            raise InvalidArgument(f"{where}.values: expected a map of strings, got {kind(values)}")
        for key, value in values.items():
            if not isinstance(key, str) or not isinstance(value, str):
                raise InvalidArgument(f"{where}.values: expected a map of strings, got {kind(value)} for {str(key)[:64]!r}")
            if not is_utf8(key) or not is_utf8(value):
                raise InvalidArgument(f"{where}.values: not UTF-8 at {key[:64]!r}")
        actor_id, provider_id, link_name, contract_id = (members.get(name, "") for name in _NAMES[:4])
        return LinkDefinition(actor_id, provider_id, link_name, contract_id, values)

    def members(self) -> dict[str, Any]:
        """As a map, in the order of the Rust hosts."""
        return {name: getattr(self, name) for name in _NAMES[:4]} | {"values": dict(self.values)}


def decode_link(data: bytes) -> LinkDefinition:
    """A put or del payload, msgpack or JSON; InvalidArgument."""
    if data[:1] == b"{":
        try:
            return LinkDefinition.from_members(json.loads(data), "link definition")
        except (ValueError, RecursionError) as error:
            raise InvalidArgument(f"link definition: neither msgpack nor JSON: {error}") from None
    return LinkDefinition.from_members(as_map(unpack(data), _NAMES, "link definition"), "link definition")


def encode_link(link: LinkDefinition) -> bytes:
    """The msgpack payload of a Rust host."""
    packed: bytes = msgpack.packb(link.members())
    return packed


def encode_health(healthy: bool, message: str, *, as_json: bool = False) -> bytes:
    """A health answer (§7.1): `message` only where there is one."""
    members: dict[str, Any] = {"healthy": healthy}
    if message:
        members["message"] = message.encode("utf-8", "backslashreplace").decode()
    if as_json:
        return json.dumps(members).encode()
    packed: bytes = msgpack.packb(members)
    return packed
