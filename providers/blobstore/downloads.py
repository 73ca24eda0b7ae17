"""Downloads that are on their way: the chunks behind the first are sent to the actor, each after its answer to the one before.

The contract has no way to say that a download has failed: no more chunks come, and the log says why.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass

from provider_sdk import Context, LinkKey, ProviderError, ResourceExhausted, Unavailable
from provider_sdk.contracts.blobstore import Chunk, ChunkReceiver
from providers.blobstore.backend import Reading, shown

log = logging.getLogger("provider")

READ = 1 << 20
"""Bytes that are read at once, while those before are sent."""
LEFT_WITHIN = 5.0
"""Seconds that leaving a link waits for the end of its downloads, which goes on behind that."""


@dataclass
class Download:
    """What is left of an answer. `container` and `name` as the caller said them; `held` ends with it: the reading is closed."""

    key: LinkKey
    container: str
    name: str
    reading: Reading
    receiver: ChunkReceiver
    chunk_size: int
    held: AsyncExitStack


class Downloads:
    """The downloads of all links of a process."""

    def __init__(self) -> None:
        self._running: dict[asyncio.Task[None], LinkKey] = {}

    def __len__(self) -> int:
        return len(self._running)

    def room(self, key: LinkKey, most: int) -> None:
        """ResourceExhausted where `most` downloads of the link are on their way."""
        if sum(other == key for other in self._running.values()) >= most:
            raise ResourceExhausted(f"{most} downloads of this link are on their way, the most that max_streams allows")

    def start(self, download: Download) -> None:
        """Begin to send."""
        task = asyncio.create_task(_run(download), name=f"download of {download.key}")
        self._running[task] = download.key
        task.add_done_callback(self._running.pop)

    async def leave(self, key: LinkKey) -> None:
        """End all downloads of a link."""
        await asyncio.sleep(0)  # a task that is cancelled before its first step would close nothing
        tasks = [task for task, other in self._running.items() if other == key]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=LEFT_WITHIN)


async def _run(download: Download) -> None:
    Context.detach()
    try:
        async with download.held:
            await asyncio.sleep(0)  # the answer with the first chunk goes before: it is short enough to be sent at once
            await _send(download)
    except Exception as error:
        known = isinstance(error, ProviderError)
        log.log(
            logging.WARNING if known else logging.ERROR,
            "download of %s from %s ended before its end: %s",
            shown(download.name),
            shown(download.container),
            error,
            extra={"link": str(download.key)},
            exc_info=None if known else error,
        )


async def _send(download: Download) -> None:
    reading = download.reading
    offset, end = reading.start + len(reading.first), reading.start + reading.length
    reading.first = b""
    size = max(READ - READ % download.chunk_size, download.chunk_size)
    waiting = asyncio.create_task(reading.read(size))
    try:
        while offset < end:
            block = await waiting
            if not block:
                raise Unavailable(f"the object ended at {offset} instead of {end}: something else has changed it")
            if offset + len(block) < end:
                waiting = asyncio.create_task(reading.read(size))
            for at in range(0, len(block), download.chunk_size):
                piece = block[at : at + download.chunk_size]
                offset += len(piece)
                chunk = Chunk(download.name, download.container, piece, offset - len(piece), is_last=offset >= end)
                if (await download.receiver.receive_chunk(chunk)).cancel_download:
                    return
    finally:
        waiting.cancel()
        await asyncio.wait([waiting])
        if not waiting.cancelled():
            waiting.exception()  # of what was read ahead and is not wanted any more
