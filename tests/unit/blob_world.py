"""A blobstore on the memory backend in this process, with steps where a real one waits or fails, and a count of what is left open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from provider_sdk import LinkKey
from provider_sdk.contracts.blobstore import (
    Chunk,
    ChunkReceiver,
    ChunkResponse,
    ContainerObject,
    GetObjectRequest,
    GetObjectResponse,
    PutChunkRequest,
    PutObjectRequest,
)
from providers.blobstore.backend import Details, First, Reading, Store, Writing
from providers.blobstore.backends.memory import MemoryBackend
from providers.blobstore.config import BlobstoreConfig
from providers.blobstore.downloads import READ, Downloads
from providers.blobstore.linked import LinkedStore, Streams
from providers.blobstore.stores import Stores
from providers.blobstore.uploads import Uploads
from providers.blobstore.wasmbus import ActorBlobstore
from providers.blobstore.wrpc import ComponentBlobstore, EarlyComponentBlobstore

KEY, OTHER = (LinkKey(name, "wasmcloud:blobstore", "default") for name in ("M1", "M2"))
Step = Callable[[], Awaitable[None]]


async def at_once() -> None:
    """The step of a backend that waits for nothing."""


def failing(error: BaseException) -> Step:
    async def step() -> None:
        raise error

    return step


class WatchedWriting(Writing):
    """Counts as unfinished until it is aborted, and does its backend's steps on the way."""

    def __init__(self, watched: WatchedBackend, inner: Writing) -> None:
        self._watched, self._inner = watched, inner
        watched.unfinished.add(self)

    async def write(self, data: bytes) -> None:
        await self._watched.on_write()
        await self._inner.write(data)

    async def commit(self) -> None:
        await self._watched.on_commit()
        await self._inner.commit()

    async def abort(self) -> None:
        await self._watched.on_abort()
        self._watched.unfinished.discard(self)
        await self._inner.abort()


class WatchedReading(Reading):
    """Counts as unfinished until it is closed, and does its backend's steps on the way."""

    def __init__(self, watched: WatchedBackend, inner: Reading) -> None:
        self._watched, self._inner = watched, inner
        self.info, self.start, self.length, self.first = inner.info, inner.start, inner.length, inner.first
        watched.unfinished.add(self)

    async def read(self, size: int) -> bytes:
        await self._watched.on_read()
        found = await self._inner.read(size)
        self._watched.bytes_read += len(found)
        return found[: self._watched.most]

    async def close(self) -> None:
        self._watched.unfinished.discard(self)
        await self._inner.close()


class WatchedBackend(MemoryBackend):
    """The memory backend, with steps where a real one waits or fails."""

    def __init__(self) -> None:
        super().__init__({})
        self.unfinished: set[object] = set()
        self.bytes_read = 0
        self.most = READ
        self.on_create: Step = at_once
        self.on_write: Step = at_once
        self.on_commit: Step = at_once
        self.on_abort: Step = at_once
        self.on_read: Step = at_once

    async def create(self, container: str, name: str, details: Details, size: int | None = None) -> Writing:
        await self.on_create()
        return WatchedWriting(self, await super().create(container, name, details, size))

    async def open(self, container: str, name: str, start: int, end: int | None, first: First) -> Reading:
        return WatchedReading(self, await super().open(container, name, start, end, first))


class WatchedStores(Stores):
    """Counts who uses them."""

    users = 0

    @asynccontextmanager
    async def use(self, config: BlobstoreConfig) -> AsyncIterator[Store]:
        async with super().use(config) as store:
            self.users += 1
            try:
                yield store
            finally:
                self.users -= 1


