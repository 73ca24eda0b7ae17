"""The suite for blobstores of components: each kind of fault is found, and what has none passes."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from provider_sdk import LinkKey, ProviderError
from provider_sdk.contracts.wasi_blobstore import CONTRACT
from provider_sdk.testing.conformance.blobstore import Capability, WasiBlobstoreConformance
from provider_sdk.testing.conformance.blobstore.component_box import AnyBlobstore
from providers.blobstore.backend import EVERYTHING
from providers.blobstore.config import BlobstoreConfig
from providers.blobstore.downloads import Downloads
from providers.blobstore.linked import LinkedStore, Streams
from providers.blobstore.stores import Stores
from providers.blobstore.uploads import Uploads
from providers.blobstore.wrpc import ComponentBlobstore
from tests.contract.blob_component_faults import FAULTS


class Memory(WasiBlobstoreConformance):
    """In memory, by a class that may have a fault."""

    __test__ = False

    capabilities = frozenset({*map(Capability, EVERYTHING), Capability.CREATED_AT, Capability.SNAPSHOTS})
    large, many, examples = 300_000, 30, 60
    store_class: type[ComponentBlobstore] = ComponentBlobstore

    @asynccontextmanager
    async def store(self) -> AsyncIterator[AnyBlobstore]:
        config = BlobstoreConfig(backend="memory", bucket=secrets.token_hex(8))
        streams = Streams(Stores(Path("/nowhere")), Uploads(), Downloads())
        key = LinkKey("component", CONTRACT, "default")
        async with streams.stores.use(config) as store:
            yield self.store_class(LinkedStore(key, config, store.view(""), streams))
            await streams.flows.leave(key)


@pytest.fixture
def unshrunk() -> Iterator[None]:
    """A fault is found, not made small, and not remembered for the next run."""
    settings.register_profile("unshrunk", phases=[Phase.generate], derandomize=True, database=None)
    before = settings.get_current_profile_name()
    settings.load_profile("unshrunk")
    yield
    settings.load_profile(before)


@pytest.mark.usefixtures("unshrunk")
@pytest.mark.parametrize(("fault", "test"), FAULTS)
async def test_a_fault_is_found(fault: type[ComponentBlobstore], test: str) -> None:
    suite = Memory()
    suite.store_class = fault
    with pytest.raises((AssertionError, ExceptionGroup, TimeoutError, ProviderError)):
        await getattr(suite, test)()


@pytest.mark.parametrize("test", sorted({test for _, test in FAULTS}))
async def test_the_store_without_the_fault_passes(test: str) -> None:
    await getattr(Memory(), test)()
