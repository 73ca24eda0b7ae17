"""The line that a host writes to a provider's standard input: base64 of a JSON object, the host data. Typed access to its members.

Every fault is one InvalidArgument that names the field.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

from provider_sdk.errors import InvalidArgument

_TOKEN = re.compile(r"[^\s.*>\x00-\x1f]+")


def is_utf8(text: str) -> bool:
    """Whether a decoded string is one: bytes that are not UTF-8, and half characters of JSON, stay in it as surrogates."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_token(text: str) -> bool:
    """Whether a text can be one part of a NATS subject."""
    return _TOKEN.fullmatch(text) is not None


class Fields:
    """Typed access to the object's members."""

    def __init__(self, members: dict[str, Any]) -> None:
        self._members = members

    def wrong(self, name: str, expected: str) -> InvalidArgument:
        """The fault of a member that is something else."""
        value = self._members.get(name)
        got = "nothing" if name not in self._members else json_kind(value)
        return InvalidArgument(f"host data: {name}: expected {expected}, got {got}")

    def text(self, name: str) -> str:
        """A string, empty where it is null or missing."""
        value = self._members.get(name)
        if value is not None and not isinstance(value, str):
            raise self.wrong(name, "a string")
        if value and not is_utf8(value):
            raise InvalidArgument(f"host data: {name}: not UTF-8")
        return value or ""

    def needed(self, name: str) -> str:
        """A string that is not empty."""
        value = self.text(name)
        if not value:
            raise self.wrong(name, "a string that is not empty") if name in self._members else self.wrong(name, "a string")
        return value

    def token(self, name: str, *, dots: bool = False) -> str:
        """One that can be part of a NATS subject."""
        value = self.needed(name)
        parts = value.split(".") if dots else [value]
        if not all(map(is_token, parts)):
            raise InvalidArgument(f"host data: {name}: {value!r} cannot be part of a NATS subject")
        return value

    def flag(self, *names: str) -> bool:
        """A boolean under the first of these names that is there."""
        for name in names:
            value = self._members.get(name)
            if value is not None:
                if value not in (True, False, 0, 1):
                    raise self.wrong(name, "true or false")
                return bool(value)
        return False

    def switch(self, name: str) -> bool | None:
        """A boolean, None where it is null or missing."""
        return None if self._members.get(name) is None else self.flag(name)

    def count(self, name: str, bits: int = 32) -> int | None:
        """A whole number of `bits` bits, None where it is null or missing."""
        value = self._members.get(name)
        if value is not None and (type(value) is not int or not 0 <= value < 1 << bits):
            raise self.wrong(name, f"a whole number below 2^{bits}")
        return value

    def strings(self, name: str, *, required: bool = True) -> tuple[str, ...]:
        """A list of strings; where it is not required, null or missing is an empty one."""
        value = self._members.get(name)
        if value is None and not required:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(name, "a list of strings")
        return tuple(value)

    def mapping(self, name: str, *, required: bool) -> dict[str, str] | None:
        """An object of strings, without members that are null."""
        value = self._members.get(name)
        if value is None and not required:
            return None
        if not isinstance(value, dict) or not all(isinstance(item, str | None) for item in value.values()):
            raise self.wrong(name, "an object of strings")
        return {key: item for key, item in value.items() if item is not None}


def json_kind(value: Any) -> str:
    """What a decoded value is, in words."""
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return "null" if value is None else names[type(value)] if value != "" else "an empty string"


def unreachable(error: InvalidArgument) -> InvalidArgument:
    """What is said of a connection that cannot be tried: credentials were checked before, so the address or the CA file is wrong."""
    field = "provider configuration: nats_ca_file" if "authorities" in error.message else "host data: lattice_rpc_url"
    return InvalidArgument(f"{field}: {error.message}")


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
        raise InvalidArgument(f"host data: expected a JSON object, got {json_kind(members)}")
    return members
