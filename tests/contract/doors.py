"""Three ways to a store: straight to the backend, through a provider in the test's process, through a provider that a host started."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from provider_sdk import Layer
from provider_sdk.contracts.keyvalue import KeyValue
from provider_sdk.testing import Provided, TestLattice
from provider_sdk.testing.conformance.keyvalue import KeyValueConformance
from providers.keyvalue.config import KeyValueConfig
from providers.keyvalue.namespaces import namespace_of
from providers.keyvalue.provider import KeyValueProvider
from providers.keyvalue.stores import Stores
from providers.keyvalue.wasmbus import ActorKeyValue
from tests.contract.places import Place
from tests.tiers import scale

CONTRACT = KeyValue.__identity__.contract
NO_LIMITS: Mapping[str, int] = {}


@asynccontextmanager
async def direct(stores: Stores, values: Mapping[str, str]) -> AsyncIterator[KeyValue]:
    """What a link with these values would answer, in this process; links on the same `stores` are links of one provider."""
    config = KeyValueConfig.load(Layer("test", values)).config
    async with stores.use(config) as store:
        yield ActorKeyValue(store.namespace(namespace_of(config, "")), config)


@dataclass
class Instances:
    """Two instances of the provider on one lattice. `as_process`: as the host starts them, from source or as a program."""

    lattice: TestLattice
    folder: Path
    as_process: bool
    program: str | Path = "providers.keyvalue"
    running: list[Provided] = field(default_factory=list)

    async def start(self) -> None:
        for _ in range(2):
            self.running.append(await self.one())

    async def one(self) -> Provided:
        configuration = {"data_dir": str(self.folder), "link_wait": "7s"}
        if self.as_process:
            return await self.lattice.process(self.program, contract=CONTRACT, configuration=configuration)
        return await self.lattice.in_process(KeyValueProvider, contract=CONTRACT, configuration=configuration)

    async def replace(self, number: int) -> None:
        """SIGKILL one and start another in its place."""
        await self.lattice.kill(self.running[number])
        self.running[number] = await self.one()

    @asynccontextmanager
    async def link(self, values: Mapping[str, str], number: int = 0) -> AsyncIterator[KeyValue]:
        provider = self.running[number]
        target = await self.lattice.link(provider, values)
        yield KeyValue.at(target)
        await self.lattice.unlink(provider, target)


class Door(KeyValueConformance):
    """`backend` names the fixture that gives the place."""

    __test__ = False

    generation, contract_name, way = "0.x", "keyvalue", "direct"

    backend: ClassVar[str]
    expiry_slack = 0.1
    rounds = scale(test=10, ci=15, soak=500)
    increments = scale(test=20, ci=50, soak=10_000)
    examples = scale(test=15, ci=40, soak=2000)

    @pytest.fixture(autouse=True)
    def _placed(self, request: pytest.FixtureRequest) -> None:
        self.place: Place = request.getfixturevalue(self.backend)

    def fresh(self) -> None:
        """Choose a store, and a namespace of it, in which nothing is."""
        self.url, self.base = self.place.url(), self.place.namespace()

    def values(self, name: str = "", limits: Mapping[str, int] = NO_LIMITS) -> dict[str, str]:
        return {"url": self.url, "namespace": self.base + name, **{key: str(value) for key, value in limits.items()}}


class Direct(Door):
    """The backend, without a provider around it. `other_namespace` is another link of the same provider, `second` another provider."""

    @pytest.fixture(autouse=True)
    def _in_folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    @asynccontextmanager
    async def store(self) -> AsyncIterator[KeyValue]:
        self.fresh()
        self.stores = Stores(self.folder)
        async with direct(self.stores, self.values()) as store:
            yield store

    @asynccontextmanager
    async def reopened(self) -> AsyncIterator[KeyValue]:
        async with direct(Stores(self.folder), self.values()) as store:
            yield store

    @asynccontextmanager
    async def second(self) -> AsyncIterator[KeyValue]:
        async with direct(Stores(self.folder), self.values()) as store:
            yield store

    @asynccontextmanager
    async def other_namespace(self, name: str) -> AsyncIterator[KeyValue]:
        async with direct(self.stores, self.values(name)) as store:
            yield store

    @asynccontextmanager
    async def limited(self, limits: Mapping[str, int]) -> AsyncIterator[KeyValue]:
        self.fresh()
        async with direct(Stores(self.folder), self.values(limits=limits)) as store:
            yield store


class Unnamed(Direct):
    """The namespace without a name of a server that all tests use, emptied for each store."""

    def fresh(self) -> None:
        super().fresh()
        self.base, self.token = "", self.base

    @asynccontextmanager
    async def store(self) -> AsyncIterator[KeyValue]:
        async with super().store() as store:
            config = KeyValueConfig.load(Layer("test", self.values())).config
            async with self.stores.use(config) as opened:
                keys = [entry.key async for entry in opened.namespace("").entries()]
                for key in keys:
                    await opened.namespace("").delete(key)
                assert not [entry async for entry in opened.namespace("").entries()]
            yield store

    @asynccontextmanager
    async def other_namespace(self, name: str) -> AsyncIterator[KeyValue]:
        async with super().other_namespace(self.token + name) as store:
            yield store

    @asynccontextmanager
    async def limited(self, limits: Mapping[str, int]) -> AsyncIterator[KeyValue]:
        async with self.store(), direct(self.stores, self.values(limits=limits)) as store:
            yield store


@pytest.mark.asyncio(loop_scope="class")
class OnALattice(Door):
    """Every store is a link; what several providers share is shared between processes."""

    way = "from source"

    as_process: ClassVar[bool]

    @pytest.fixture(autouse=True)
    def _served(self, instances: Instances) -> None:
        self.instances = instances

    @asynccontextmanager
    async def store(self) -> AsyncIterator[KeyValue]:
        self.fresh()
        async with self.instances.link(self.values()) as store:
            yield store

    @asynccontextmanager
    async def second(self) -> AsyncIterator[KeyValue]:
        async with self.instances.link(self.values(), number=1) as store:
            yield store

    @asynccontextmanager
    async def other_namespace(self, name: str) -> AsyncIterator[KeyValue]:
        async with self.instances.link(self.values(name)) as store:
            yield store

    @asynccontextmanager
    async def limited(self, limits: Mapping[str, int]) -> AsyncIterator[KeyValue]:
        self.fresh()
        async with self.instances.link(self.values(limits=limits)) as store:
            yield store


class InProcess(OnALattice):
    """A provider in the test's process: it cannot be killed, so nothing is said about durability."""

    as_process = False


class Process(OnALattice):
    """Providers as a host starts them; a store is opened again after its provider was killed."""

    as_process = True

    @asynccontextmanager
    async def reopened(self) -> AsyncIterator[KeyValue]:
        await self.instances.replace(0)
        async with self.instances.link(self.values()) as store:
            yield store
