"""The contract keyvalue in plain dictionaries: what the other stores are compared with. It knows no time, no limits and no callers."""

from __future__ import annotations

import re

from provider_sdk.contracts.keyvalue import GetResponse
from provider_sdk.errors import OutOfRange, PreconditionFailed

Members = set[str]
Held = str | list[str] | Members
_NUMBER = re.compile(r"-?[0-9]+", re.ASCII)


class Model:
    """The operations of contracts.keyvalue.KeyValue, without waiting. `held` is what is under each key."""

    def __init__(self, held: dict[str, Held] | None = None) -> None:
        self.held: dict[str, Held] = held or {}

    def _text(self, key: str) -> str | None:
        found = self.held.get(key)
        if found is None or isinstance(found, str):
            return found
        raise PreconditionFailed(f"{key} holds no text")

    def _list(self, key: str) -> list[str]:
        found = self.held.get(key, [])
        if isinstance(found, list):
            return found
        raise PreconditionFailed(f"{key} holds no list")

    def _set(self, key: str) -> Members:
        found = self.held.get(key, set())
        if isinstance(found, set):
            return found
        raise PreconditionFailed(f"{key} holds no set")

    def get(self, key: str) -> GetResponse:
        """The text."""
        text = self._text(key)
        return GetResponse() if text is None else GetResponse(text, exists=True)

    def set(self, key: str, value: str, expires: int) -> None:
        """Put text; for ever, whatever `expires` says."""
        self.held[key] = value

    def delete(self, key: str) -> bool:
        """Remove."""
        return self.held.pop(key, None) is not None

    list_clear = set_clear = delete

    def contains(self, key: str) -> bool:
        """Whether it exists."""
        return key in self.held

    def increment(self, key: str, value: int) -> int:
        """Add."""
        text = self._text(key)
        text = "0" if text is None else text
        if not _NUMBER.fullmatch(text) or str(int(text)) != text or not -(1 << 63) <= int(text) < 1 << 63:
            raise PreconditionFailed(f"{key} holds no number")
        total = int(text) + value
        if not -(1 << 31) <= total < 1 << 31:
            raise OutOfRange(f"{key} + {value}")
        self.held[key] = str(total)
        return total

    def list_add(self, list_name: str, value: str) -> int:
        """Append."""
        items = self._list(list_name)
        items.append(value)
        self.held[list_name] = items
        return len(items)

    def list_del(self, list_name: str, value: str) -> bool:
        """Remove the first equal item."""
        items = self._list(list_name)
        if value not in items:
            return False
        items.remove(value)
        self._drop_empty(list_name)
        return True

    def list_range(self, list_name: str, start: int, stop: int) -> list[str]:
        """Both ends included."""
        items = self._list(list_name)
        first = start + len(items) if start < 0 else start
        last = stop + len(items) if stop < 0 else stop
        return [item for number, item in enumerate(items) if first <= number <= last]

    def set_add(self, set_name: str, value: str) -> int:
        """Add a member."""
        members = self._set(set_name)
        added = value not in members
        self.held[set_name] = members | {value}
        return int(added)

    def set_del(self, set_name: str, value: str) -> int:
        """Remove a member."""
        members = self._set(set_name)
        removed = value in members
        members.discard(value)
        self._drop_empty(set_name)
        return int(removed)

    def set_query(self, set_name: str) -> list[str]:
        """All members."""
        return sorted(self._set(set_name))

    def set_union(self, set_names: list[str]) -> list[str]:
        """In any."""
        return sorted({member for name in set_names for member in self._set(name)})

    def set_intersection(self, set_names: list[str]) -> list[str]:
        """In all."""
        sets = [self._set(name) for name in set_names]
        return sorted(frozenset.intersection(*map(frozenset, sets))) if sets else []

    def _drop_empty(self, key: str) -> None:
        if not self.held.get(key, True):
            del self.held[key]
