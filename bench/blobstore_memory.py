"""M2: what a blobstore grows by while objects go up and come back, in several streams at once."""

from __future__ import annotations

import asyncio
import random

from bench.processes import memory_mb
from provider_sdk.contracts.blobstore import (
    Blobstore,
    Chunk,
    ChunkReceiver,
    ChunkResponse,
    GetObjectRequest,
    PutChunkRequest,
    PutObjectRequest,
)
from provider_sdk.testing import a_lattice

STREAMS, EACH, PIECE = 4, 256 << 20, 512 << 10
PATIENCE = 60.0


class Receiver(ChunkReceiver):
    """An actor that says how far downloads came that have ended."""

    def __init__(self) -> None:
        self.ended: asyncio.Queue[int] = asyncio.Queue()

    async def receive_chunk(self, chunk: Chunk) -> ChunkResponse:
        if chunk.is_last:
            self.ended.put_nowait(chunk.offset + len(chunk.data))
        return ChunkResponse()


async def growth(values: dict[str, str]) -> float:
    """MiB by which a provider with such a link grows at most while 1 GiB goes up and comes back."""
    receiver = Receiver()
    async with a_lattice(rpc_timeout=PATIENCE) as lattice:
        provider = await lattice.process("providers.blobstore", contract=Blobstore.__identity__.contract)
        store = Blobstore.at(await lattice.link(provider, values, actor=await lattice.actor(receiver)))
        await store.create_container("bench")
        await asyncio.sleep(1.0)
        at_rest = memory_mb(provider.pid, "VmRSS")
        names = [f"object {number}" for number in range(STREAMS)]
        await asyncio.gather(*(upload(store, name) for name in names))
        for name in names:
            await store.get_object(GetObjectRequest(name, "bench"))
        async with asyncio.timeout(10 * PATIENCE):
            assert [await receiver.ended.get() for _ in names] == [EACH] * STREAMS
        return (memory_mb(provider.pid, "VmHWM") - at_rest) * 1e6 / (1 << 20)


async def upload(store: Blobstore, name: str) -> None:
    """A share of the bytes, chunk by chunk."""
    data = random.randbytes(PIECE)
    begun = await store.put_object(PutObjectRequest(Chunk(name, "bench", data)))
    for offset in range(PIECE, EACH, PIECE):
        chunk = Chunk(name, "bench", data, offset, is_last=offset + PIECE == EACH)
        await store.put_chunk(PutChunkRequest(chunk, begun.stream_id))
