"""The 1.x interface on a backend (wrpc-1x.md §5.3), in both versions: names, ranges and pages as it has them, streams in flows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from provider_sdk import Context, InvalidArgument, NotFound, ProviderError, ResourceExhausted
from provider_sdk.contracts.wasi_blobstore import (
    ContainerMetadata,
    EarlyWasiBlobstore,
    ObjectId,
    ObjectMetadata,
    Outcome,
    WasiBlobstore,
)
from provider_sdk.errors import error_of
from provider_sdk.types import Err
from providers.blobstore.backend import NO_DETAILS, Named, Page, Reading, Writing, blocks, shown
from providers.blobstore.flows import Flow, Stream, Way
from providers.blobstore.linked import LinkedStore

T = TypeVar("T")

log = logging.getLogger("provider")

READ = 1 << 20
"""Bytes of a download that are read at once: three of them are in memory, one being read, one waiting and one being sent."""
PIECE = 64 << 10
"""Bytes of a download that go as one. A NATS server holds up who sends to a slow reader by some milliseconds a message, whatever its size,
and cuts the reader off when that is not enough: small messages are what flow control there is, and cost no time otherwise."""
PAGE = 1000


class _Objects:
    """What both versions have, and the streams that they have in different forms."""

    def __init__(self, linked: LinkedStore) -> None:
        self._linked = linked
        self._backend = linked.backend

    async def clear_container(self, name: str) -> None:
        container = self._linked.container(name)
        async with self._linked.holding():
            await self._cleared(container)

    async def _cleared(self, container: str) -> None:
        while names := [info.name for info in (await self._backend.objects(container, most=PAGE)).objects]:
            _all_removed(await self._backend.remove(container, names))

    async def container_exists(self, name: str) -> bool:
        return await self._linked.container_exists(name)

    async def create_container(self, name: str) -> None:
        await self._backend.create_container(self._linked.container(name))

    async def delete_container(self, name: str) -> None:
        container = self._linked.container(name)
        await self._backend.container(container)
        await self._backend.remove_container(container)

    async def get_container_info(self, name: str) -> ContainerMetadata:
        info = await self._backend.container(self._linked.container(name))
        return ContainerMetadata(_seconds(info.created))

    async def copy_object(self, src: ObjectId, dest: ObjectId) -> None:
        await self._copied(self._named(src), self._named(dest))

    async def move_object(self, src: ObjectId, dest: ObjectId) -> None:
        source, target = self._named(src), self._named(dest)
        await self._copied(source, target)
        if source != target:
            _all_removed(await self._backend.remove(source[0], [source[1]]))

    async def _copied(self, source: Named, target: Named) -> None:
        if source == target:
            await self._backend.info(*source)
        else:
            async with self._linked.holding():
                await self._backend.copy(source, target)

    async def delete_object(self, id: ObjectId) -> None:
        await self.delete_objects(id.container, [id.object])

    async def delete_objects(self, container: str, objects: list[str]) -> None:
        _all_removed(await self._linked.remove(container, objects))

    async def get_object_info(self, id: ObjectId) -> ObjectMetadata:
        info = await self._backend.info(*self._named(id))
        return ObjectMetadata(_seconds(info.modified), info.size)

    async def has_object(self, id: ObjectId) -> bool:
        try:
            await self._backend.info(*self._named(id))
        except NotFound:
            return False
        return True

    def _named(self, id: ObjectId) -> Named:
        return self._linked.object(id.container, id.object)

    async def _names(self, name: str, limit: int | None, offset: int | None, *, breaks: bool) -> Stream[str]:
        """The names of a container's objects; a page of them is there already, so that what is wrong is known."""
        container = self._linked.container(name)
        page, held = await self._opened(self._backend.objects(container, most=PAGE), _nothing)
        if not page.more:
            await self._linked.streams.tasks.finish(held.aclose())
            return Stream.whole([info.name for info in page.objects][offset or 0 :][:limit])
        await self._admit(Way.DOWN, held)
        stream = Stream[str](self._linked.config.upload_timeout, breaks=breaks)
        work = self._list(stream, container, page, offset or 0, limit)
        self._start(Way.DOWN, f"the list of {shown(container)}", work, held, stream.outcome)
        return stream

    async def _list(self, stream: Stream[str], container: str, page: Page, skip: int, limit: int | None) -> None:
        while True:
            names = [info.name for info in page.objects[skip:]][:limit]
            skip = max(0, skip - len(page.objects))
            if limit is not None:
                limit -= len(names)
            if names:
                await stream.put(names)
            if not page.more or not page.objects or limit == 0:
                return
            page = await self._backend.objects(container, after=page.objects[-1].name, most=PAGE)

    async def _bytes(self, id: ObjectId, start: int, end: int, *, breaks: bool) -> Stream[bytes]:
        """A range of an object; its first block is there already, so that what is wrong is known."""
        named = self._named(id)
        if start > end:
            raise InvalidArgument(f"the range of {shown(id.object)} ends at {end}, before it begins at {start}")
        if start == end:
            await self._backend.info(*named)
            return Stream.whole([])
        opening = self._backend.open(*named, start, end - 1, lambda length: min(length, READ))
        reading, held = await self._opened(opening, lambda reading: reading.close())
        if len(reading.first) == reading.length:
            await self._linked.streams.tasks.finish(held.aclose())
            return Stream.whole(_pieces(reading.first))
        await self._admit(Way.DOWN, held)
        stream = Stream[bytes](self._linked.config.upload_timeout, breaks=breaks)
        what = f"the download of {shown(id.object)} from {shown(id.container)}"
        self._start(Way.DOWN, what, _send(reading, stream), held, stream.outcome)
        return stream

    async def _received(self, id: ObjectId, data: AsyncIterator[bytes]) -> asyncio.Future[Outcome]:
        """The end of an upload, which has begun."""
        writing, held = await self._opened(self._backend.create(*self._named(id), NO_DETAILS), lambda writing: writing.abort())
        await self._admit(Way.UP, held)
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._start(Way.UP, f"the upload of {shown(id.object)} to {shown(id.container)}", _receive(data, writing), held, outcome)
        return outcome

    async def _opened(self, opening: Awaitable[T], close: Callable[[T], Awaitable[None]]) -> tuple[T, AsyncExitStack]:
        """What a stream needs, and what lets go of it: nothing is left of it where the caller gives up."""

        async def opened() -> tuple[T, AsyncExitStack]:
            async with self._linked.holding() as held:
                found = await opening
                held.push_async_callback(close, found)
                return found, held.pop_all()

        return await self._linked.streams.tasks.finish(opened(), lambda pair: pair[1].aclose())

    async def _admit(self, way: Way, held: AsyncExitStack) -> None:
        """An error, and nothing is held any more, where the link may have no further stream."""
        linked = self._linked
        await linked.still_linked(held)
        try:
            linked.streams.flows.room(linked.key, way, linked.config.max_streams)
        except ResourceExhausted:
            await linked.streams.tasks.finish(held.aclose())
            raise

    def _start(self, way: Way, what: str, work: Coroutine[Any, Any, None], held: AsyncExitStack, outcome: asyncio.Future[Outcome]) -> None:
        streams = self._linked.streams

        async def holding() -> None:
            try:
                await work
            finally:
                await streams.tasks.finish(_closed(held, what))

        streams.flows.start(Flow(self._linked.key, way, what), holding(), outcome)


