"""Secrets as 1.x hosts write them (wrpc-1x.md §1.2), and the sealed boxes that a link's come in (§2.3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provider_sdk.errors import InvalidArgument
from provider_sdk.hosts.line import is_utf8, json_kind
from provider_sdk.nkeys import CurveKey


def is_secret(config: str) -> bool:
    """Whether a named configuration is a reference to a secret: its name alone decides (§2.1, §2.4)."""
    return config.startswith("SECRET")


def read_secrets(members: Any, where: str) -> dict[str, str | bytes]:
    """An object of SecretValues; bytes that are UTF-8 text become text. InvalidArgument, which shows no value."""
    if members is None:
        return {}
    if not isinstance(members, dict):
        raise InvalidArgument(f"{where}: expected an object of secrets, got {json_kind(members)}")
    return {name: _secret(value, f"{where}.{name[:64]}") for name, value in members.items() if value is not None}


def _secret(value: Any, where: str) -> str | bytes:
    kind, content = (value.get("kind"), value.get("value")) if isinstance(value, dict) else (None, None)
    if kind == "String" and isinstance(content, str) and is_utf8(content):
        return content
    if kind != "Bytes":
        raise InvalidArgument(f'{where}: expected a secret, {{"kind":"String"|"Bytes","value":…}}')
    raw = read_bytes(content, where)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def read_bytes(value: Any, where: str) -> bytes:
    """A list of numbers from 0 to 255; null is an empty one. InvalidArgument."""
    if value is None:
        return b""
    if not isinstance(value, list) or not all(type(item) is int and 0 <= item <= 255 for item in value):
        raise InvalidArgument(f"{where}: expected a list of numbers from 0 to 255")
    return bytes(value)


@dataclass(frozen=True, slots=True)
class SecretBox:
    """What opens a link's secrets: this provider's key and the host's public one, both absent under hosts of v1.0."""

    key: CurveKey | None = None
    host_public: str = ""

    def open(self, sealed: bytes) -> Mapping[str, str | bytes]:
        """The secrets of one side of a link; InvalidArgument, which shows none of them."""
        if not sealed:
            return {}
        if self.key is None or not self.host_public:
            raise InvalidArgument("they are sealed, and the host has given no keys to open them with")
        plain = self.key.open(sealed, self.host_public)
        try:
            members = json.loads(plain)
        except (ValueError, RecursionError):
            raise InvalidArgument("what was sealed is not JSON") from None
        return read_secrets(members, "what was sealed")
