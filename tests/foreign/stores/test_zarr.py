"""zarr's tests of stores, and its state machine, on an adapter that needs nothing but the contract blobstore."""

# The packages are not among those that the types are checked with.
# mypy: disable-error-code="import-not-found", allow-subclassing-any

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import AsyncExitStack
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype, cpu, default_buffer_prototype
from zarr.testing.stateful import ZarrStoreStateMachine
from zarr.testing.store import StoreTests

from provider_sdk import NotFound
from tests.contract.blob_places import BlobPlace
from tests.foreign.background import Background, collected
from tests.foreign.blobs import Blobs, direct
from tests.tiers import scale

T = TypeVar("T")


class BlobstoreStore(Store):
    """A container is a store. What is pickled is its name."""

    supports_writes = supports_deletes = supports_listing = True
    background: ClassVar[Background]
    blobs: ClassVar[Blobs]

    def __init__(self, container: str, *, read_only: bool = False) -> None:
        super().__init__(read_only=read_only)
        self.container = container

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BlobstoreStore) and (self.container, self.read_only) == (other.container, other.read_only)

    def __hash__(self) -> int:
        return hash(self.container)

    def __str__(self) -> str:
        return f"blobstore://{self.container}"

    def __repr__(self) -> str:
        return f"BlobstoreStore('{self}')"

    def with_read_only(self, read_only: bool = False) -> BlobstoreStore:
        return BlobstoreStore(self.container, read_only=read_only)

    async def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """zarr has a loop of its own, and its tests others."""
        return await self.background.wait(work)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        found = await self.ask(self._read(key, byte_range))
        return None if found is None else prototype.buffer.from_bytes(found)

    async def _read(self, key: str, byte_range: ByteRequest | None) -> bytes | None:
        try:
            match byte_range:
                case None:
                    return await self.blobs.read(self.container, key)
                case RangeByteRequest(start, end):
                    # The contract's ranges have at least one byte.
                    return await self.blobs.read(self.container, key, start, end - 1) if end > start else b""
                case OffsetByteRequest(offset):
                    return await self.blobs.read(self.container, key, offset)
                case SuffixByteRequest(suffix):
                    size = await self.blobs.size(self.container, key)
                    return None if size is None else await self.blobs.read(self.container, key, max(0, size - suffix))
                case _:
                    raise ValueError(f"Unexpected byte_range, got {byte_range}.")
        except NotFound:
            return None

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def getsize(self, key: str) -> int:
        size = await self.ask(self.blobs.size(self.container, key))
        if size is None:
            raise FileNotFoundError(key)
        return size

    async def exists(self, key: str) -> bool:
        return await self.ask(self.blobs.size(self.container, key)) is not None

    async def set(self, key: str, value: Buffer) -> None:
        self._check_writable()
        await self.ask(self.blobs.write(self.container, key, value.to_bytes()))

    async def delete(self, key: str) -> None:
        self._check_writable()
        await self.ask(self.blobs.remove(self.container, [key]))

    async def list(self) -> AsyncIterator[str]:
        async for key in self.list_prefix(""):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        for found in await self.ask(collected(self.blobs.listed(self.container, prefix))):
            yield found.object_id

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        folder = f"{prefix.rstrip('/')}/" if prefix.rstrip("/") else ""
        keys = [key async for key in self.list_prefix(folder)]
        for name in dict.fromkeys(key.removeprefix(folder).split("/")[0] for key in keys):
            yield name

    def get_sync(self, key: str, *, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None) -> Buffer | None:
        found = self.background.run(self._read(key, byte_range))
        return None if found is None else (prototype or default_buffer_prototype()).buffer.from_bytes(found)

    def set_sync(self, key: str, value: Buffer) -> None:
        self._check_writable()
        self.background.run(self.blobs.write(self.container, key, value.to_bytes()))

    def delete_sync(self, key: str) -> None:
        self._check_writable()
        self.background.run(self.blobs.remove(self.container, [key]))


@pytest.fixture(scope="class")
def opened(request: pytest.FixtureRequest, background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    place: BlobPlace = request.getfixturevalue(request.cls.place)
    stack = AsyncExitStack()
    BlobstoreStore.background = background
    BlobstoreStore.blobs = Blobs(background.run(stack.enter_async_context(direct(place.values(), tmp_path_factory.mktemp("zarr")))))
    yield
    background.run(stack.aclose())


@pytest.mark.usefixtures("opened")
class Suite(StoreTests[BlobstoreStore, cpu.Buffer]):
    __test__ = False
    place: ClassVar[str]
    store_cls = BlobstoreStore
    buffer_cls = cpu.Buffer
    examples: ClassVar[int]

    @pytest.fixture
    def store_kwargs(self, background: Background) -> Iterator[dict[str, Any]]:
        container = f"zarr-{secrets.token_hex(8)}"
        background.run(BlobstoreStore.blobs.calls.create_container(container))
        yield {"container": container}
        background.run(BlobstoreStore.blobs.calls.delete_container(container))

    async def set(self, store: BlobstoreStore, key: str, value: Buffer) -> None:
        await store.ask(store.blobs.write(store.container, key, value.to_bytes()))

    async def get(self, store: BlobstoreStore, key: str) -> Buffer:
        return self.buffer_cls.from_bytes(await store.ask(store.blobs.read(store.container, key)))

    def test_store_repr(self, store: BlobstoreStore) -> None:
        assert repr(store) == f"BlobstoreStore('blobstore://{store.container}')"

    def test_store_supports_writes(self, store: BlobstoreStore) -> None:
        assert store.supports_writes

    def test_store_supports_listing(self, store: BlobstoreStore) -> None:
        assert store.supports_listing

    def test_it_agrees_with_a_model_whatever_is_done(self, store_kwargs: dict[str, Any]) -> None:
        size = settings(max_examples=self.examples, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
        made = lambda: ZarrStoreStateMachine(BlobstoreStore(**store_kwargs))  # noqa: E731
        run_state_machine_as_test(made, settings=size)  # type: ignore[arg-type]  # what makes one will do as well


class TestMemory(Suite):
    __test__ = True
    place = "memory_blobs"
    examples = scale(test=5, ci=12, soak=1000)


class TestLocal(Suite):
    __test__ = True
    place = "local"
    examples = scale(test=3, ci=6, soak=300)


@pytest.mark.needs("minio")
class TestMinio(Suite):
    __test__ = True
    place = "minio_bucket"
    examples = scale(test=1, ci=2, soak=100)
