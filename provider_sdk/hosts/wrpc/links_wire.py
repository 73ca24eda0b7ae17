"""Link definitions as JSON (wrpc-1x.md §1.2): in the host data, in puts and dels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provider_sdk.errors import InvalidArgument
from provider_sdk.hosts.line import is_utf8, json_kind
from provider_sdk.hosts.wrpc import names
from provider_sdk.hosts.wrpc.secret_values import read_bytes
from provider_sdk.link import LinkKey, Role

_NAMES = ("source_id", "target", "name", "wit_namespace", "wit_package")


@dataclass(frozen=True, slots=True)
class Ends:
    """What tells one link from another (§2.1), whatever else is said about it."""

    source_id: str
    target: str
    name: str
    wit_namespace: str
    wit_package: str
    interfaces: tuple[str, ...]

    @staticmethod
    def from_members(members: Any, where: str) -> Ends:
        """From decoded JSON; unknown members are ignored, those that are null or missing are empty. InvalidArgument names the member."""
        if not isinstance(members, dict):
            raise InvalidArgument(f"{where}: expected an object, got {json_kind(members)}")
        texts = [_text(members.get(name), f"{where}.{name}") for name in _NAMES]
        source, target, name, namespace, package = texts
        return Ends(source, target, name or "default", namespace, package, read_names(members, "interfaces", where))

    def key(self, provider_key: str) -> LinkKey:
        """The link as this provider knows it, by the side that it is on; InvalidArgument where it is on neither."""
        contract = names.contract(self.wit_namespace, self.wit_package) if self.wit_namespace or self.wit_package else ""
        if self.source_id == provider_key:
            return LinkKey(self.target, contract, self.name, Role.SOURCE)
        if self.target == provider_key:
            return LinkKey(self.source_id, contract, self.name, Role.TARGET)
        shown = [text[:64] for text in (self.name, self.source_id, self.target)]
        raise InvalidArgument("the link {!r} from {!r} to {!r} is none of this provider's".format(*shown))


@dataclass(frozen=True, slots=True)
class LinkDefinition:
    """One link as hosts tell it: both sides' configuration, and both sides' secrets, sealed, empty for none."""

    ends: Ends
    source_config: Mapping[str, str] = field(default_factory=dict, repr=False)
    target_config: Mapping[str, str] = field(default_factory=dict, repr=False)
    source_secrets: bytes = field(default=b"", repr=False)
    target_secrets: bytes = field(default=b"", repr=False)

    @staticmethod
    def from_members(members: Any, where: str) -> LinkDefinition:
        """From decoded JSON, as lenient as `Ends`; InvalidArgument names `where` and the member, and shows no value."""
        ends = Ends.from_members(members, where)
        source, target = (read_texts(members.get(name), f"{where}.{name}") for name in ("source_config", "target_config"))
        sealed = [read_bytes(members.get(name), f"{where}.{name}") for name in ("source_secrets", "target_secrets")]
        return LinkDefinition(ends, source, target, *sealed)

    def config(self, role: Role) -> Mapping[str, str]:
        """The values of one side."""
        return self.source_config if role is Role.SOURCE else self.target_config

    def sealed(self, role: Role) -> bytes:
        """The sealed secrets of one side."""
        return self.source_secrets if role is Role.SOURCE else self.target_secrets


def decode_link(data: bytes) -> LinkDefinition:
    """A put or del payload; InvalidArgument."""
    return LinkDefinition.from_members(decode_json(data, "link definition"), "link definition")


def decode_json(data: bytes, what: str) -> Any:
    """A payload as JSON; InvalidArgument."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"{what}: not JSON: {type(error).__name__}") from None


def read_names(members: dict[str, Any], name: str, where: str) -> tuple[str, ...]:
    """A member that is a list of strings, null or missing an empty one; InvalidArgument."""
    value = members.get(name)
    if value is not None and not isinstance(value, list):
        raise InvalidArgument(f"{where}.{name}: expected a list of strings, got {json_kind(value)}")
    return tuple(_text(item, f"{where}.{name}") for item in value or ())


def read_texts(value: Any, where: str) -> dict[str, str]:
    """An object of strings; null is an empty one, and members that are null are left out. InvalidArgument, which shows no value."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidArgument(f"{where}: expected an object of strings, got {json_kind(value)}")
    return {name: _text(item, f"{where}.{name[:64]}") for name, item in value.items() if item is not None and _text(name, where)}


def _text(value: Any, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidArgument(f"{where}: expected a string, got {json_kind(value)}")
    if not is_utf8(value):
        raise InvalidArgument(f"{where}: not UTF-8")
    return value
