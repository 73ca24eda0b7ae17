"""Actors of the blobstore in Python: they put and get objects in chunks, and take the chunks that are sent to them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from provider_sdk.contracts.blobstore import (
    Blobstore,
    Chunk,
    ChunkReceiver,
    ChunkResponse,
    GetObjectRequest,
    PutChunkRequest,
    PutObjectRequest,
)
from provider_sdk.hosts.wasmbus.client import LatticeTarget
from provider_sdk.testing import Provided, TestLattice
from providers.blobstore.provider import BlobstoreProvider

CONTRACT = Blobstore.__identity__.contract
PIECE = 512 << 10


class Taken(ChunkReceiver):
    """Takes chunks while its gate is open, and counts and hashes them: nothing of an object stays in memory."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.most = -1
        self.error: Exception | None = None
        self.reset()

    def reset(self) -> None:
        self.chunks, self.size, self.digest, self.last = 0, 0, hashlib.sha256(), False
        self.ended = asyncio.Event()

    def take(self, chunk: Chunk) -> None:
        assert not self.last and (not self.chunks or chunk.offset == self.size)
        self.chunks, self.size, self.last = self.chunks + 1, chunk.offset + len(chunk.data), chunk.is_last
        self.digest.update(chunk.data)
        if chunk.is_last:
            self.ended.set()

    async def receive_chunk(self, chunk: Chunk) -> ChunkResponse:
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.take(chunk)
        return ChunkResponse(cancel_download=self.chunks == self.most)


@dataclass
class Actor:
    """An actor, its link, and what it has taken."""

    lattice: TestLattice
    provider: Provided
    identity: str
    target: LatticeTarget
    taken: Taken

    @property
    def blobs(self) -> Blobstore:
        return Blobstore.at(self.target)

    async def change(self, values: Mapping[str, str]) -> None:
        """Put the link again with other values."""
        await self.lattice.link(self.provider, values, actor=self.identity)

    async def put(self, name: str, data: bytes, container: str = "c") -> None:
        answer = await self.blobs.put_object(PutObjectRequest(Chunk(name, container, data, is_last=True)))
        assert answer.stream_id is None

    async def begin(self, name: str, data: bytes, container: str = "c") -> str:
        answer = await self.blobs.put_object(PutObjectRequest(Chunk(name, container, data)))
        assert answer.stream_id
        return answer.stream_id

    async def chunk(self, name: str, stream: str, offset: int, data: bytes, *, last: bool = False, container: str = "c") -> None:
        await self.blobs.put_chunk(PutChunkRequest(Chunk(name, container, data, offset, last), stream))

    async def upload(self, name: str, size: int, piece: int = PIECE, at_once: int = 4) -> str:
        """Put an object of that size, several chunks in flight: the SHA-256 of it."""
        digest = hashlib.sha256()
        stream, free = await self.begin(name, b""), asyncio.Semaphore(at_once)
        async with asyncio.TaskGroup() as group:
            for offset in range(0, size, piece):
                data = content(offset, min(piece, size - offset))
                digest.update(data)
                await free.acquire()
                sent = group.create_task(self.chunk(name, stream, offset, data))
                sent.add_done_callback(lambda _: free.release())
        await self.chunk(name, stream, size, b"", last=True)
        return digest.hexdigest()

    async def open(self, name: str, start: int | None = None, end: int | None = None) -> int:
        """Ask for an object, and take its first chunk: how many bytes it has."""
        self.taken.reset()
        answer = await self.blobs.get_object(GetObjectRequest(name, "c", start, end))
        assert answer.success and answer.initial_chunk is not None
        self.taken.take(answer.initial_chunk)
        return answer.content_length

    async def download(self, name: str, seconds: float = 30.0) -> tuple[int, str]:
        """Get an object: its size and SHA-256."""
        size = await self.open(name)
        async with asyncio.timeout(seconds):
            await self.taken.ended.wait()
        assert self.taken.size == size
        return size, self.taken.digest.hexdigest()


def content(offset: int, length: int) -> bytes:
    """Bytes that tell where in an object they are."""
    first = offset // 8
    words = b"".join(number.to_bytes(8, "big") for number in range(first, (offset + length) // 8 + 1))
    return words[offset % 8 :][:length]


async def started(lattice: TestLattice, folder: Path, *, as_process: bool = True, **configuration: object) -> Provided:
    """A blobstore on a lattice."""
    settings = {"data_dir": str(folder), **configuration}
    if as_process:
        return await lattice.process("providers.blobstore", contract=CONTRACT, configuration=settings)
    return await lattice.in_process(BlobstoreProvider, contract=CONTRACT, configuration=settings)


@asynccontextmanager
async def an_actor(lattice: TestLattice, provider: Provided, values: Mapping[str, str], *, container: bool = True) -> AsyncIterator[Actor]:
    """An actor that is linked, with a container c in its store."""
    taken = Taken()
    identity = await lattice.actor(taken)
    target = await lattice.link(provider, values, actor=identity)
    assert isinstance(target, LatticeTarget)
    actor = Actor(lattice, provider, identity, target, taken)
    if container:
        await actor.blobs.create_container("c")
    yield actor
    await lattice.unlink(provider, target)
