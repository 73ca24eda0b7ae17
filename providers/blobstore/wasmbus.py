"""The 0.x contract on a backend (wasmbus-0x.md §8.8): names, ranges and pages as it has them, streams in chunks."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress

from provider_sdk import InvalidArgument, NotFound, PermissionDenied, ProviderError, ResourceExhausted
from provider_sdk.contracts.blobstore import (
    Blobstore,
    Chunk,
    ChunkReceiver,
    ContainerMetadata,
    ContainerObject,
    GetObjectRequest,
    GetObjectResponse,
    ItemResult,
    ListObjectsRequest,
    ListObjectsResponse,
    ObjectMetadata,
    PutChunkRequest,
    PutObjectRequest,
    PutObjectResponse,
    RemoveObjectsRequest,
)
from provider_sdk.types import Timestamp
from providers.blobstore.backend import (
    ContainerInfo,
    Details,
    First,
    ObjectInfo,
    Reading,
    checked_object,
    shown,
)
from providers.blobstore.downloads import Download
from providers.blobstore.linked import LinkedStore
from providers.blobstore.uploads import Upload

MOST_ITEMS = 1000
FIRST, FIRST_OF_RANGE, FOLLOWING = 1 << 20, 16 << 20, 512 << 10


class ActorBlobstore(Blobstore):
    """What one link answers. `receiver` gets the chunks behind the first of an answer."""

    def __init__(self, linked: LinkedStore, receiver: ChunkReceiver) -> None:
        self._linked = linked
        self._key, self._config, self._backend, self._streams = linked.key, linked.config, linked.backend, linked.streams
        self._receiver = receiver

    async def container_exists(self, container_id: str) -> bool:
        return await self._linked.container_exists(container_id)

    async def create_container(self, container_id: str) -> None:
        await self._backend.create_container(self._linked.container(container_id))

    async def get_container_info(self, container_id: str) -> ContainerMetadata:
        info = await self._backend.container(self._linked.container(container_id))
        return ContainerMetadata(container_id, _moment(info.created))

    async def list_containers(self) -> list[ContainerMetadata]:
        return [_container_metadata(info) for info in await self._backend.containers()]

    async def remove_containers(self, container_ids: list[str]) -> list[ItemResult]:
        failures = []
        for container_id in container_ids:
            try:
                await self.delete_container(container_id)
            except ProviderError as error:
                failures.append(ItemResult(container_id, success=False, error=error.message))
        return failures

    async def delete_container(self, container_id: str) -> None:
        await self._backend.remove_container(self._linked.container(container_id))

    async def object_exists(self, container_object: ContainerObject) -> bool:
        try:
            await self.get_object_info(container_object)
        except NotFound:
            return False
        return True

    async def get_object_info(self, container_object: ContainerObject) -> ObjectMetadata:
        if not container_object.container_id:
            return await self._somewhere(container_object.object_id)
        container, name = self._linked.object(container_object.container_id, container_object.object_id)
        return _object_metadata(container_object.container_id, await self._backend.info(container, name))

    async def list_objects(self, request: ListObjectsRequest) -> ListObjectsResponse:
        container = self._linked.container(request.container_id)
        # Empty text and 0 are what the senders of some languages write for what is not there.
        most = request.max_items or MOST_ITEMS
        start, after = ("", request.continuation) if request.continuation else (request.start_with or "", "")
        found: list[ObjectInfo] = []
        while True:
            page = await self._backend.objects(container, start=start, after=after, most=min(MOST_ITEMS, most - len(found) + 1))
            for info in page.objects:
                if _behind(info.name, request):
                    return self._page(request, found, more=False)
                if len(found) == most:
                    return self._page(request, found, more=True)
                found.append(info)
            if not page.more or not page.objects:
                return self._page(request, found, more=False)
            after = page.objects[-1].name

    def _page(self, request: ListObjectsRequest, found: list[ObjectInfo], *, more: bool) -> ListObjectsResponse:
        token = found[-1].name if more and found else None
        return ListObjectsResponse([_object_metadata(request.container_id, info) for info in found], is_last=not more, continuation=token)

    async def remove_objects(self, request: RemoveObjectsRequest) -> list[ItemResult]:
        failures = await self._linked.remove(request.container_id, request.objects)
        return [ItemResult(name, success=False, error=error.message) for name, error in failures.items()]

    async def put_object(self, request: PutObjectRequest) -> PutObjectResponse:
        chunk = request.chunk
        container, name = self._linked.object(chunk.container_id, chunk.object_id)
        if chunk.offset:
            raise InvalidArgument(f"the first chunk of {shown(name)} begins at 0, and this one at {chunk.offset}")
        details = Details(request.content_type or None, request.content_encoding or None)
        if chunk.is_last:
            await self._streams.tasks.finish(self._put(container, name, chunk.data, details))
            return PutObjectResponse()
        uploads = self._streams.uploads
        with uploads.place(self._key, self._config.max_streams):
            begun = self._begun(container, name, details, chunk.container_id)
            upload = await self._streams.tasks.finish(begun, lambda upload: upload.held.aclose())
            await self._linked.still_linked(upload.held)
            uploads.add(upload, self._config.upload_timeout)
        await uploads.first(upload, chunk.data)
        return PutObjectResponse(upload.id)

    async def _put(self, container: str, name: str, data: bytes, details: Details) -> None:
        async with self._linked.holding():
            await self._backend.put(container, name, data, details)

    async def _begun(self, container: str, name: str, details: Details, called: str) -> Upload:
        async with self._linked.holding() as held:
            writing = await self._backend.create(container, name, details)
            held.push_async_callback(writing.abort)
            return Upload(self._key, called, name, writing, held.pop_all())

    async def put_chunk(self, request: PutChunkRequest) -> None:
        chunk, uploads = request.chunk, self._streams.uploads
        upload = uploads.find(self._key, request.stream_id or None, chunk.container_id, chunk.object_id)
        if request.cancel_and_remove:
            await uploads.cancel(upload)
        else:
            await uploads.go_on(upload, chunk.offset, chunk.data, last=chunk.is_last)

    async def get_object(self, request: GetObjectRequest) -> GetObjectResponse:
        container, name = self._linked.object(request.container_id, request.object_id)
        start, end = request.range_start or 0, request.range_end
        if end is not None and end < start:
            raise InvalidArgument(f"the range of {shown(name)} ends at {end}, before it begins at {start}")
        whole = request.range_start is not None and end is not None
        opened = self._opened(container, name, start, end, lambda length: self._first(length, whole=whole))
        reading, held = await self._streams.tasks.finish(opened, lambda pair: pair[1].aclose())
        answer = _answer(request, reading, start)
        if len(reading.first) < reading.length:
            await self._linked.still_linked(held)
            try:
                self._streams.downloads.room(self._key, self._config.max_streams)
            except ResourceExhausted:
                await self._streams.tasks.finish(held.aclose())
                raise
            size = min(self._config.max_chunk_size or FOLLOWING, FOLLOWING)
            download = Download(self._key, request.container_id, request.object_id, reading, self._receiver, size, held)
            self._streams.downloads.start(download)
        return answer

    async def _opened(self, container: str, name: str, start: int, end: int | None, first: First) -> tuple[Reading, AsyncExitStack]:
        """A reading, and what closes it, which is done already where its first bytes are all."""
        async with self._linked.holding() as held:
            reading = await self._backend.open(container, name, start, end, first)
            held.push_async_callback(reading.close)
            return reading, held.pop_all() if len(reading.first) < reading.length else AsyncExitStack()

    def _first(self, length: int, *, whole: bool) -> int:
        """Bytes of the first chunk: all, up to a limit, or so many that the answer is one message and goes before the chunks behind it.

        Rust hosts name both ends for components, and read no further chunk (§8.8).
        """
        limit = self._config.max_chunk_size or (FIRST_OF_RANGE if whole else FIRST)
        return length if length <= limit else min(limit, FOLLOWING)

    async def _somewhere(self, object_id: str) -> ObjectMetadata:
        """The object of that name, in whichever container that may be read: Rust hosts leave the container out (§8.8)."""
        name = checked_object(object_id, self._backend.capabilities)
        found = []
        for container in await self._backend.containers():
            with suppress(NotFound, PermissionDenied):
                found.append(_object_metadata(container.name, await self._backend.info(container.name, name)))
        if len(found) == 1:
            return found[0]
        if not found:
            raise NotFound(f"there is no object {shown(name)} in any container, and none is named")
        raise InvalidArgument(f"the container of {shown(name)} is not named, and it is in {len(found)} of them")


def _answer(request: GetObjectRequest, reading: Reading, start: int) -> GetObjectResponse:
    last = len(reading.first) == reading.length
    chunk = Chunk(request.object_id, request.container_id, reading.first, start if reading.length else 0, is_last=last)
    details = reading.info.details
    return GetObjectResponse(
        success=True,
        initial_chunk=chunk,
        content_length=reading.length,
        content_type=details.content_type,
        content_encoding=details.content_encoding,
    )


def _behind(name: str, request: ListObjectsRequest) -> bool:
    key = name.encode()
    if request.end_with and key > request.end_with.encode():
        return True
    return bool(request.end_before) and key >= str(request.end_before).encode()


def _moment(nanoseconds: int | None) -> Timestamp | None:
    return None if nanoseconds is None else Timestamp(*divmod(nanoseconds, 1_000_000_000))


def _container_metadata(info: ContainerInfo) -> ContainerMetadata:
    return ContainerMetadata(info.name, _moment(info.created))


def _object_metadata(container_id: str, info: ObjectInfo) -> ObjectMetadata:
    details = info.details
    return ObjectMetadata(info.name, container_id, info.size, _moment(info.modified), details.content_type, details.content_encoding)
