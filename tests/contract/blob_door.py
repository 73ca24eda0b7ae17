"""What the ways to a blobstore have in common, whichever generation asks: the place of a test, and a link in the test's process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import pytest

from provider_sdk import Layer, LinkKey
from provider_sdk.contracts.wasi_blobstore import CONTRACT
from providers.blobstore.config import BlobstoreConfig
from providers.blobstore.downloads import Downloads
from providers.blobstore.linked import LinkedStore, Streams
from providers.blobstore.stores import Stores
from providers.blobstore.uploads import Uploads
from tests.contract.blob_places import BlobPlace
from tests.tiers import scale

PEERS = count()
STARTING = 90.0


@asynccontextmanager
async def linked(stores: Stores, values: Mapping[str, str], contract: str, owner: str) -> AsyncIterator[LinkedStore]:
    """What a link with these values has, in this process; links on the same `stores` are links of one provider."""
    config = BlobstoreConfig.load(Layer("test", values)).config
    streams = Streams(stores, Uploads(), Downloads())
    key = LinkKey(f"peer-{next(PEERS)}", contract, "default")
    async with stores.use(config) as store:
        yield LinkedStore(key, config, store.view(config.scope(owner, component=contract == CONTRACT)), streams)
        await asyncio.gather(streams.uploads.leave(key), streams.downloads.leave(key), streams.flows.leave(key))


class Placed:
    """The class of a test adds the suite, or parts of it.

    `backend` names the fixture that gives the place; `settings` are link values beside those of the place.
    """

    __test__ = False

    contract_name, way = "blobstore", "direct"

    backend: ClassVar[str]
    settings: ClassVar[Mapping[str, str]] = MappingProxyType({})
    resolution: ClassVar[float] = 0.05
    examples: ClassVar[int] = scale(test=10, ci=25, soak=1000)
    steps: ClassVar[int] = scale(test=25, ci=30, soak=60)
    prefix = ""

    @pytest.fixture(autouse=True)
    def _placed(self, request: pytest.FixtureRequest) -> Iterator[None]:
        self.place: BlobPlace = request.getfixturevalue(self.backend)
        yield
        if self.prefix:
            self.place.clear(self.prefix)

    def fresh(self) -> None:
        """Choose a store, or names of containers in it, in which nothing is."""
        self.values, self.owner = {**self.place.values(), **self.settings}, self.place.actor()
        self.prefix, self.longest_name = self.place.prefix(), self.place.longest_name()


class InFolder(Placed):
    """In this process, where `folder` is the provider's."""

    @pytest.fixture(autouse=True)
    def _in_folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def stores(self) -> Stores:
        """The stores of a provider."""
        return Stores(self.folder)


class Kept(InFolder):
    """On a store that stays open for all tests of a class, as long as its place has the same values for all."""

    @pytest.fixture(autouse=True)
    def _kept(self, kept_stores: Stores) -> None:
        self.kept = kept_stores

    def stores(self) -> Stores:
        return self.kept
