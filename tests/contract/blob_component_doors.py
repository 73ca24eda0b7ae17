"""Two ways of a component to a blobstore: straight to the backend, and through a provider that a 1.x host started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from provider_sdk import DeadlineExceeded, Unavailable
from provider_sdk.contracts.wasi_blobstore import CONTRACT, EarlyWasiBlobstore, WasiBlobstore
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.testing.conformance.blobstore.component_box import AnyBlobstore
from provider_sdk.testing.conformance.blobstore.component_suite import WasiBlobstoreSuite
from provider_sdk.testing.wrpc_lattice import WrpcProvided, WrpcTestLattice
from providers.blobstore.stores import Stores
from providers.blobstore.wrpc import ComponentBlobstore, EarlyComponentBlobstore
from tests.contract.blob_door import STARTING, InFolder, Kept, Placed, linked
from tests.waiting import until

VERSIONS = (WasiBlobstore, EarlyWasiBlobstore)


@asynccontextmanager
async def direct(
    stores: Stores, values: Mapping[str, str], version: type[AnyBlobstore], component: str = ""
) -> AsyncIterator[AnyBlobstore]:
    """What a link with these values would answer, in this process."""
    async with linked(stores, values, CONTRACT, component) as store:
        yield ComponentBlobstore(store) if version is WasiBlobstore else EarlyComponentBlobstore(store)


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


class ComponentDoor(Placed, WasiBlobstoreSuite):
    generation = "1.x"
    era: ClassVar[Era] = Era.SECOND
    """Of the host, where there is one."""


class ComponentDirect(InFolder, ComponentDoor):
    """The backend, without a provider around it. `second` is another process as far as the backend knows."""

    @asynccontextmanager
    async def store(self) -> AsyncIterator[AnyBlobstore]:
        self.fresh()
        async with direct(self.stores(), self.values, self.version, self.owner) as store:
            yield store

    @asynccontextmanager
    async def reopened(self) -> AsyncIterator[AnyBlobstore]:
        async with direct(Stores(self.folder), self.values, self.version, self.owner) as store:
            yield store

    second = reopened


@pytest.mark.asyncio(loop_scope="class")
class ComponentDirectKept(Kept, ComponentDirect):
    """As before, on a store that stays open."""


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
        killed = self.instances.lattice.host.kill_provider(self.instances.running[0].id)
        # What the unpacker of a frozen program leaves behind serves until it notices; then it removes its files.
        await until(lambda: not any(Path("/tmp").glob(f"_MEI{killed:08x}*")))
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
