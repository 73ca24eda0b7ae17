"""Three ways to a blobstore: straight to the backend, through a provider in the test's process, through a provider that a host started."""

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

from provider_sdk import Layer, LinkKey, Unavailable
from provider_sdk.contracts.blobstore import Blobstore, ChunkReceiver
from provider_sdk.testing import Provided, TestLattice
from provider_sdk.testing.conformance.blobstore import BlobstoreSuite
from providers.blobstore.config import BlobstoreConfig
from providers.blobstore.downloads import Downloads
from providers.blobstore.linked import LinkedStore, Streams
from providers.blobstore.provider import BlobstoreProvider
from providers.blobstore.stores import Stores
from providers.blobstore.uploads import Uploads
from providers.blobstore.wasmbus import ActorBlobstore
from tests.contract.blob_places import BlobPlace
from tests.tiers import scale

CONTRACT = Blobstore.__identity__.contract
ACTORS = count()
STARTING = 20.0


@asynccontextmanager
async def direct(stores: Stores, values: Mapping[str, str], receiver: ChunkReceiver, actor: str = "") -> AsyncIterator[Blobstore]:
    """What a link with these values would answer, in this process; links on the same `stores` are links of one provider."""
    config = BlobstoreConfig.load(Layer("test", values)).config
    streams = Streams(stores, Uploads(), Downloads())
    key = LinkKey(f"M{next(ACTORS)}", CONTRACT, "default")
    async with streams.stores.use(config) as store:
        yield ActorBlobstore(LinkedStore(key, config, store.view(config.scope(actor)), streams), receiver)
        await streams.uploads.leave(key)
        await streams.downloads.leave(key)


@dataclass
class BlobInstances:
    """Two instances of the provider on one lattice. `as_process`: as the host starts them, from source or as a program."""

    lattice: TestLattice
    folder: Path
    as_process: bool
    program: str | Path = "providers.blobstore"
    running: list[Provided] = field(default_factory=list)

    async def start(self) -> None:
        for _ in range(2):
            self.running.append(await self.one())

    async def one(self) -> Provided:
        configuration = {"data_dir": str(self.folder), "link_wait": "7s"}
        if self.as_process:
            return await self.lattice.process(self.program, contract=CONTRACT, configuration=configuration)
        return await self.lattice.in_process(BlobstoreProvider, contract=CONTRACT, configuration=configuration)

    async def replace(self, number: int) -> None:
        """SIGKILL one and start another in its place."""
        await self.lattice.kill(self.running[number])
        self.running[number] = await self.one()

    @asynccontextmanager
    async def kept(self, values: Mapping[str, str]) -> AsyncIterator[None]:
        """Links that nobody uses, so that what links with the same values share is not made anew for each."""
        targets = [(provider, await self.lattice.link(provider, values)) for provider in self.running]
        yield
        for provider, target in targets:
            await self.lattice.unlink(provider, target)

    @asynccontextmanager
    async def link(self, values: Mapping[str, str], receiver: ChunkReceiver, number: int = 0) -> AsyncIterator[Blobstore]:
        provider = self.running[number]
        target = await self.lattice.link(provider, values, actor=await self.lattice.actor(receiver))
        store = Blobstore.at(target)
        await _served(store)
        yield store
        await self.lattice.unlink(provider, target)


class BlobDoor(BlobstoreSuite):
    """The class of a test adds the suite, or parts of it.

    `backend` names the fixture that gives the place; `settings` are link values beside those of the place.
    """

    __test__ = False

    generation, contract_name, way = "0.x", "blobstore", "direct"

    backend: ClassVar[str]
    settings: ClassVar[Mapping[str, str]] = MappingProxyType({})
    resolution = 0.05
    rounds = scale(test=3, ci=5, soak=50)
    examples = scale(test=10, ci=25, soak=1000)
    steps = scale(test=25, ci=30, soak=60)

    @pytest.fixture(autouse=True)
    def _placed(self, request: pytest.FixtureRequest) -> Iterator[None]:
        self.place: BlobPlace = request.getfixturevalue(self.backend)
        yield
        if self.prefix:
            self.place.clear(self.prefix)

    def fresh(self) -> None:
        """Choose a store, or names of containers in it, in which nothing is."""
        self.values, self.actor = {**self.place.values(), **self.settings}, self.place.actor()
        self.prefix, self.longest_name = self.place.prefix(), self.place.longest_name()


class BlobDirect(BlobDoor):
    """The backend, without a provider around it. `second` is another process as far as the backend knows."""

    @pytest.fixture(autouse=True)
    def _in_folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def stores(self) -> Stores:
        """The stores of a provider."""
        return Stores(self.folder)

    @asynccontextmanager
    async def store(self, receiver: ChunkReceiver) -> AsyncIterator[Blobstore]:
        self.fresh()
        async with direct(self.stores(), self.values, receiver, self.actor) as store:
            yield store

    @asynccontextmanager
    async def reopened(self, receiver: ChunkReceiver) -> AsyncIterator[Blobstore]:
        async with direct(Stores(self.folder), self.values, receiver, self.actor) as store:
            yield store

    second = reopened


@pytest.mark.asyncio(loop_scope="class")
class BlobDirectKept(BlobDirect):
    """As before, on a store that stays open for all tests of a class, as long as its place has the same values for all."""

    @pytest.fixture(autouse=True)
    def _kept(self, kept_stores: Stores) -> None:
        self.kept = kept_stores

    def stores(self) -> Stores:
        return self.kept


@pytest.mark.asyncio(loop_scope="class")
class BlobOnALattice(BlobDoor):
    """Every store is a link; what several providers share is shared between processes."""

    way = "from source"

    as_process: ClassVar[bool]

    @pytest.fixture(autouse=True)
    def _served(self, blob_instances: BlobInstances) -> None:
        self.instances = blob_instances

    @asynccontextmanager
    async def store(self, receiver: ChunkReceiver) -> AsyncIterator[Blobstore]:
        self.fresh()
        async with self.instances.link(self.values, receiver) as store:
            yield store

    @asynccontextmanager
    async def second(self, receiver: ChunkReceiver) -> AsyncIterator[Blobstore]:
        async with self.instances.link(self.values, receiver, number=1) as store:
            yield store


class BlobInProcess(BlobOnALattice):
    """A provider in the test's process: it cannot be killed, so nothing is said about durability."""

    as_process = False


class BlobProcess(BlobOnALattice):
    """Providers as a host starts them; a store is opened again after its provider was killed."""

    as_process = True

    @asynccontextmanager
    async def reopened(self, receiver: ChunkReceiver) -> AsyncIterator[Blobstore]:
        await self.instances.replace(0)
        async with self.instances.link(self.values, receiver) as store:
            yield store


async def _served(store: Blobstore) -> None:
    """Until the link is up: on a busy machine a provider may take longer to make a client than calls wait for a link."""
    async with asyncio.timeout(STARTING):
        while True:
            try:
                await store.container_exists("none")
                return
            except Unavailable:
                await asyncio.sleep(0.05)
