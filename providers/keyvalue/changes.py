"""Changes of keys, and which of them somebody wants to be told of: `SET@key,DEL@key`, as the official Redis provider has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from provider_sdk import InvalidArgument

EVERYTHING_BEHIND = "*"


class Change(StrEnum):
    """What happened to a key: text was put under it, or it is gone, by whoever or because its time was over."""

    SET = "SET"
    DELETE = "DEL"


Tell = Callable[[Change, bytes], None]
"""Told of one change of one key."""


@dataclass(frozen=True, slots=True)
class Interest:
    """Keys by name and by what they begin with, each with one kind of change."""

    keys: frozenset[tuple[Change, bytes]] = frozenset()
    prefixes: tuple[tuple[Change, bytes], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.keys or self.prefixes)

    def wants(self, change: Change, key: bytes) -> bool:
        """Whether this change of this key is one of them."""
        return (change, key) in self.keys or any(wanted is change and key.startswith(start) for wanted, start in self.prefixes)

    @property
    def names(self) -> list[bytes]:
        """The keys that are named."""
        return sorted({key for _, key in self.keys})

    @property
    def starts(self) -> list[bytes]:
        """What other keys begin with."""
        return sorted({start for _, start in self.prefixes})


def parse(text: str) -> Interest:
    """What the setting says; InvalidArgument for a part that is not SET@key or DEL@key."""
    keys: set[tuple[Change, bytes]] = set()
    prefixes: dict[tuple[Change, bytes], None] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        kind, found, key = part.partition("@")
        if kind.strip().upper() not in set(Change) or not found or not key:
            raise InvalidArgument(f"watch: {part[:80]!a} is not SET@key or DEL@key, with * behind the beginning of several keys")
        change = Change(kind.strip().upper())
        if key.endswith(EVERYTHING_BEHIND):
            prefixes[change, key.removesuffix(EVERYTHING_BEHIND).encode()] = None
        else:
            keys.add((change, key.encode()))
    return Interest(frozenset(keys), tuple(prefixes))
