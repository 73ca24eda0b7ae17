"""A container as a test sees it: whole objects, made of chunks and cut in chunks; what comes is judged as it comes."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

from provider_sdk.contracts.blobstore import (
    Blobstore,
    Chunk,
    ChunkReceiver,
    ChunkResponse,
    ContainerObject,
    GetObjectRequest,
    GetObjectResponse,
    ListObjectsRequest,
    ObjectMetadata,
    PutChunkRequest,
    PutObjectRequest,
    RemoveObjectsRequest,
)
from provider_sdk.errors import ProviderError
from provider_sdk.types import Timestamp

Place = tuple[str, str]
"""A container and an object."""


class Receiver(ChunkReceiver):
    """Keeps chunks until they are asked for. A chunk of an object in `held` is answered when its event is set.

    The answer to one of an object in `unwanted` ends the download.

    Chunks do not say which download they belong to, so one object is downloaded once at a time.
    """

    def __init__(self, patience: float) -> None:
        self.held: dict[str, asyncio.Event] = {}
        self.unwanted: set[str] = set()
        self._patience = patience
        self._queues: defaultdict[Place, asyncio.Queue[Chunk]] = defaultdict(asyncio.Queue)
        self._answering: set[Place] = set()
        self._faults: list[str] = []

    async def receive_chunk(self, chunk: Chunk) -> ChunkResponse:
        place = (chunk.container_id, chunk.object_id)
        if place in self._answering:
            self._faults.append(f"a chunk of {chunk.object_id!a} at {chunk.offset} came before the one before was answered")
        self._answering.add(place)
        try:
            self._queues[place].put_nowait(chunk)
            if chunk.object_id in self.held:
                await self.held[chunk.object_id].wait()
        finally:
            self._answering.discard(place)
        return ChunkResponse(cancel_download=chunk.object_id in self.unwanted)

    async def next(self, place: Place) -> Chunk:
        """The next chunk of a download; AssertionError where none comes."""
        try:
            async with asyncio.timeout(self._patience):
                return await self._queues[place].get()
        except TimeoutError:
            raise AssertionError(f"no further chunk of {place} came within {self._patience:g} s, and the last was not the end") from None

    def waiting(self, place: Place) -> int:
        """How many chunks came that nobody has asked for."""
        return self._queues[place].qsize()

    def check(self) -> None:
        """AssertionError where chunks came that belong to no download, or two at once."""
        self._faults += [
            f"{queue.qsize()} chunks of {place} came that nobody asked for" for place, queue in self._queues.items() if queue.qsize()
        ]
        assert not self._faults, self._faults


@dataclass(frozen=True)
class Fetched:
    """A download, or what has come of it."""

    answer: GetObjectResponse
    chunks: list[Chunk]

    @property
    def data(self) -> bytes:
        """The bytes of all chunks."""
        return b"".join(chunk.data for chunk in self.chunks)

    @property
    def details(self) -> tuple[str | None, str | None]:
        """Content type and encoding."""
        return self.answer.content_type, self.answer.content_encoding


@dataclass
class Sending:
    """An upload that has begun: `offset` is where its next chunk begins."""

    box: Box
    name: str
    stream_id: str
    offset: int

    async def send(self, data: bytes, *, last: bool = False) -> None:
        """The next chunk."""
        await self.send_at(self.offset, data, last=last)
        self.offset += len(data)

    async def send_at(self, offset: int, data: bytes, *, last: bool = False) -> None:
        """A chunk with this offset, whatever the next one is."""
        await self.box.store.put_chunk(PutChunkRequest(Chunk(self.name, self.box.id, data, offset, is_last=last), self.stream_id))

    async def cancel(self) -> None:
        """End it without an object."""
        await self.box.store.put_chunk(
            PutChunkRequest(Chunk(self.name, self.box.id, b"", self.offset), self.stream_id, cancel_and_remove=True)
        )


@dataclass(frozen=True)
class Box:
    """A container `id` of a store, whose downloads `receiver` gets."""

    store: Blobstore
    receiver: Receiver
    id: str

    def beside(self, name: str) -> Box:
        """Another container of the store."""
        return Box(self.store, self.receiver, name)

    async def put(self, name: str, data: bytes, content_type: str | None = None, content_encoding: str | None = None) -> None:
        """Store a whole object in one chunk."""
        chunk = Chunk(name, self.id, data, 0, is_last=True)
        answer = await self.store.put_object(PutObjectRequest(chunk, content_type, content_encoding))
        assert not answer.stream_id, "an object that is whole has no stream"

    async def begin(self, name: str, data: bytes = b"", content_type: str | None = None, content_encoding: str | None = None) -> Sending:
        """Begin an upload."""
        answer = await self.store.put_object(PutObjectRequest(Chunk(name, self.id, data), content_type, content_encoding))
        assert answer.stream_id, "an upload that goes on has a streamId"
        return Sending(self, name, answer.stream_id, len(data))

    async def upload(
        self, name: str, pieces: Sequence[bytes], content_type: str | None = None, content_encoding: str | None = None
    ) -> None:
        """Store an object in at least two chunks."""
        sending = await self.begin(name, pieces[0], content_type, content_encoding)
        for piece in pieces[1:-1]:
            await sending.send(piece)
        await sending.send(pieces[-1], last=True)

    async def answer(self, name: str, start: int | None = None, end: int | None = None) -> Fetched:
        """The answer to a download, and the chunk that came with it."""
        answer = await self.store.get_object(GetObjectRequest(name, self.id, start, end))
        assert answer.success and not answer.error, "what cannot be read is an error"
        chunk = answer.initial_chunk or Chunk(name, self.id, b"", start or 0, is_last=not answer.content_length)
        return Fetched(answer, [chunk])

    async def rest(self, fetched: Fetched, name: str) -> Fetched:
        """All of a download whose answer is there."""
        while not fetched.chunks[-1].is_last:
            fetched.chunks.append(await self.receiver.next((self.id, name)))
        return fetched

    async def fetch(self, name: str, start: int | None = None, end: int | None = None) -> Fetched:
        """A whole download, its chunks in order and without gaps."""
        fetched = await self.rest(await self.answer(name, start, end), name)
        at = start or 0
        for chunk in fetched.chunks:
            assert (chunk.container_id, chunk.object_id) == (self.id, name), "a chunk says of what it is as the caller said it"
            assert chunk.offset == at or not chunk.data, f"a chunk begins at {chunk.offset}, and the one before ended at {at}"
            at += len(chunk.data)
        assert at - (start or 0) == fetched.answer.content_length, f"{at} bytes came, of {fetched.answer.content_length}"
        return fetched

    async def get(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes of an object, or of a range."""
        return (await self.fetch(name, start, end)).data

    async def exists(self, name: str) -> bool:
        """Whether there is such an object."""
        return await self.store.object_exists(ContainerObject(self.id, name))

    async def info(self, name: str) -> ObjectMetadata:
        """What is known of an object, which is of this name."""
        found = await self.store.get_object_info(ContainerObject(self.id, name))
        assert (found.container_id, found.object_id) == (self.id, name)
        return found

    async def remove(self, *names: str) -> None:
        """Remove objects."""
        assert await self.store.remove_objects(RemoveObjectsRequest(self.id, list(names))) == []

    async def objects(self, request: ListObjectsRequest | None = None) -> list[ObjectMetadata]:
        """All objects, or those that `request` asks for, page by page."""
        return [item for page in await self.pages(request or ListObjectsRequest(self.id)) for item in page]

    async def names(self) -> list[str]:
        """The names of all objects."""
        return [item.object_id for item in await self.objects()]

    async def pages(self, request: ListObjectsRequest) -> list[list[ObjectMetadata]]:
        """A listing to its end, each page asked for with the continuation of the one before."""
        pages: list[list[ObjectMetadata]] = []
        while True:
            answer = await self.store.list_objects(request)
            assert len(answer.objects) <= (request.max_items or 1000), "no page is longer than was asked for"
            assert all(item.container_id == self.id for item in answer.objects)
            pages.append(answer.objects)
            if answer.is_last:
                assert not answer.continuation, "behind the last page is none"
                return pages
            assert answer.continuation and answer.objects, "a page that is not the last has objects, and the way to the next"
            request = ListObjectsRequest(
                self.id, request.start_with, answer.continuation, request.end_with, request.end_before, request.max_items
            )


async def refused(kind: type[ProviderError] | tuple[type[ProviderError], ...], *calls: Awaitable[object], naming: str = "") -> None:
    """Each of the calls, made at once, ends with such an error whose message has `naming`; AssertionError."""
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    wrong = [outcome for outcome in outcomes if not isinstance(outcome, kind) or naming not in str(outcome)]
    assert not wrong, f"not refused as {kind}: {wrong}"


def seconds(moment: Timestamp | None) -> float:
    """A moment as a number; AssertionError where it is none."""
    assert moment is not None, "it is not said when"
    assert 0 <= moment.nsec < 1_000_000_000
    return moment.sec + moment.nsec / 1e9


def pattern(size: int, seed: int = 0) -> bytes:
    """Bytes in which every place is recognised."""
    block = b"".join(((seed % 256 << 24) + number).to_bytes(4, "big") for number in range(min(size, 1 << 16) // 4 + 1))
    whole = b"".join(block + turn.to_bytes(4, "big") for turn in range(size // len(block) + 1))
    return whole[:size]
