"""Two ways of a component to a blobstore: straight to the backend, and through a provider that a 1.x host started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import pytest

from provider_sdk import DeadlineExceeded, Layer, LinkKey, Unavailable
from provider_sdk.contracts.wasi_blobstore import CONTRACT, EarlyWasiBlobstore, WasiBlobstore
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.testing.conformance.blobstore.component_box import AnyBlobstore
from provider_sdk.testing.conformance.blobstore.component_suite import WasiBlobstoreSuite
from provider_sdk.testing.wrpc_lattice import WrpcProvided, WrpcTestLattice
from providers.blobstore.config import BlobstoreConfig
from providers.blobstore.downloads import Downloads
from providers.blobstore.linked import LinkedStore, Streams
from providers.blobstore.stores import Stores
from providers.blobstore.uploads import Uploads
from providers.blobstore.wrpc import ComponentBlobstore, EarlyComponentBlobstore
from tests.contract.blob_places import BlobPlace
from tests.tiers import scale

COMPONENTS = count()
VERSIONS = (WasiBlobstore, EarlyWasiBlobstore)
STARTING = 20.0
ORPHANED = 1.5


@asynccontextmanager
async def direct(
    stores: Stores, values: Mapping[str, str], version: type[AnyBlobstore], component: str = ""
) -> AsyncIterator[AnyBlobstore]:
    """What a link with these values would answer, in this process; links on the same `stores` are links of one provider."""
    config = BlobstoreConfig.load(Layer("test", values)).config
    streams = Streams(stores, Uploads(), Downloads())
    key = LinkKey(f"component-{next(COMPONENTS)}", CONTRACT, "default")
    async with stores.use(config) as store:
        linked = LinkedStore(key, config, store.view(config.scope(component, component=True)), streams)
        yield ComponentBlobstore(linked) if version is WasiBlobstore else EarlyComponentBlobstore(linked)
        await streams.flows.leave(key)


@dataclass
class ComponentInstances:
    """Two instances of the provider on one 1.x lattice, as the host starts them, from source or as a program."""

    lattice: WrpcTestLattice
    folder: Path
    program: str | Path = "providers.blobstore"
    running: list[WrpcProvided] = field(default_factory=list)

    async def start(self) -> None:
        """Start them."""
        for _ in range(2):
            configuration = {"data_dir": str(self.folder), "link_wait": "7s"}
            self.running.append(await self.lattice.process(self.program, serves=VERSIONS, configuration=configuration))

    @asynccontextmanager
    async def link(self, values: Mapping[str, str], version: type[AnyBlobstore], number: int = 0) -> AsyncIterator[AnyBlobstore]:
        """A component that is linked to one of them."""
        provider = self.running[number]
        target = await self.lattice.link(provider, values)
        await _served(version.at(target, timeout=1.0))
        yield version.at(target, timeout=STARTING)
        await self.lattice.unlink(provider, target)


class ComponentDoor(WasiBlobstoreSuite):
    """The class of a test adds the suite, or parts of it.

    `backend` names the fixture that gives the place; `settings` are link values beside those of the place.
    """

    __test__ = False

    generation, contract_name, way = "1.x", "blobstore", "direct"

    backend: ClassVar[str]
    settings: ClassVar[Mapping[str, str]] = MappingProxyType({})
    resolution = 0.05
    examples = scale(test=10, ci=25, soak=1000)
    steps = scale(test=25, ci=30, soak=60)
    era: ClassVar[Era] = Era.SECOND
    """Of the host, where there is one."""

    @pytest.fixture(autouse=True)
    def _placed(self, request: pytest.FixtureRequest) -> Iterator[None]:
        self.place: BlobPlace = request.getfixturevalue(self.backend)
        yield
        if self.prefix:
            self.place.clear(self.prefix)

    def fresh(self) -> None:
        """Choose a store, or names of containers in it, in which nothing is."""
        self.values, self.component = {**self.place.values(), **self.settings}, self.place.actor()
        self.prefix, self.longest_name = self.place.prefix(), self.place.longest_name()


class ComponentDirect(ComponentDoor):
    """The backend, without a provider around it. `second` is another process as far as the backend knows."""

    @pytest.fixture(autouse=True)
    def _in_folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def stores(self) -> Stores:
        """The stores of a provider."""
        return Stores(self.folder)

    @asynccontextmanager
    async def store(self) -> AsyncIterator[AnyBlobstore]:
        self.fresh()
        async with direct(self.stores(), self.values, self.version, self.component) as store:
            yield store

    @asynccontextmanager
    async def reopened(self) -> AsyncIterator[AnyBlobstore]:
        async with direct(Stores(self.folder), self.values, self.version, self.component) as store:
            yield store

    second = reopened


@pytest.mark.asyncio(loop_scope="class")
class ComponentDirectKept(ComponentDirect):
    """As before, on a store that stays open for all tests of a class, as long as its place has the same values for all."""

    @pytest.fixture(autouse=True)
    def _kept(self, kept_stores: Stores) -> None:
        self.kept = kept_stores

    def stores(self) -> Stores:
        return self.kept


@pytest.mark.asyncio(loop_scope="class")
class ComponentProcess(ComponentDoor):
    """Every store is a link of a new component to a provider that a host started; it is opened again after the provider was killed."""

    way = "from source"

    @pytest.fixture(autouse=True)
    def _served(self, component_instances: ComponentInstances) -> None:
        self.instances = component_instances

    @asynccontextmanager
    async def store(self) -> AsyncIterator[AnyBlobstore]:
        self.fresh()
        async with self.instances.link(self.values, self.version) as store:
            yield store

    @asynccontextmanager
    async def reopened(self) -> AsyncIterator[AnyBlobstore]:
        await self.instances.lattice.kill(self.instances.running[0])
        # What the unpacker of a frozen program leaves behind notices that within half a second, and serves until then.
        await asyncio.sleep(ORPHANED if getattr(self, "frozen", "") else 0)
        async with self.instances.link(self.values, self.version) as store:
            yield store

    @asynccontextmanager
    async def second(self) -> AsyncIterator[AnyBlobstore]:
        async with self.instances.link(self.values, self.version, number=1) as store:
            yield store


async def _served(store: AnyBlobstore) -> None:
    """Until the link is up: the provider may be starting again, and a call that one was asked which is killed has no answer."""
    async with asyncio.timeout(STARTING):
        while True:
            try:
                await store.container_exists("none")
                return
            except (Unavailable, DeadlineExceeded):
                await asyncio.sleep(0.05)
