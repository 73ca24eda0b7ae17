"""A blobstore whose memory store takes a minute for each write: for the end of a provider whose store does not answer."""

from __future__ import annotations

import asyncio
import time

from provider_sdk import main
from providers.blobstore.backends.memory import MemoryWriting
from providers.blobstore.provider import BlobstoreProvider


async def write(self: MemoryWriting, data: bytes) -> None:
    await asyncio.to_thread(time.sleep, 60)


if __name__ == "__main__":
    MemoryWriting.write = write  # type: ignore[method-assign]  # what a disk or a server does that is stuck
    main(BlobstoreProvider)
