"""The 0.x contract on a backend: text in, text out, under the link's limits (wasmbus-0x.md §8.2)."""

from __future__ import annotations

from provider_sdk.contracts.keyvalue import GetResponse, KeyValue
from providers.keyvalue.backend import Backend, utf8
from providers.keyvalue.config import KeyValueConfig
from providers.keyvalue.limits import Limits, encoded


class ActorKeyValue(KeyValue):
    """What one link answers."""

    def __init__(self, backend: Backend, config: KeyValueConfig) -> None:
        self._backend = backend
        self._config = config
        limits = Limits(config)
        self._key, self._keys = limits.key, limits.sets
        self._limits = limits

    def _value(self, key: bytes, text: str) -> bytes:
        return self._limits.value(key, encoded(text))

    async def increment(self, key: str, value: int) -> int:
        return await self._backend.increment(self._key(key), value)

    async def contains(self, key: str) -> bool:
        return await self._backend.contains(self._key(key))

    async def delete(self, key: str) -> bool:
        return await self._backend.delete(self._key(key))

    async def get(self, key: str) -> GetResponse:
        name = self._key(key)
        value = await self._backend.get(name)
        return GetResponse() if value is None else GetResponse(utf8(name, value), exists=True)

    async def set(self, key: str, value: str, expires: int) -> None:
        name = self._key(key)
        await self._backend.set(name, self._value(name, value), expires)

    async def list_add(self, list_name: str, value: str) -> int:
        key = self._key(list_name)
        return await self._backend.list_add(key, self._value(key, value), self._config.max_list_items)

    async def list_clear(self, list_name: str) -> bool:
        return await self._backend.delete(self._key(list_name))

    async def list_del(self, list_name: str, value: str) -> bool:
        return await self._backend.list_delete(self._key(list_name), encoded(value))

    async def list_range(self, list_name: str, start: int, stop: int) -> list[str]:
        key = self._key(list_name)
        return [utf8(key, item) for item in await self._backend.list_range(key, start, stop)]

    async def set_add(self, set_name: str, value: str) -> int:
        key = self._key(set_name)
        return await self._backend.set_add(key, self._value(key, value), self._config.max_set_members)

    async def set_del(self, set_name: str, value: str) -> int:
        return await self._backend.set_delete(self._key(set_name), encoded(value))

    async def set_intersection(self, set_names: list[str]) -> list[str]:
        return _texts(set_names, await self._backend.set_intersection(self._keys(set_names)))

    async def set_query(self, set_name: str) -> list[str]:
        return _texts([set_name], await self._backend.set_union([self._key(set_name)]))

    async def set_union(self, set_names: list[str]) -> list[str]:
        return _texts(set_names, await self._backend.set_union(self._keys(set_names)))

    async def set_clear(self, set_name: str) -> bool:
        return await self._backend.delete(self._key(set_name))


def _texts(names: list[str], members: list[bytes]) -> list[str]:
    return [utf8(names[0].encode(), member) for member in members]