class ComponentBlobstore(_Objects, WasiBlobstore):
    """Version 0.2.0."""

    async def list_container_objects(
        self, name: str, limit: int | None, offset: int | None
    ) -> tuple[AsyncIterator[str], Awaitable[Outcome]]:
        stream = await self._names(name, limit, offset, breaks=False)
        return stream, stream.outcome

    async def get_container_data(self, id: ObjectId, start: int, end: int) -> tuple[AsyncIterator[bytes], Awaitable[Outcome]]:
        stream = await self._bytes(id, start, end, breaks=False)
        return stream, stream.outcome

    async def write_container_data(self, id: ObjectId, data: AsyncIterator[bytes]) -> Awaitable[Outcome]:
        return await self._received(id, data)


class EarlyComponentBlobstore(_Objects, EarlyWasiBlobstore):
    """Version 0.1.0."""

    async def list_container_objects(self, name: str, limit: int | None, offset: int | None) -> AsyncIterator[str]:
        return await self._names(name, limit, offset, breaks=True)

    async def get_container_data(self, id: ObjectId, start: int, end: int) -> AsyncIterator[bytes]:
        return await self._bytes(id, start, end, breaks=True)

    async def write_container_data(self, id: ObjectId, data: AsyncIterator[bytes]) -> None:
        if (context := Context.or_none()) is not None:
            context.without_deadline()
        found = await (await self._received(id, data))
        if isinstance(found, Err):
            raise error_of(found.value)


async def _closed(held: AsyncExitStack, what: str) -> None:
    """What became of the stream is not changed by a failure to let go of it."""
    try:
        await held.aclose()
    except Exception as error:
        log.warning("the rest of %s could not be removed: %s", what, error)


async def _nothing(page: Page) -> None:
    """A page is not held open."""


async def _send(reading: Reading, stream: Stream[bytes]) -> None:
    async for block in blocks(reading, READ):
        await stream.put(_pieces(block))


def _pieces(block: bytes) -> list[bytes]:
    return [block[at : at + PIECE] for at in range(0, len(block), PIECE)]


async def _receive(data: AsyncIterator[bytes], writing: Writing) -> None:
    # How long the stream may stand still is a limit of the stream itself (stream_timeout).
    async for piece in data:
        await writing.write(piece)
    await writing.commit()


def _all_removed(failures: dict[str, ProviderError]) -> None:
    """The first error, if there is one: the interface has room for one."""
    for name, error in failures.items():
        others = f"; {len(failures) - 1} others could not be removed either" if len(failures) > 1 else ""
        raise ProviderError.of(error.code, f"{shown(name)} was not removed: {error.message}{others}") from error


def _seconds(nanoseconds: int | None) -> int:
    return max(0, nanoseconds or 0) // 1_000_000_000
