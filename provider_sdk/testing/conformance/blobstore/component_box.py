"""A container as a component of 1.x sees it: whole objects, made of streams and read as streams, in either version of the interface."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from provider_sdk.contracts.wasi_blobstore import EarlyWasiBlobstore, ObjectId, ObjectMetadata, Outcome, WasiBlobstore
from provider_sdk.errors import Unavailable, error_of
from provider_sdk.types import Err

END = (1 << 64) - 1
"""What components name as the end of a range when they want all."""
AnyBlobstore = WasiBlobstore | EarlyWasiBlobstore


class Source(AsyncIterator[bytes]):
    """What is written: pieces, and behind them the end, or the break of a stream that is `broken`. `taken` counts those asked for."""

    def __init__(self, pieces: Iterable[bytes], *, broken: bool = False) -> None:
        self._pieces = iter(pieces)
        self._broken = broken
        self.taken = 0

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            self.taken += 1
            return piece
        if self._broken:
            raise Unavailable("whoever sends this has gone away")
        raise StopAsyncIteration


class ComponentBox:
    """The container `id` of a store."""

    def __init__(self, store: AnyBlobstore, id: str) -> None:
        self.store = store
        self.id = id

    def beside(self, id: str) -> ComponentBox:
        """Another container of the same store."""
        return ComponentBox(self.store, id)

    def of(self, name: str) -> ObjectId:
        """One of its objects."""
        return ObjectId(self.id, name)

    async def put(self, name: str, *pieces: bytes) -> None:
        """Write an object."""
        await self.write(name, Source(pieces))

    async def write(self, name: str, data: AsyncIterator[bytes]) -> None:
        """Write an object; returns when it is in place."""
        if isinstance(self.store, WasiBlobstore):
            raised(await (await self.store.write_container_data(self.of(name), data)))
        else:
            await self.store.write_container_data(self.of(name), data)

    async def open(self, name: str, start: int = 0, end: int = END) -> AsyncIterator[bytes]:
        """The bytes of a range as they come; an error in their midst is raised behind those that came before."""
        if isinstance(self.store, EarlyWasiBlobstore):
            return await self.store.get_container_data(self.of(name), start, end)
        stream, outcome = await self.store.get_container_data(self.of(name), start, end)

        async def checked() -> AsyncIterator[bytes]:
            async for piece in stream:
                yield piece
            raised(await outcome)

        return checked()

    async def get(self, name: str, start: int = 0, end: int = END) -> bytes:
        """The bytes of an object, or of a range of it."""
        return b"".join([piece async for piece in await self.open(name, start, end)])

    async def names(self, limit: int | None = None, offset: int | None = None) -> list[str]:
        """The names of its objects."""
        if isinstance(self.store, EarlyWasiBlobstore):
            return [name async for name in await self.store.list_container_objects(self.id, limit, offset)]
        stream, outcome = await self.store.list_container_objects(self.id, limit, offset)
        names = [name async for name in stream]
        raised(await outcome)
        return names

    async def has(self, name: str) -> bool:
        """Whether there is such an object."""
        return await self.store.has_object(self.of(name))

    async def info(self, name: str) -> ObjectMetadata:
        """What is known of an object."""
        return await self.store.get_object_info(self.of(name))

    async def remove(self, *names: str) -> None:
        """Remove objects."""
        await self.store.delete_objects(self.id, list(names))


def raised(outcome: Outcome) -> None:
    """Nothing where all went well; the error that an outcome is, restored."""
    if isinstance(outcome, Err):
        raise error_of(outcome.value)
