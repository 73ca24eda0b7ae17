"""dogpile.cache's suites for backends, serializers and locks, on an adapter that needs nothing but the contract."""

# The packages are not among those that the types are checked with.
# mypy: disable-error-code="import-not-found", allow-subclassing-any

from __future__ import annotations

import base64
import time
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, ClassVar, TypeVar

import pytest
from dogpile.cache import register_backend
from dogpile.cache.api import NO_VALUE, BytesBackend, CacheMutex
from dogpile.testing.fixtures import _GenericBackendTestSuite, _GenericMutexTestSuite, _GenericSerializerTestSuite

from provider_sdk.contracts.keyvalue import KeyValue
from providers.keyvalue.stores import Stores
from tests.contract.doors import direct
from tests.contract.places import Place
from tests.foreign.background import Background

T = TypeVar("T")
WAIT = 0.005


class Lock(CacheMutex):
    """Whoever adds the only member of a set has it."""

    def __init__(self, backend: DogpileBackend, key: str) -> None:
        self._backend = backend
        self._name = f"lock {key}"

    def acquire(self, wait: bool = True) -> bool:
        while not self._backend.ask(self._backend.store.set_add(self._name, "taken")):
            if not wait:
                return False
            time.sleep(WAIT)
        return True

    def release(self) -> None:
        self._backend.ask(self._backend.store.set_del(self._name, "taken"))

    def locked(self) -> bool:
        return self._backend.ask(self._backend.store.contains(self._name))


class DogpileBackend(BytesBackend):
    """Values are base64, since text is what a value may be. The store is that of the running test."""

    background: ClassVar[Background]
    store: ClassVar[KeyValue]

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self.arguments = arguments

    def ask(self, work: Coroutine[Any, Any, T]) -> T:
        return self.background.run(work)

    def get_serialized(self, key: str) -> Any:
        found = self.ask(self.store.get(f"value {key}"))
        return base64.b64decode(found.value) if found.exists else NO_VALUE

    def get_serialized_multi(self, keys: Iterable[str]) -> Sequence[Any]:
        return [self.get_serialized(key) for key in keys]

    def set_serialized(self, key: str, value: bytes) -> None:
        self.ask(self.store.set(f"value {key}", base64.b64encode(value).decode(), 0))

    def set_serialized_multi(self, mapping: Mapping[str, bytes]) -> None:
        for key, value in mapping.items():
            self.set_serialized(key, value)

    def delete(self, key: str) -> None:
        self.ask(self.store.delete(f"value {key}"))

    def delete_multi(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.delete(key)

    def get_mutex(self, key: str) -> Lock | None:
        return Lock(self, key) if self.arguments.get("locks") else None


register_backend("keyvalue", __name__, "DogpileBackend")


@pytest.fixture(scope="class")
def opened(request: pytest.FixtureRequest, background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The store of a class: its tests remove what they wrote, in a method that runs after fixtures of a single test have ended."""
    place: Place = request.getfixturevalue(request.cls.place)
    values = {"url": place.url(), "namespace": place.namespace()}
    stack = AsyncExitStack()
    DogpileBackend.background = background
    DogpileBackend.store = background.run(stack.enter_async_context(direct(Stores(tmp_path_factory.mktemp("dogpile")), values)))
    yield
    background.run(stack.aclose())


@pytest.mark.usefixtures("opened")
class Values(_GenericSerializerTestSuite, _GenericBackendTestSuite):
    __test__ = False
    place: ClassVar[str]
    backend = "keyvalue"
    config_args: ClassVar[dict[str, Any]] = {"arguments": {"locks": False}}


@pytest.mark.usefixtures("opened")
class Locks(_GenericMutexTestSuite):
    __test__ = False
    place: ClassVar[str]
    backend = "keyvalue"
    config_args: ClassVar[dict[str, Any]] = {"arguments": {"locks": True}}


class TestMemoryValues(Values):
    __test__ = True
    place = "memory"


class TestMemoryLocks(Locks):
    __test__ = True
    place = "memory"


class TestSqliteValues(Values):
    __test__ = True
    place = "sqlite"


class TestSqliteLocks(Locks):
    __test__ = True
    place = "sqlite"


@pytest.mark.needs("redis-server")
class TestRedisValues(Values):
    __test__ = True
    place = "redis"


@pytest.mark.needs("redis-server")
class TestRedisLocks(Locks):
    __test__ = True
    place = "redis"


@pytest.mark.needs("initdb")
class TestPostgresValues(Values):
    __test__ = True
    place = "postgres"


@pytest.mark.needs("initdb")
class TestPostgresLocks(Locks):
    __test__ = True
    place = "postgres"
