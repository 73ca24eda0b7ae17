"""A store in the process's memory: gone with the process."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from providers.keyvalue.backend import HIGHEST, LOWEST, Backend, Entry, Kind, Stats, Store, clamp, full, summed, wrong_kind
from providers.keyvalue.changes import Change, Interest, Tell
from providers.keyvalue.config import KeyValueConfig

EXPIRE_EVERY = 1.0

Held = bytes | list[bytes] | dict[bytes, None]
_KINDS: dict[type, Kind] = {bytes: Kind.TEXT, list: Kind.LIST, dict: Kind.SET}


@dataclass(slots=True)
class _Slot:
    held: Held
    number: int
    expires: float = 0.0


@dataclass
class _Space:
    slots: dict[bytes, _Slot] = field(default_factory=dict)
    expiring: list[tuple[float, bytes]] = field(default_factory=list)
    made: int = 0
    watching: list[Tell] = field(default_factory=list)

    def tell(self, change: Change, key: bytes) -> None:
        for tell in self.watching:
            tell(change, key)

    def remove(self, key: bytes) -> None:
        del self.slots[key]
        self.tell(Change.DELETE, key)

    def expire(self, now: float) -> None:
        while self.expiring and self.expiring[0][0] <= now:
            moment, key = heapq.heappop(self.expiring)
            slot = self.slots.get(key)
            if slot is not None and slot.expires == moment:
                self.remove(key)


class MemoryStore(Store):
    """Dictionaries by namespace."""

    def __init__(self) -> None:
        self._spaces: dict[str, _Space] = {}

    def namespace(self, name: str) -> Backend:
        return MemoryBackend(self._spaces.setdefault(name, _Space()))

    async def trouble(self) -> str:
        return ""

    async def close(self) -> None:
        self._spaces.clear()


class MemoryBackend(Backend):
    """One dictionary. No operation waits, so each is atomic."""

    def __init__(self, space: _Space) -> None:
        self._space = space

    def _slot(self, key: bytes) -> _Slot | None:
        if self._space.expiring:
            self._space.expire(time.time())
        return self._space.slots.get(key)

    def _list(self, key: bytes) -> list[bytes] | None:
        slot = self._slot(key)
        if slot is None:
            return None
        if isinstance(slot.held, list):
            return slot.held
        raise wrong_kind(key, _KINDS[type(slot.held)], Kind.LIST)

    def _set(self, key: bytes) -> dict[bytes, None]:
        slot = self._slot(key)
        if slot is None:
            return {}
        if isinstance(slot.held, dict):
            return slot.held
        raise wrong_kind(key, _KINDS[type(slot.held)], Kind.SET)

    async def get(self, key: bytes) -> bytes | None:
        slot = self._slot(key)
        if slot is None:
            return None
        if isinstance(slot.held, bytes):
            return slot.held
        raise wrong_kind(key, _KINDS[type(slot.held)], Kind.TEXT)

    async def set(self, key: bytes, value: bytes, expires: int) -> None:
        self._put(key, value, time.time() + expires if expires else 0.0)

    def _put(self, key: bytes, held: Held, expires: float) -> None:
        if self._space.expiring:
            self._space.expire(time.time())
        before = self._space.slots.get(key)
        if before is None:
            self._space.made += 1
        self._space.slots[key] = _Slot(held, self._space.made if before is None else before.number, expires)
        if expires:
            heapq.heappush(self._space.expiring, (expires, key))
        if isinstance(held, bytes):
            self._space.tell(Change.SET, key)

    async def delete(self, key: bytes) -> bool:
        if self._slot(key) is None:
            return False
        self._space.remove(key)
        return True

    async def contains(self, key: bytes) -> bool:
        return self._slot(key) is not None

    async def increment(self, key: bytes, delta: int, lowest: int = LOWEST, highest: int = HIGHEST) -> int:
        slot = self._slot(key)
        total = summed(key, await self.get(key), delta, lowest, highest)
        if slot is None:
            self._put(key, b"%d" % total, 0.0)
        else:
            slot.held = b"%d" % total
            self._space.tell(Change.SET, key)
        return total

    async def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        held = [slot and slot.held for slot in map(self._slot, keys)]
        return [value if isinstance(value, bytes) else None for value in held]

    async def set_many(self, values: dict[bytes, bytes]) -> None:
        for key, value in values.items():
            self._put(key, value, 0.0)

    async def delete_many(self, keys: list[bytes]) -> None:
        for key in keys:
            await self.delete(key)

    async def keys(self, cursor: int, most: int) -> tuple[list[bytes], int | None]:
        self._space.expire(time.time())
        # The dictionary has the keys in the order of their numbers.
        later = ((slot.number, key) for key, slot in self._space.slots.items() if slot.number > cursor)
        page = list(itertools.islice(later, most + 1))
        return [key for _, key in page[:most]], page[most - 1][0] if len(page) > most else None

    async def list_add(self, key: bytes, value: bytes, most: int) -> int:
        items = self._list(key)
        if items is None:
            items = []
            self._put(key, items, 0.0)
        if len(items) >= most:
            raise full(key, Kind.LIST, most)
        items.append(value)
        return len(items)

    async def list_delete(self, key: bytes, value: bytes) -> bool:
        items = self._list(key) or []
        if value not in items:
            return False
        items.remove(value)
        if not items:
            self._space.remove(key)
        return True

    async def list_range(self, key: bytes, start: int, stop: int) -> list[bytes]:
        items = self._list(key) or []
        first, behind = clamp(start, stop, len(items))
        return items[first:behind]

    async def set_add(self, key: bytes, value: bytes, most: int) -> int:
        members = self._set(key)
        if value in members:
            return 0
        if len(members) >= most:
            raise full(key, Kind.SET, most)
        if not members:
            self._put(key, members, 0.0)
        members[value] = None
        return 1

    async def set_delete(self, key: bytes, value: bytes) -> int:
        members = self._set(key)
        if value not in members:
            return 0
        del members[value]
        if not members:
            self._space.remove(key)
        return 1

    async def set_union(self, keys: list[bytes]) -> list[bytes]:
        return list(dict.fromkeys(member for key in keys for member in self._set(key)))

    async def set_intersection(self, keys: list[bytes]) -> list[bytes]:
        sets = [self._set(key) for key in keys]
        return [member for member in sets[0] if all(member in other for other in sets)] if sets else []

    async def watch(self, interest: Interest, tell: Tell, ready: Callable[[], None]) -> NoReturn:
        self._space.watching.append(tell)
        try:
            ready()
            while True:
                await asyncio.sleep(EXPIRE_EVERY)
                self._space.expire(time.time())
        finally:
            self._space.watching.remove(tell)

    async def entries(self) -> AsyncIterator[Entry]:
        for key in list(self._space.slots):
            slot = self._slot(key)
            if slot is not None:
                items = (slot.held,) if isinstance(slot.held, bytes) else tuple(slot.held)
                yield Entry(key, _KINDS[type(slot.held)], items, slot.expires)

    async def put(self, entry: Entry) -> None:
        made: dict[Kind, Held] = {Kind.LIST: list(entry.items), Kind.SET: dict.fromkeys(entry.items)}
        self._put(entry.key, made.get(entry.kind, entry.items[0]), entry.expires)

    async def stats(self) -> Stats:
        kinds, expiring, size = dict.fromkeys(Kind, 0), 0, 0
        async for entry in self.entries():
            kinds[entry.kind] += 1
            expiring += entry.expires > 0
            size += len(entry.key) + sum(map(len, entry.items))
        return Stats(kinds[Kind.TEXT], kinds[Kind.LIST], kinds[Kind.SET], expiring, size)


def open_store(config: KeyValueConfig, data_dir: Path) -> Store:
    """An empty one."""
    return MemoryStore()


def store_key(config: KeyValueConfig, data_dir: Path) -> object:
    """`memory://name`: one store a name."""
    return "" if config.url is None else urlsplit(config.url.reveal()).netloc
