"""The blobstore without the cost of signatures, and of keeping: calls are not checked, those to actors carry the token of the first.

The SDK has no setting that turns these off, so the names are replaced inside this process, as is the memory store: what is written is
dropped, and every object has no end, so that a stream goes on for as long as it is measured.
"""

from __future__ import annotations

from pathlib import Path

from bench.unsigned_httpserver import SIGNING, SameToken
from provider_sdk import main
from provider_sdk.hosts.wasmbus import client
from provider_sdk.hosts.wasmbus.server import Server
from providers.blobstore.backend import Backend, Details, First, ObjectInfo, Reading, Store, Writing
from providers.blobstore.backends import memory
from providers.blobstore.backends.memory import MemoryBackend, MemoryStore, MemoryWriting
from providers.blobstore.config import BlobstoreConfig
from providers.blobstore.provider import BlobstoreProvider

ENDLESS = 1 << 50
BLOCK = memoryview(bytes(range(256)) * 4096)


class Dropping(MemoryWriting):
    async def write(self, data: bytes) -> None:
        pass


class Endless(Reading):
    """The same block over and over, a copy each time, as of a file."""

    def __init__(self, name: str, first: int) -> None:
        self.info, self.start, self.length = ObjectInfo(name, ENDLESS), 0, ENDLESS
        self.first = bytes(BLOCK[:first])

    async def read(self, size: int) -> bytes:
        return bytes(BLOCK[:size])

    async def close(self) -> None:
        pass


class EndlessBackend(MemoryBackend):
    async def open(self, container: str, name: str, start: int, end: int | None, first: First) -> Reading:
        return Endless(name, first(ENDLESS))

    async def create(self, container: str, name: str, details: Details, size: int | None = None) -> Writing:
        return Dropping(self, container, name, details)


class EndlessStore(MemoryStore):
    def view(self, scope: str) -> Backend:
        return EndlessBackend({})


def open_endless(config: BlobstoreConfig, data_dir: Path) -> Store:
    return EndlessStore()


if __name__ == "__main__":
    Server.verify = staticmethod(lambda *invocation, **context: None)
    vars(client)[SIGNING] = SameToken(vars(client)[SIGNING])
    vars(memory)["open_store"] = open_endless
    main(BlobstoreProvider)
