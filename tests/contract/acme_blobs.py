"""A blobstore of somebody else's, as small as one can be: what the suite is tried on. It answers in one chunk, and forgets."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import count

from provider_sdk import InvalidArgument, NotFound, OutOfRange
from provider_sdk.contracts.blobstore import (
    Blobstore,
    Chunk,
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


@dataclass
class Kept:
    data: bytes
    info: ObjectMetadata


@dataclass
class Upload:
    request: PutObjectRequest
    data: bytes


class AcmeBlobs(Blobstore):
    """Containers by name, in each objects by name. No operation waits, so each is atomic."""

    def __init__(self) -> None:
        self.containers: dict[str, dict[str, Kept]] = {}
        self.uploads: dict[str, Upload] = {}
        self.ids = count()

    def container(self, name: str, longest: int = 255) -> dict[str, Kept]:
        self.named(name, longest)
        if name not in self.containers:
            raise NotFound(f"no container {name!a}")
        return self.containers[name]

    def named(self, name: str, longest: int) -> None:
        if not 0 < len(name.encode()) <= longest:
            raise InvalidArgument(f"a name has 1 to {longest} bytes: {name[:50]!a}")

    def kept(self, container: str, name: str) -> Kept:
        self.named(name, 1024)
        if name not in self.container(container):
            raise NotFound(f"no object {name!a} in {container!a}")
        return self.containers[container][name]

    def keep(self, request: PutObjectRequest, data: bytes) -> None:
        chunk = request.chunk
        now = Timestamp(*divmod(time.time_ns(), 1_000_000_000))
        details = request.content_type or None, request.content_encoding or None
        info = ObjectMetadata(chunk.object_id, chunk.container_id, len(data), now, *details)
        self.container(chunk.container_id)[chunk.object_id] = Kept(data, info)

    async def container_exists(self, container_id: str) -> bool:
        self.named(container_id, 255)
        return container_id in self.containers

    async def create_container(self, container_id: str) -> None:
        self.named(container_id, 255)
        self.containers.setdefault(container_id, {})

    async def get_container_info(self, container_id: str) -> ContainerMetadata:
        self.container(container_id)
        return ContainerMetadata(container_id)

    async def list_containers(self) -> list[ContainerMetadata]:
        return [ContainerMetadata(name) for name in sorted(self.containers, key=str.encode)]

    async def remove_containers(self, container_ids: list[str]) -> list[ItemResult]:
        bad = [name for name in container_ids if not 0 < len(name.encode()) <= 255]
        for name in container_ids:
            self.containers.pop(name, None)
        return [ItemResult(name, success=False, error="no such name") for name in bad]

    async def delete_container(self, container_id: str) -> None:
        self.named(container_id, 255)
        self.containers.pop(container_id, None)

    async def object_exists(self, container_object: ContainerObject) -> bool:
        self.named(container_object.object_id, 1024)
        return container_object.object_id in self.containers.get(container_object.container_id, {})

    async def get_object_info(self, container_object: ContainerObject) -> ObjectMetadata:
        return self.kept(container_object.container_id, container_object.object_id).info

    async def list_objects(self, request: ListObjectsRequest) -> ListObjectsResponse:
        held = self.container(request.container_id)
        first = f"{request.continuation}\0" if request.continuation else request.start_with or ""
        names = sorted((name for name in held if name.encode() >= first.encode()), key=str.encode)
        if request.end_with:
            names = [name for name in names if name.encode() <= request.end_with.encode()]
        if request.end_before:
            names = [name for name in names if name.encode() < request.end_before.encode()]
        most = request.max_items or 1000
        page = [held[name].info for name in names[:most]]
        more = len(names) > most
        return ListObjectsResponse(page, is_last=not more, continuation=page[-1].object_id if more else None)

    async def remove_objects(self, request: RemoveObjectsRequest) -> list[ItemResult]:
        held = self.container(request.container_id)
        bad = [name for name in request.objects if not 0 < len(name.encode()) <= 1024]
        for name in request.objects:
            held.pop(name, None)
        return [ItemResult(name, success=False, error="no such name") for name in bad]

    async def put_object(self, request: PutObjectRequest) -> PutObjectResponse:
        chunk = request.chunk
        self.named(chunk.object_id, 1024)
        self.container(chunk.container_id)
        if chunk.offset:
            raise InvalidArgument("the first chunk begins at 0")
        if chunk.is_last:
            self.keep(request, chunk.data)
            return PutObjectResponse()
        stream_id = f"upload {next(self.ids)}"
        self.uploads[stream_id] = Upload(request, chunk.data)
        return PutObjectResponse(stream_id)

    def upload(self, request: PutChunkRequest) -> str:
        place = request.chunk.container_id, request.chunk.object_id
        held = ((key, upload.request.chunk) for key, upload in self.uploads.items())
        ids = [key for key, chunk in held if (chunk.container_id, chunk.object_id) == place and (request.stream_id or key) == key]
        if len(ids) != 1:
            raise NotFound(f"{len(ids)} uploads may be meant")
        return ids[0]

    async def put_chunk(self, request: PutChunkRequest) -> None:
        stream_id, chunk = self.upload(request), request.chunk
        if request.cancel_and_remove:
            del self.uploads[stream_id]
            return
        upload = self.uploads[stream_id]
        if chunk.offset != len(upload.data):
            raise OutOfRange(f"the next chunk begins at {len(upload.data)}")
        upload.data += chunk.data
        if chunk.is_last:
            del self.uploads[stream_id]
            self.keep(upload.request, upload.data)

    def cut(self, data: bytes, start: int, end: int | None) -> bytes:
        return data[start:] if end is None else data[start : end + 1]

    async def get_object(self, request: GetObjectRequest) -> GetObjectResponse:
        kept = self.kept(request.container_id, request.object_id)
        start, end = request.range_start or 0, request.range_end
        if end is not None and end < start:
            raise InvalidArgument("a range ends before it begins")
        data = self.cut(kept.data, start, end)
        chunk = Chunk(request.object_id, request.container_id, data, start, is_last=True)
        answer = GetObjectResponse(success=True, initial_chunk=chunk, content_length=len(data))
        return replace(answer, content_type=kept.info.content_type, content_encoding=kept.info.content_encoding)
