"""One object moved from a store to another as a stream, or read on both sides, by SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from provider_sdk import NotFound
from providers.blobstore.backend import Backend, ObjectInfo, Reading, blocks

BLOCK = 1 << 20
SECOND = 1_000_000_000


class Gone(Exception):
    """The source does not have the object any more."""


@dataclass(frozen=True, slots=True)
class Content:
    """What was read: the version that it was, and the SHA-256 of its bytes."""

    info: ObjectInfo
    digest: bytes


@dataclass(frozen=True, slots=True)
class End:
    """One side: a container of a store."""

    backend: Backend
    container: str

    async def content(self, name: str) -> Content:
        """Read an object; NotFound."""
        reading = await self._open(name)
        try:
            return Content(reading.info, await _through(reading, _nowhere))
        finally:
            await reading.close()

    async def send(self, name: str, other: End, tell: Callable[[int], None]) -> Content:
        """Read an object and write it to the other side, where it is seen when it is whole; Gone. `tell` is told of the bytes."""
        try:
            reading = await self._open(name)
        except NotFound as error:
            raise Gone from error
        try:
            writing = await other.backend.create(other.container, name, reading.info.details, reading.length)

            async def write(data: bytes) -> None:
                await writing.write(data)
                tell(len(data))

            try:
                digest = await _through(reading, write)
                await writing.commit()
            finally:
                await writing.abort()
        finally:
            await reading.close()
        return Content(reading.info, digest)

    async def unchanged(self, info: ObjectInfo) -> bool:
        """Whether the object is still that version; Gone."""
        try:
            now = await self.backend.info(self.container, info.name)
        except NotFound as error:
            raise Gone from error
        return now.size == info.size and same_time(now.modified, info.modified)

    async def _open(self, name: str) -> Reading:
        return await self.backend.open(self.container, name, 0, None, lambda length: min(length, BLOCK))


async def _nowhere(data: bytes) -> None:
    """Bytes that are only read."""


async def _through(reading: Reading, write: Callable[[bytes], Awaitable[None]]) -> bytes:
    """Read to the end, and write what is read; its SHA-256."""
    digest = hashlib.sha256()
    async for block in blocks(reading, BLOCK):
        digest.update(block)
        await write(block)
    return digest.digest()


def same_time(one: int | None, other: int | None) -> bool:
    """Some servers tell whole seconds of one object, and more of them in a listing; None is known to be equal to nothing."""
    if one is None or other is None:
        return False
    return one == other or (one // SECOND == other // SECOND and 0 in (one % SECOND, other % SECOND))
