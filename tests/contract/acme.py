"""A store of somebody else's, as small as one can be: what the suite is tried on. It has no expiry, no limits, and forgets."""

from __future__ import annotations

from typing import Any, TypeVar

from provider_sdk import OutOfRange, PreconditionFailed, Unsupported
from provider_sdk.contracts.keyvalue import GetResponse, KeyValue

T = TypeVar("T")
KINDS: dict[type, str] = {str: "text", list: "list", frozenset: "set"}


class AcmeStore:
    """Namespaces by name, in each what is under a key: str, list or frozenset."""

    def __init__(self) -> None:
        self.namespaces: dict[str, dict[str, Any]] = {}


class AcmeKeyValue(KeyValue):
    """One namespace."""

    def __init__(self, store: AcmeStore, namespace: str) -> None:
        self.data = store.namespaces.setdefault(namespace, {})

    def held(self, key: str, kind: type[T]) -> T | None:
        found = self.data.get(key)
        if found is None or isinstance(found, kind):
            return found
        raise PreconditionFailed(f"{key!r} is a {KINDS[type(found)]}, not a {KINDS[kind]}")

    def keep(self, key: str, value: Any) -> None:
        if value:
            self.data[key] = value
        else:
            self.data.pop(key, None)

    async def increment(self, key: str, value: int) -> int:
        text = self.held(key, str)
        text = "0" if text is None else text
        if not text.isascii() or not text.removeprefix("-").isdigit() or len(text) > 20 or str(int(text)) != text:
            raise PreconditionFailed(f"{key!r} is no number")
        total = int(text) + value
        if not -(2**31) <= total < 2**31:
            raise OutOfRange(f"{key!r} would be {total}")
        self.data[key] = str(total)
        return total

    async def contains(self, key: str) -> bool:
        return key in self.data

    async def delete(self, key: str) -> bool:
        return self.data.pop(key, None) is not None

    async def get(self, key: str) -> GetResponse:
        text = self.held(key, str)
        return GetResponse() if text is None else GetResponse(text, exists=True)

    async def list_add(self, list_name: str, value: str) -> int:
        self.data[list_name] = [*(self.held(list_name, list) or []), value]
        return len(self.data[list_name])

    async def list_clear(self, list_name: str) -> bool:
        return await self.delete(list_name)

    async def list_del(self, list_name: str, value: str) -> bool:
        items = self.held(list_name, list) or []
        if value not in items:
            return False
        items.remove(value)
        self.keep(list_name, items)
        return True

    async def list_range(self, list_name: str, start: int, stop: int) -> list[str]:
        items = self.held(list_name, list) or []
        first, last = (end + len(items) if end < 0 else end for end in (start, stop))
        return items[max(first, 0) : max(last + 1, 0)]

    async def set(self, key: str, value: str, expires: int) -> None:
        if expires:
            raise Unsupported("acme keeps things for ever")
        self.data[key] = value

    async def set_add(self, set_name: str, value: str) -> int:
        members = self.held(set_name, frozenset) or frozenset()
        self.data[set_name] = members | {value}
        return int(value not in members)

    async def set_del(self, set_name: str, value: str) -> int:
        members = self.held(set_name, frozenset) or frozenset()
        self.keep(set_name, members - {value})
        return int(value in members)

    async def set_intersection(self, set_names: list[str]) -> list[str]:
        sets = [self.held(name, frozenset) or frozenset() for name in set_names]
        return list(frozenset.intersection(*sets)) if sets else []

    async def set_query(self, set_name: str) -> list[str]:
        return list(self.held(set_name, frozenset) or ())

    async def set_union(self, set_names: list[str]) -> list[str]:
        return list(frozenset[str]().union(*(self.held(name, frozenset) or () for name in set_names)))

    async def set_clear(self, set_name: str) -> bool:
        return await self.delete(set_name)
