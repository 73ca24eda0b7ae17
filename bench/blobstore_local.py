"""B1: objects in local files, measured at the backend, against what dd does on the same disk with the same block size."""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench.figures import Figure
from provider_sdk.errors import Unavailable
from providers.blobstore.backend import NO_DETAILS, Backend
from providers.blobstore.config import BlobstoreConfig
from providers.blobstore.stores import one_store

SIZE = 256 << 20
BLOCKS = {"s": 64 << 10, "l": 1 << 20}
CONTAINER, NAME = "bench", "object"


async def measure_local(rows: dict[str, Figure], folder: Path, rounds: int) -> None:
    """Fill the rows, or say why not. What is read has just been written, so it comes from memory."""
    row_ids = [f"B1{kind}{block}" for kind in "rw" for block in BLOCKS]
    if shutil.which("dd") is None:
        for row in row_ids:
            rows[row].left_out = "no dd found (Debian package coreutils)"
        return
    async with one_store(BlobstoreConfig(backend="local", root=folder / "blobs"), folder) as store:
        backend = store.view("")
        await backend.create_container(CONTAINER)
        for _ in range(rounds):
            for name, block in random.sample(sorted(BLOCKS.items()), len(BLOCKS)):
                seconds = await _round(backend, folder / "file", block)
                rows[f"B1w{name}"].values.append(seconds["dd writes"] / seconds["writes"])
                rows[f"B1r{name}"].values.append(seconds["dd reads"] / seconds["reads"])


async def _round(backend: Backend, file: Path, block: int) -> dict[str, float]:
    works: dict[str, list[tuple[str, Callable[[], Awaitable[None]]]]] = {
        "ours": [("writes", lambda: write(backend, block)), ("reads", lambda: read(backend, block))],
        "dd": [
            ("dd writes", lambda: dd("if=/dev/zero", f"of={file}", f"bs={block}", f"count={SIZE // block}", "conv=fsync")),
            ("dd reads", lambda: dd(f"if={file}", "of=/dev/null", f"bs={block}")),
        ],
    }
    await backend.remove(CONTAINER, [NAME])
    await asyncio.to_thread(file.unlink, missing_ok=True)
    seconds = {}
    for who in random.sample(sorted(works), 2):
        for what, work in works[who]:
            started = time.perf_counter()
            await work()
            seconds[what] = time.perf_counter() - started
    return seconds


async def write(backend: Backend, block: int, size: int = SIZE) -> None:
    """An object of zeros, block by block, until it is there for good."""
    data = bytes(block)
    writing = await backend.create(CONTAINER, NAME, NO_DETAILS)
    try:
        for _ in range(size // block):
            await writing.write(data)
        await writing.commit()
    finally:
        await writing.abort()


async def read(backend: Backend, block: int, size: int = SIZE) -> None:
    """The whole object, block by block; Unavailable where it has another length."""
    reading = await backend.open(CONTAINER, NAME, 0, None, lambda _: 0)
    count = 0
    try:
        while piece := await reading.read(block):
            count += len(piece)
    finally:
        await reading.close()
    if count != size:
        raise Unavailable(f"an object of {size} bytes is read as one of {count}")


async def dd(*words: str) -> None:
    """Copy with dd; Unavailable where it fails."""
    process = await asyncio.create_subprocess_exec("dd", *words, stderr=subprocess.PIPE)
    _, errors = await process.communicate()
    if process.returncode:
        raise Unavailable(f"dd ended with {process.returncode}: {errors.decode().strip()}")
