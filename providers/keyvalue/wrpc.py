"""The interfaces of 1.x on a store: bytes in, bytes out, each bucket a namespace (wrpc-1x.md §5.4)."""

from __future__ import annotations

from provider_sdk.contracts.wasi_keyvalue import Atomics, Batch, KeyResponse, Store
from providers.keyvalue.backend import LARGEST, beyond
from providers.keyvalue.config import KeyValueConfig
from providers.keyvalue.limits import Limits
from providers.keyvalue.namespaces import Buckets


class ComponentStore(Store):
    """Single keys and pages of them."""

    def __init__(self, buckets: Buckets, config: KeyValueConfig) -> None:
        self._buckets, self._limits = buckets, Limits(config)
        self._page = config.keys_per_page

    async def get(self, bucket: str, key: str) -> bytes | None:
        return await self._buckets[bucket].get(self._limits.key(key))

    async def set(self, bucket: str, key: str, value: bytes) -> None:
        name = self._limits.key(key)
        await self._buckets[bucket].set(name, self._limits.value(name, value), 0)

    async def delete(self, bucket: str, key: str) -> None:
        await self._buckets[bucket].delete(self._limits.key(key))

    async def exists(self, bucket: str, key: str) -> bool:
        return await self._buckets[bucket].contains(self._limits.key(key))

    async def list_keys(self, bucket: str, cursor: int | None = None) -> KeyResponse:
        keys, following = await self._buckets[bucket].keys(cursor or 0, self._page)
        return KeyResponse([text for text in map(_text, keys) if text is not None], following)


class ComponentAtomics(Atomics):
    """Counters, the same ones that 0.x actors count with."""

    def __init__(self, buckets: Buckets, config: KeyValueConfig) -> None:
        self._buckets, self._limits = buckets, Limits(config)

    async def increment(self, bucket: str, key: str, delta: int) -> int:
        name = self._limits.key(key)
        if delta > LARGEST:
            raise beyond(name, delta, 0, LARGEST)
        return await self._buckets[bucket].increment(name, delta, 0, LARGEST)


class ComponentBatch(Batch):
    """Several keys at once."""

    def __init__(self, buckets: Buckets, config: KeyValueConfig) -> None:
        self._buckets, self._limits = buckets, Limits(config)

    async def get_many(self, bucket: str, keys: list[str]) -> list[tuple[str, bytes] | None]:
        names = self._names(keys)
        values = await self._buckets[bucket].get_many(names) if names else []
        return [None if value is None else (key, value) for key, value in zip(keys, values, strict=True)]

    async def set_many(self, bucket: str, key_values: list[tuple[str, bytes]]) -> None:
        names = self._names([key for key, _ in key_values])
        values = {name: self._limits.value(name, value) for name, (_, value) in zip(names, key_values, strict=True)}
        if values:
            await self._buckets[bucket].set_many(values)

    async def delete_many(self, bucket: str, keys: list[str]) -> None:
        if names := self._names(keys):
            await self._buckets[bucket].delete_many(list(dict.fromkeys(names)))

    def _names(self, keys: list[str]) -> list[bytes]:
        self._limits.batch(len(keys))
        return [self._limits.key(key) for key in keys]


def _text(key: bytes) -> str | None:
    """A key as text; None for one that somebody else wrote and that is none."""
    try:
        return key.decode()
    except UnicodeDecodeError:
        return None
