"""The blobstore rows; here those of chunks between the provider and NATS (B2)."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgpack

from bench.blobstore_local import measure_local
from bench.blobstore_memory import growth
from bench.blobstore_s3 import measure_s3
from bench.figures import Figure
from bench.processes import ACTOR, CLUSTER, HOST, LATTICE, Running, answered, invocation, load, start_provider, yardstick
from provider_sdk.contracts.blobstore import Blobstore, Chunk, GetObjectRequest, PutChunkRequest, PutObjectRequest
from provider_sdk.errors import Unavailable
from provider_sdk.hosts.wasmbus.client import Client, LatticeTarget
from provider_sdk.hosts.wasmbus.envelope import Entity, InvocationResponse, decode_invocation, encode_response
from provider_sdk.hosts.wasmbus.values import operation_codec
from provider_sdk.transport.base import Message, Transport

CONTRACT = Blobstore.__identity__.contract
SUBJECT = f"wasmbus.rpc.{LATTICE}.{ACTOR.public}"
IDENTIFIER = "0189f7a0-4b5c-4d7e-8c1d-2f3a4b5c6d7e"
IN_FLIGHT, CHUNK = 16, 256 << 10
WARM_UP = 0.3
PATIENCE = 60.0
MARK = 1 << 63
"""An offset that takes eight bytes, in whose place others are put."""
VALUES = {"url": "memory://", "max_chunk_size": str(CHUNK), "chunk_timeout": "1", "max_streams": "100000"}


@dataclass
class Blobs:
    """The blobstore part of one run; `natsraw` is the compiled yardstick. Objects lie below `disk`, which has to be on one."""

    natsraw: Path
    nats_port: int
    url: str
    transport: Transport
    folder: Path
    disk: Path
    seconds: float
    rows: dict[str, Figure]

    async def measure(self, rounds: int) -> None:
        """Every row for which this machine has the programs."""
        await self.chunks(rounds)
        self.disk.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="blobstore-", dir=self.disk.absolute()) as name:
            folder = Path(name)
            await measure_local(self.rows, folder, rounds)
            self.rows["M2"].values.append(await growth({"url": f"file://{folder}/memory"}))
            await measure_s3(self.rows, folder, self.seconds, rounds)

    async def chunks(self, rounds: int) -> None:
        """B2: chunks of several streams at once, each answered before the next of its stream, in both directions."""
        running = await start_provider(self.url, "bench.unsigned_blobstore", CONTRACT, VALUES)
        try:
            await answered(self.transport, f"{running.subject}.health")
            store = self._store(running.key)
            await store.create_container("bench")
            call = await self._first_call(store)
            works: dict[str, Callable[[], Awaitable[float]]] = {
                "uploads": lambda: self._taken(running, store),
                "C takes": lambda: self._taken_in_c(running, store),
                "downloads": lambda: self._sent(store),
                "C sends": lambda: self._sent_by_c(call),
            }
            for _ in range(rounds):
                rates = {name: await works[name]() for name in random.sample(sorted(works), len(works))}
                self.rows["B2r"].values.append(rates["uploads"] / rates["C takes"])
                self.rows["B2s"].values.append(rates["downloads"] / rates["C sends"])
        finally:
            await running.stop()

    def _store(self, key: str) -> Blobstore:
        """The provider, asked in the name of the bench's actor."""
        client = Client(self.transport, lattice=LATTICE, key=CLUSTER, host_id=HOST.public, timeout=PATIENCE)
        return Blobstore.at(LatticeTarget(client, Entity(ACTOR.public, "", ""), Entity(key, "default", CONTRACT)))

    async def _taken(self, provider: Running, store: Blobstore, instead: Running | None = None) -> float:
        """Chunks of uploads that the provider, or another responder, takes in a second; Unavailable where one is refused."""
        calls, at = await begin_uploads(provider.key, store)
        payloads, responder = self._file("uploads", calls), instead or provider
        figures = await load(self.natsraw, self.nats_port, responder, IN_FLIGHT, self.seconds, payloads, numbers=(at, CHUNK))
        # The mean length: an error's text would show in it.
        if instead is None and figures["reply_bytes"] != len(encode_response(InvocationResponse(b"", IDENTIFIER, None, 0))):
            raise Unavailable(f"uploads are not taken: the answers have {figures['reply_bytes']} bytes")
        return float(figures["rate"])

    async def _taken_in_c(self, provider: Running, store: Blobstore) -> float:
        async with yardstick(self.natsraw, "ack", str(self.nats_port), "bench.ack") as process:
            return await self._taken(provider, store, Running(process, "bench.ack"))

    async def _sent(self, store: Blobstore) -> float:
        """Chunks of downloads that the provider sends in a second."""
        async with self._receiver() as receiver:
            await asyncio.gather(*(store.get_object(GetObjectRequest(f"object {number}", "bench")) for number in range(IN_FLIGHT)))
            return await received_rate(receiver)

    async def _sent_by_c(self, call: bytes) -> float:
        async with self._receiver() as receiver:
            payload, target = self._file("chunk", call), Running(receiver, SUBJECT)
            await load(self.natsraw, self.nats_port, target, IN_FLIGHT, self.seconds + WARM_UP, payload)
            return await received_rate(receiver)

    def _file(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    @asynccontextmanager
    async def _receiver(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """An actor in C that takes chunks, and says how many they were. When it has gone, the downloads end."""
        answer = self._file("answer", an_answer(cancel=False))
        arguments = (str(self.nats_port), SUBJECT, SUBJECT, f"@{answer}", str(self.seconds), str(WARM_UP))
        async with yardstick(self.natsraw, "answer", *arguments) as process:
            yield process

    async def _first_call(self, store: Blobstore) -> bytes:
        """The call with which the provider sends a chunk; Unavailable where it signs each anew."""
        calls: list[bytes] = []
        ended = asyncio.Event()

        async def answer(message: Message) -> None:
            calls.append(message.data)
            if len(calls) == 2:
                ended.set()
            await self.transport.publish(message.reply, an_answer(cancel=len(calls) == 2))

        subscription = await self.transport.subscribe(SUBJECT, answer, queue=SUBJECT)
        await self.transport.flush()
        await store.get_object(GetObjectRequest("object", "bench"))
        async with asyncio.timeout(PATIENCE):
            await ended.wait()
        await subscription.unsubscribe()
        await self.transport.flush()
        first, second = map(decode_invocation, calls)
        if first.encoded_claims != second.encoded_claims:
            raise Unavailable("bench/unsigned_blobstore.py no longer replaces what signs the calls of the blobstore")
        return calls[0]


def an_answer(*, cancel: bool) -> bytes:
    """The InvocationResponse of an actor that has taken a chunk."""
    packed: bytes = msgpack.packb({"cancelDownload": cancel})
    return encode_response(InvocationResponse(packed, IDENTIFIER, None, len(packed)))


async def received_rate(receiver: asyncio.subprocess.Process) -> float:
    """What the actor in C says; Unavailable where it were other messages."""
    assert receiver.stdout is not None
    async with asyncio.timeout(PATIENCE):
        figures = json.loads(await receiver.stdout.readline())
    if not CHUNK < figures["bytes"] < CHUNK + 4096:
        raise Unavailable(f"messages of {figures['bytes']} bytes came, and not of {CHUNK} and what is around them")
    return float(figures["rate"])


async def begin_uploads(key: str, store: Blobstore) -> tuple[bytes, int]:
    """Begin an upload for each chunk in flight; the calls with their next chunks, one behind the other, and where in each its offset is."""
    codec = operation_codec(next(operation for operation in Blobstore.operations() if operation.method == "put_chunk"))
    calls, mark = [], MARK.to_bytes(8)
    for number in range(IN_FLIGHT):
        name = f"object {number:02}"
        begun = await store.put_object(PutObjectRequest(Chunk(name, "bench", b"")))
        request = PutChunkRequest(Chunk(name, "bench", bytes(CHUNK), MARK), begun.stream_id)
        calls.append(invocation(key, codec.encode_arguments((request,)), "Blobstore.PutChunk", CONTRACT))
    if len({(len(call), call.index(mark)) for call in calls}) != 1:
        raise Unavailable("the calls that the bench sends differ in length")
    return b"".join(call.replace(mark, bytes(8), 1) for call in calls), calls[0].index(mark)
