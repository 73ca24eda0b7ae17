"""Two ways of components of 1.x to a store: straight to the backend, and through providers that a host started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from provider_sdk import Layer, Link, LinkKey, Target
from provider_sdk.contracts.keyvalue import KeyValue
from provider_sdk.contracts.wasi_keyvalue import Atomics, Batch, Store, Watcher
from provider_sdk.interface import Operation
from provider_sdk.link import Role
from provider_sdk.metrics import Metrics
from provider_sdk.testing import WrpcProvided, WrpcTestLattice
from provider_sdk.testing.conformance.keyvalue import ComponentConformance, Imports
from provider_sdk.testing.conformance.keyvalue.imports import Changes
from providers.keyvalue.config import KeyValueConfig
from providers.keyvalue.namespaces import Buckets
from providers.keyvalue.provider import KeyValueProvider, implementations
from providers.keyvalue.stores import Stores
from providers.keyvalue.watching import Counters, Watching
from tests.contract.doors import direct
from tests.contract.places import Place

PAGE = 100
UP_WITHIN = 90.0


@asynccontextmanager
async def directly(stores: Stores, values: Mapping[str, str]) -> AsyncIterator[Imports]:
    """What a component's link with these values would offer, in this process."""
    config = KeyValueConfig.load(Layer("test", values)).config
    async with stores.use(config) as store:
        _, *offered = implementations(Buckets(store, config, "component"), config)
        yield Imports(*offered)  # type: ignore[arg-type]  # in the order of Imports


class Heard(Target):
    """A component that watches, without a lattice."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    async def call(self, operation: Operation, arguments: tuple[Any, ...], timeout: float | None) -> None:
        bucket, key, *value = arguments
        assert bucket == "0"
        await self._changes.put((key, *value) if value else (key, None))


class ComponentDoor(ComponentConformance):
    """`backend` names the fixture that gives the place."""

    __test__ = False

    generation, contract_name, way = "1.x", "keyvalue", "direct"

    backend: ClassVar[str]
    settings: ClassVar[Mapping[str, str]] = {"keys_per_page": str(PAGE)}
    longest_page = 2 * PAGE
    told_within = 30.0

    @pytest.fixture(autouse=True)
    def _placed(self, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        self.place: Place = request.getfixturevalue(self.backend)
        self.folder = tmp_path

    def fresh(self) -> None:
        """Choose a store, and a namespace of it, in which nothing is."""
        self.values = {"url": self.place.url(), "namespace": self.place.namespace(), **self.settings}
        self.stores = Stores(self.folder)

    @asynccontextmanager
    async def actor(self) -> AsyncIterator[KeyValue]:
        async with direct(self.stores, self.values) as store:
            yield store


class ComponentDirect(ComponentDoor):
    """The backend, without a provider around it."""

    @asynccontextmanager
    async def imports(self) -> AsyncIterator[Imports]:
        self.fresh()
        async with directly(self.stores, self.values) as have:
            yield have

    @asynccontextmanager
    async def second(self) -> AsyncIterator[Imports]:
        async with directly(Stores(self.folder), self.values) as have:
            yield have

    @asynccontextmanager
    async def watched(self, watch: str) -> AsyncIterator[Changes]:
        changes: Changes = asyncio.Queue()
        key = LinkKey("component", "wasi:keyvalue", "default", Role.SOURCE)
        config = KeyValueConfig.load(Layer("test", {**self.values, "watch": watch})).config
        link = Link(key, config, Heard(changes), ("watcher",))
        async with self.stores.use(config) as store:
            buckets = Buckets(store, config, "component")
            async with Watching(buckets.own, config.interest, link, Counters.of(Metrics())).running():
                yield changes

    @asynccontextmanager
    async def limited(self, limits: Mapping[str, int]) -> AsyncIterator[Imports]:
        self.fresh()
        async with directly(self.stores, {**self.values, **{name: str(limit) for name, limit in limits.items()}}) as have:
            yield have


class Told(Watcher):
    """A component that watches, on a lattice."""

    def __init__(self) -> None:
        self.changes: Changes = asyncio.Queue()

    async def on_set(self, bucket: str, key: str, value: bytes) -> None:
        assert bucket == "0"
        await self.changes.put((key, value))

    async def on_delete(self, bucket: str, key: str) -> None:
        assert bucket == "0"
        await self.changes.put((key, None))


@dataclass
class KeyValueInstances:
    """Two processes of the provider on one 1.x lattice, as a host starts them."""

    lattice: WrpcTestLattice
    folder: Path
    program: str | Path = "providers.keyvalue"
    running: list[WrpcProvided] = field(default_factory=list)

    async def start(self) -> None:
        for _ in range(2):
            configuration = {"data_dir": str(self.folder), "link_wait": "7s"}
            serves = KeyValueProvider.serves
            self.running.append(await self.lattice.process(self.program, serves=serves, configuration=configuration))

    @asynccontextmanager
    async def link(self, values: Mapping[str, str], number: int = 0) -> AsyncIterator[Imports]:
        provider = self.running[number]
        target = await self.lattice.link(provider, values)
        yield Imports(Store.at(target), Atomics.at(target), Batch.at(target))
        await self.lattice.unlink(provider, target)


@pytest.mark.asyncio(loop_scope="class")
class ComponentProcess(ComponentDoor):
    """Components on an emulated 1.x host, the provider in processes of its own; each store is a link."""

    way = "from source"
    rounds = 10

    @pytest.fixture(autouse=True)
    def _served(self, keyvalue_instances: KeyValueInstances) -> None:
        self.instances = keyvalue_instances

    @asynccontextmanager
    async def imports(self) -> AsyncIterator[Imports]:
        self.fresh()
        async with self.instances.link(self.values) as have:
            yield have

    @asynccontextmanager
    async def second(self) -> AsyncIterator[Imports]:
        async with self.instances.link(self.values, number=1) as have:
            yield have

    @asynccontextmanager
    async def watched(self, watch: str) -> AsyncIterator[Changes]:
        told, lattice, provider = Told(), self.instances.lattice, self.instances.running[0]
        component = await lattice.component(told)
        lines = len(provider.output)
        await lattice.link_to(provider, component, (Watcher,), {**self.values, "watch": watch}, name=component)
        async with asyncio.timeout(UP_WITHIN):
            while not any(" link up " in line and component in line for line in provider.output[lines:]):
                await asyncio.sleep(0.02)
        yield told.changes
        await lattice.unlink_from(provider, component, name=component)

    @asynccontextmanager
    async def limited(self, limits: Mapping[str, int]) -> AsyncIterator[Imports]:
        self.fresh()
        async with self.instances.link({**self.values, **{name: str(limit) for name, limit in limits.items()}}) as have:
            yield have
