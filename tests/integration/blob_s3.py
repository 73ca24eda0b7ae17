"""What the tests of the blobstore on S3 share: stores, and a relay before a server that counts, cuts and stalls."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from provider_sdk import ProviderError, Secret
from providers.blobstore.backend import NO_DETAILS, Backend, Reading, Store
from providers.blobstore.backends import s3
from providers.blobstore.config import BlobstoreConfig
from tests.servers.s3 import S3Server

T = TypeVar("T")
BUCKET = "all-containers"
HEAD = re.compile(rb"(?:^|\n)((?:GET|PUT|POST|HEAD|DELETE) (\S+) HTTP/1\.1)\r\n")
PART = 5 << 20


def config(server: S3Server, **settings: Any) -> BlobstoreConfig:
    """Settings of a link; containers are folders of `BUCKET` where the test does not say otherwise."""
    values = {"bucket": BUCKET, "max_attempts": 1, **server.settings, **settings}
    for name in ("secret_access_key", "session_token"):
        if isinstance(values.get(name), str):
            values[name] = Secret(values[name])
    if values.get("ca_file"):
        values["ca_file"] = Path(values["ca_file"])
    return BlobstoreConfig(**values)


@asynccontextmanager
async def a_store(server: S3Server, data_dir: Path = Path("/nowhere"), **settings: Any) -> AsyncIterator[Store]:
    """A store as a link would open it."""
    opened = await asyncio.to_thread(s3.open_store, config(server, **settings), data_dir)
    try:
        yield opened
    finally:
        await opened.close()


def make_bucket(server: S3Server) -> S3Server:
    """With the bucket in which all containers are."""
    server.client().create_bucket(Bucket=BUCKET)
    return server


def uploads(server: S3Server, bucket: str, key: str) -> list[str]:
    """The ids of the uploads of a key that are on their way. minio answers for whole keys alone."""
    found = server.client().list_multipart_uploads(Bucket=bucket, Prefix=key)
    return [upload["UploadId"] for upload in found.get("Uploads", ())]


async def refusal(call: Awaitable[object]) -> ProviderError:
    """The error of a call that has to fail, which is one line."""
    with pytest.raises(ProviderError) as caught:
        await call
    assert "\n" not in caught.value.message
    return caught.value


async def content(reading: Reading, hop: int = 1 << 20) -> bytes:
    """All of what is read, in hops."""
    pieces = [reading.first]
    while piece := await reading.read(hop):
        pieces.append(piece)
    await reading.close()
    return b"".join(pieces)


async def whole(backend: Backend, container: str, name: str) -> bytes:
    """The bytes of an object."""
    return await content(await backend.open(container, name, 0, None, lambda length: min(length, 1 << 20)))


async def put_large(backend: Backend, container: str, name: str, data: bytes) -> None:
    """An object in parts, written in chunks."""
    writing = await backend.create(container, name, NO_DETAILS)
    try:
        for at in range(0, len(data), 700_000):
            await writing.write(data[at : at + 700_000])
        await writing.commit()
    finally:
        await writing.abort()


async def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for it; TimeoutError where it takes longer."""
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(holds):
            await asyncio.sleep(0.05)


class Relay:
    """A TCP relay before a server. `requests` are the first lines that went up; `sent` is all that went up on the way of whole requests.

    `cut`: bytes of answers after which a connection is closed, once; `stalled`: nothing comes down while it is set.
    """

    def __init__(self, server: S3Server) -> None:
        self._server = server
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0
        self.requests: list[str] = []
        self.sent = b""
        self.cut: int | None = None
        self.cuts = 0
        self.going = asyncio.Event()
        self.going.set()
        self.open = 0

    @property
    def endpoint(self) -> str:
        """Where clients go."""
        return f"http://127.0.0.1:{self.port}"

    def count(self, method: str, part: str = "") -> int:
        """How many requests of that method had that in their target."""
        return sum(line.startswith(f"{method} ") and part in line for line in self.requests)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Relay]:
        """For as long as the block lasts."""
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = listener.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            listener.close()
            for task in self._connections:
                task.cancel()
            if self._connections:
                await asyncio.wait(self._connections)

    async def _serve(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self.open += 1
        try:
            far, to = await asyncio.open_connection("127.0.0.1", self._server.port)
            ways = [asyncio.create_task(self._up(near, to)), asyncio.create_task(self._down(far, back))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                to.close()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            back.close()
            self.open -= 1
            self._connections.discard(task)

    async def _up(self, near: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await near.read(1 << 16):
                self.requests += [found[0].decode() for found in HEAD.findall(data)]
                self.sent = (self.sent + data)[-(1 << 16) :]
                to.write(data)
                await to.drain()

    async def _down(self, far: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        passed = 0
        with suppress(OSError):
            while data := await far.read(1 << 16):
                await self.going.wait()
                passed += len(data)
                if self.cut is not None and passed > self.cut:
                    self.cut = None
                    self.cuts += 1
                    return
                back.write(data)
                await back.drain()
