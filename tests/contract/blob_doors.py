"""Three ways to a blobstore: straight to the backend, through a provider in the test's process, through a provider that a host started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from provider_sdk import DeadlineExceeded, Unavailable
from provider_sdk.contracts.blobstore import Blobstore, ChunkReceiver
from provider_sdk.testing import Provided, TestLattice
from provider_sdk.testing.conformance.blobstore import BlobstoreSuite
from providers.blobstore.provider import BlobstoreProvider
from providers.blobstore.stores import Stores
from providers.blobstore.wasmbus import ActorBlobstore
from tests.contract.blob_door import STARTING, InFolder, Kept, Placed, linked
from tests.tiers import scale

CONTRACT = Blobstore.__identity__.contract


@asynccontextmanager
async def direct(stores: Stores, values: Mapping[str, str], receiver: ChunkReceiver, actor: str = "") -> AsyncIterator[Blobstore]:
    """What a link with these values would answer, in this process."""
    async with linked(stores, values, CONTRACT, actor) as store:
        yield ActorBlobstore(store, receiver)


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


class BlobDoor(Placed, BlobstoreSuite):
    generation = "0.x"
    rounds = scale(test=3, ci=5, soak=50)


class BlobDirect(InFolder, BlobDoor):
    """The backend, without a provider around it. `second` is another process as far as the backend knows."""

    @asynccontextmanager
    async def store(self, receiver: ChunkReceiver) -> AsyncIterator[Blobstore]:
        self.fresh()
        async with direct(self.stores(), self.values, receiver, self.owner) as store:
            yield store

    @asynccontextmanager
    async def reopened(self, receiver: ChunkReceiver) -> AsyncIterator[Blobstore]:
        async with direct(Stores(self.folder), self.values, receiver, self.owner) as store:
            yield store

    second = reopened


@pytest.mark.asyncio(loop_scope="class")
class BlobDirectKept(Kept, BlobDirect):
    """As before, on a store that stays open."""


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
            except (Unavailable, DeadlineExceeded):
                await asyncio.sleep(0.05)