class Receiver(ChunkReceiver):
    """An actor that takes the chunks of its downloads, after the step `on_chunk`."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.on_chunk: Step = at_once
        self.cancel_at = -1

    async def receive_chunk(self, chunk: Chunk) -> ChunkResponse:
        await self.on_chunk()
        self.chunks.append(chunk)
        return ChunkResponse(cancel_download=len(self.chunks) == self.cancel_at)


class World:
    """A backend with the container c, and what links of it answer."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.config = BlobstoreConfig(backend="memory", **settings)
        self.stores = WatchedStores(folder)
        self.streams = Streams(self.stores, Uploads(), Downloads())
        self.backend = WatchedBackend()
        self.receiver = Receiver()
        self.linked = self._linked(KEY)
        self.link = ActorBlobstore(self.linked, self.receiver)
        self.component, self.early = ComponentBlobstore(self.linked), EarlyComponentBlobstore(self.linked)

    def _linked(self, key: LinkKey) -> LinkedStore:
        return LinkedStore(key, self.config, self.backend, self.streams)

    def another(self, key: LinkKey, receiver: ChunkReceiver | None = None) -> ActorBlobstore:
        return ActorBlobstore(self._linked(key), receiver or self.receiver)

    async def begin(self, name: str = "o", data: bytes = b"", link: ActorBlobstore | None = None) -> str:
        """Begin an upload: its streamId."""
        answer = await (link or self.link).put_object(PutObjectRequest(Chunk(name, "c", data), "text/plain", "gzip"))
        assert answer.stream_id
        return answer.stream_id

    async def chunk(self, stream: str | None, offset: int, data: bytes, *, last: bool = False, name: str = "o") -> None:
        await self.link.put_chunk(PutChunkRequest(Chunk(name, "c", data, offset, last), stream))

    async def cancel(self, stream: str | None) -> None:
        await self.link.put_chunk(PutChunkRequest(Chunk("o", "c", b""), stream, cancel_and_remove=True))

    async def get(self, start: int | None = None, end: int | None = None, name: str = "o") -> GetObjectResponse:
        return await self.link.get_object(GetObjectRequest(name, "c", start, end))

    async def stored(self, name: str = "o") -> bytes | None:
        if not await self.link.object_exists(ContainerObject("c", name)):
            return None
        reading = await self.backend.open("c", name, 0, None, lambda length: length)
        await reading.close()
        return reading.first

    async def put(self, data: bytes, name: str = "o") -> None:
        await self.link.put_object(PutObjectRequest(Chunk(name, "c", data, is_last=True)))

    async def downloaded(self, answer: GetObjectResponse) -> bytes:
        """What an answer and the chunks behind it are, which come in order and end with the last."""
        assert answer.success and answer.initial_chunk is not None
        await self.over()
        chunks = [answer.initial_chunk, *self.receiver.chunks]
        assert [chunk.is_last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
        at = chunks[0].offset
        for chunk in chunks:
            assert (chunk.object_id, chunk.container_id, chunk.offset) == ("o", "c", at)
            at += len(chunk.data)
        assert answer.content_length == at - chunks[0].offset
        return b"".join(chunk.data for chunk in chunks)

    async def over(self) -> None:
        """Wait until no download is on its way."""
        async with asyncio.timeout(30):
            while len(self.streams.downloads):
                await asyncio.sleep(0)

    async def leave(self, key: LinkKey = KEY) -> None:
        streams = self.streams
        await asyncio.gather(streams.uploads.leave(key), streams.downloads.leave(key), streams.flows.leave(key))

    async def nothing_left(self) -> None:
        """Nothing is on its way, held open, or at work, a moment later."""
        _, late = await asyncio.wait(
            [*(asyncio.all_tasks() - {asyncio.current_task()}), asyncio.ensure_future(asyncio.sleep(0))], timeout=30
        )
        assert not late
        streams = self.streams
        assert (len(streams.uploads), len(streams.downloads), len(streams.flows)) == (0, 0, 0)
        assert (self.backend.unfinished, self.stores.users) == (set(), 0)


async def a_world(folder: Path, **settings: Any) -> AsyncIterator[World]:
    made = World(folder, **settings)
    await made.link.create_container("c")
    yield made
    await made.leave()
    await made.nothing_left()


class Gate:
    """A step that waits until it is opened."""

    def __init__(self) -> None:
        self.waiting = 0
        self._open = asyncio.Event()

    async def __call__(self) -> None:
        self.waiting += 1
        await self._open.wait()
        self.waiting -= 1

    def open(self) -> None:
        self._open.set()

    async def reached(self, count: int = 1) -> None:
        async with asyncio.timeout(30):
            while self.waiting < count:
                await asyncio.sleep(0)
