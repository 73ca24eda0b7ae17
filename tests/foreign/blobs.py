"""The contract blobstore as programs use it, for the adapters of foreign suites: whole objects, ranges, names below a prefix."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provider_sdk import Layer, LinkKey, NotFound
from provider_sdk.contracts.blobstore import (
    Blobstore,
    Chunk,
    ChunkReceiver,
    ChunkResponse,
    ContainerObject,
    GetObjectRequest,
    ListObjectsRequest,
    ObjectMetadata,
    PutChunkRequest,
    PutObjectRequest,
    RemoveObjectsRequest,
)
from providers.blobstore.config import BlobstoreConfig
from providers.blobstore.downloads import Downloads
from providers.blobstore.linked import LinkedStore, Streams
from providers.blobstore.stores import Stores
from providers.blobstore.uploads import Uploads
from providers.blobstore.wasmbus import ActorBlobstore

PIECE = 256 << 10
LAST = chr(0x10FFFF)

Door = Callable[[ChunkReceiver], Blobstore]
"""A way to a store; chunks behind the first of an answer go to the receiver."""


@asynccontextmanager
async def direct(values: Mapping[str, Any], folder: Path) -> AsyncIterator[Door]:
    """What a link with these values would answer, in this process."""
    config = BlobstoreConfig.load(Layer("test", values)).config
    streams = Streams(Stores(folder), Uploads(), Downloads())
    async with streams.stores.use(config) as store:
        backend = store.view(config.scope("MACTOR"))
        keys: list[LinkKey] = []

        def door(receiver: ChunkReceiver) -> Blobstore:
            keys.append(LinkKey("MACTOR", "wasmcloud:blobstore", secrets.token_hex(8)))  # what is on its way is told apart by links
            return ActorBlobstore(LinkedStore(keys[-1], config, backend, streams), receiver)

        yield door
        for key in keys:
            await streams.uploads.leave(key)
            await streams.downloads.leave(key)


class Nobody(ChunkReceiver):
    async def receive_chunk(self, chunk: Chunk) -> ChunkResponse:
        raise NotImplementedError


class Pulled(ChunkReceiver):
    """Chunks that are taken when the reader asks for them, in the order of their offsets."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[Chunk] = asyncio.Queue(1)
        self.unwanted = False

    async def receive_chunk(self, chunk: Chunk) -> ChunkResponse:
        if not self.unwanted:
            await self.waiting.put(chunk)
        return ChunkResponse(self.unwanted)

    def stop(self) -> None:
        self.unwanted = True
        while not self.waiting.empty():
            self.waiting.get_nowait()


@dataclass
class Incoming:
    """An object on its way here."""

    size: int
    content_type: str | None
    content_encoding: str | None
    first: Chunk
    receiver: Pulled

    async def pieces(self) -> AsyncIterator[bytes]:
        chunk, expected = self.first, self.first.offset
        try:
            while True:
                assert chunk.offset == expected, f"a chunk begins at {chunk.offset}, not {expected}"
                expected += len(chunk.data)
                yield chunk.data
                if chunk.is_last:
                    break
                chunk = await self.receiver.waiting.get()
        finally:
            self.receiver.stop()
        assert expected - self.first.offset == self.size, f"{self.size} bytes were announced, {expected - self.first.offset} came"


class Blobs:
    """What an adapter asks."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.calls = door(Nobody())

    async def size(self, container: str, name: str) -> int | None:
        """None where it is not there."""
        try:
            return (await self.calls.get_object_info(ContainerObject(container, name))).content_length
        except NotFound:
            return None

    async def opened(self, container: str, name: str, start: int | None = None, end: int | None = None) -> Incoming:
        receiver = Pulled()
        answer = await self.door(receiver).get_object(GetObjectRequest(name, container, start, end))
        assert answer.success and answer.initial_chunk is not None
        return Incoming(answer.content_length, answer.content_type, answer.content_encoding, answer.initial_chunk, receiver)

    async def read(self, container: str, name: str, start: int | None = None, end: int | None = None) -> bytes:
        incoming = await self.opened(container, name, start, end)
        return b"".join([piece async for piece in incoming.pieces()])

    async def write(self, container: str, name: str, data: bytes, content_type: str | None = None) -> None:
        await self.send(container, name, _pieces(data), content_type)

    async def send(
        self, container: str, name: str, pieces: AsyncIterable[bytes], content_type: str | None = None, content_encoding: str | None = None
    ) -> None:
        """Write in chunks; nothing is there where `pieces` fails."""
        link = self.door(Nobody())
        held, stream, offset = b"", None, 0
        try:
            async for piece in pieces:
                if held:
                    chunk = Chunk(name, container, held, offset)
                    if stream is None:
                        stream = (await link.put_object(PutObjectRequest(chunk, content_type, content_encoding))).stream_id
                    else:
                        await link.put_chunk(PutChunkRequest(chunk, stream))
                    offset += len(held)
                held = piece
        except BaseException:
            if stream is not None:
                await link.put_chunk(PutChunkRequest(Chunk(name, container, b"", offset), stream, cancel_and_remove=True))
            raise
        last = Chunk(name, container, held, offset, is_last=True)
        if stream is None:
            answer = await link.put_object(PutObjectRequest(last, content_type, content_encoding))
            assert answer.stream_id is None
        else:
            await link.put_chunk(PutChunkRequest(last, stream))

    async def remove(self, container: str, names: list[str]) -> None:
        failures = await self.calls.remove_objects(RemoveObjectsRequest(container, names))
        assert not [item for item in failures if not item.success], failures

    async def listed(self, container: str, prefix: str = "", start: str = "", page: int | None = None) -> AsyncIterator[ObjectMetadata]:
        """What begins with `prefix`, from `start` on, itself included."""
        request = ListObjectsRequest(container, max(prefix, start, key=str.encode) or None, end_before=behind(prefix), max_items=page)
        while True:
            answer = await self.calls.list_objects(request)
            for found in answer.objects:
                if found.object_id.startswith(prefix):
                    yield found
            if answer.is_last:
                return
            assert answer.continuation, "more objects are announced, and no continuation is there"
            request = ListObjectsRequest(container, None, answer.continuation, end_before=behind(prefix), max_items=page)


def behind(prefix: str) -> str | None:
    """The first name behind all that begin with `prefix`; None where nothing is."""
    kept = prefix.rstrip(LAST)
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)  # no text has surrogates


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), PIECE):
        yield data[at : at + PIECE]
