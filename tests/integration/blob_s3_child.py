"""A process of its own with the blobstore on S3: settings as JSON, and what to do.

upload     begins an object in parts, says so, and waits for its end
transfer   writes an object of so many bytes and reads it; says by how much memory grew for each, in KiB
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from provider_sdk import Secret
from providers.blobstore.backend import NO_DETAILS, Backend
from providers.blobstore.backends import s3
from providers.blobstore.config import BlobstoreConfig

CHUNK = 512 << 10


def highest() -> int:
    """KiB of memory that this process has had at most."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def piece(at: int) -> bytes:
    """A chunk that tells its place."""
    return (at // CHUNK).to_bytes(8, "big") * (CHUNK // 8)


async def write(backend: Backend, size: int) -> None:
    writing = await backend.create("box", "large", NO_DETAILS)
    try:
        for at in range(0, size, CHUNK):
            await writing.write(piece(at))
        await writing.commit()
    finally:
        await writing.abort()


async def read(backend: Backend, size: int) -> None:
    reading = await backend.open("box", "large", 0, None, lambda length: CHUNK)
    assert reading.length == size and reading.first == piece(0)
    for at in range(CHUNK, size, CHUNK):
        assert await reading.read(CHUNK) == piece(at)
    await reading.close()


async def main() -> None:
    settings = json.loads(sys.argv[1])
    settings["secret_access_key"] = Secret(settings["secret_access_key"])
    store = s3.open_store(BlobstoreConfig(**settings), Path(sys.argv[2]))
    backend = store.view("")
    await backend.create_container("box")
    if sys.argv[3] == "upload":
        writing = await backend.create("box", "large", NO_DETAILS)
        for _ in range(3):
            await writing.write(bytes(settings["part_size"]))
        print("begun", flush=True)
        await asyncio.sleep(600)
    size = int(sys.argv[4])
    await backend.put("box", "first", bytes(CHUNK), NO_DETAILS)
    for work in (write, read):
        before = highest()
        await work(backend, size)
        print(highest() - before, flush=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main())
