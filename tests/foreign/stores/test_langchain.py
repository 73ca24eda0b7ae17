"""langchain-tests' suite for stores, on an adapter that needs nothing but the contract."""

# The packages are not among those that the types are checked with.
# mypy: disable-error-code="import-not-found", allow-subclassing-any

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from langchain_core.stores import BaseStore
from langchain_tests.integration_tests import BaseStoreAsyncTests

from provider_sdk.contracts.keyvalue import KeyValue
from providers.keyvalue.stores import Stores
from tests.contract.doors import direct
from tests.contract.places import Place

KEYS = "keys"


class LangchainStore(BaseStore[str, bytes]):
    """Texts are base64, since that is what a value may be; a set has the names of the keys."""

    def __init__(self, store: KeyValue) -> None:
        self._store = store

    async def amget(self, keys: Sequence[str]) -> list[bytes | None]:
        found = [await self._store.get(f"value {key}") for key in keys]
        return [base64.b64decode(item.value) if item.exists else None for item in found]

    async def amset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        for key, value in key_value_pairs:
            await self._store.set(f"value {key}", base64.b64encode(value).decode(), 0)
            await self._store.set_add(KEYS, key)

    async def amdelete(self, keys: Sequence[str]) -> None:
        for key in keys:
            await self._store.set_del(KEYS, key)
            await self._store.delete(f"value {key}")

    async def ayield_keys(self, *, prefix: str | None = None) -> AsyncIterator[str]:
        for key in await self._store.set_query(KEYS):
            if key.startswith(prefix or ""):
                yield key

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        raise NotImplementedError

    def mset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        raise NotImplementedError

    def mdelete(self, keys: Sequence[str]) -> None:
        raise NotImplementedError

    def yield_keys(self, *, prefix: str | None = None) -> Iterator[str]:
        raise NotImplementedError


class Suite(BaseStoreAsyncTests[bytes]):
    __test__ = False
    backend: ClassVar[str]

    @pytest.fixture
    async def kv_store(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LangchainStore]:
        place: Place = request.getfixturevalue(self.backend)
        async with direct(Stores(tmp_path), {"url": place.url(), "namespace": place.namespace()}) as store:
            yield LangchainStore(store)

    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return b"foo", b"\0\xff", b""


class TestMemory(Suite):
    __test__ = True
    backend = "memory"


class TestSqlite(Suite):
    __test__ = True
    backend = "sqlite"


@pytest.mark.needs("redis-server")
class TestRedis(Suite):
    __test__ = True
    backend = "redis"


@pytest.mark.needs("initdb")
class TestPostgres(Suite):
    __test__ = True
    backend = "postgres"
