"""Objects in containers, whole or in chunks: the contract blobstore (wasmbus-0x.md §8.8)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Annotated

from provider_sdk.interface import Interface
from provider_sdk.types import U32, U64, BareMember, Timestamp


@dataclass(frozen=True, slots=True)
class ContainerMetadata:
    """`created_at` is None where the store does not know."""

    container_id: str
    created_at: Timestamp | None = None


@dataclass(frozen=True, slots=True)
class ContainerObject:
    """One object by name. `container_id` is empty where a Rust host sent the bare name of an object."""

    container_id: str = ""
    object_id: str = ""


@dataclass(frozen=True, slots=True)
class ObjectMetadata:
    """`content_length` in bytes; the type is a MIME type, the encoding such as `gzip`; None where nobody gave one."""

    object_id: str
    container_id: str
    content_length: U64
    last_modified: Timestamp | None = None
    content_type: str | None = None
    content_encoding: str | None = None


@dataclass(frozen=True, slots=True)
class ListObjectsRequest:
    """Names from `start_with` on, itself included, up to `end_with` included or `end_before` excluded, in the order of their UTF-8 bytes.

    `continuation`, from the answer before, takes the place of `start_with`. At most `max_items`, by default 1000.
    """

    container_id: str
    start_with: str | None = None
    continuation: str | None = None
    end_with: str | None = None
    end_before: str | None = None
    max_items: U32 | None = None


@dataclass(frozen=True, slots=True)
class ListObjectsResponse:
    """`continuation` is there where `is_last` is false: ask again with it."""

    objects: list[ObjectMetadata]
    is_last: bool
    continuation: str | None = None


@dataclass(frozen=True, slots=True)
class RemoveObjectsRequest:
    """Objects of one container."""

    container_id: str
    objects: list[str]


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of one of several items."""

    key: str
    success: bool
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of an object (`bytes` on the wire), from `offset` on. `is_last` ends the object, or the range that was asked for."""

    object_id: str
    container_id: str
    data: bytes = field(metadata={"name": "bytes"})
    offset: U64 = 0
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class PutObjectRequest:
    """The first chunk, at offset 0, and what holds for the whole object."""

    chunk: Chunk
    content_type: str | None = None
    content_encoding: str | None = None


@dataclass(frozen=True, slots=True)
class PutObjectResponse:
    """`stream_id` is there where more chunks are expected, each with it."""

    stream_id: str | None = None


@dataclass(frozen=True, slots=True)
class PutChunkRequest:
    """The next chunk of an upload, or, with `cancel_and_remove`, its end without an object."""

    chunk: Chunk
    stream_id: str | None = None
    cancel_and_remove: bool = False


@dataclass(frozen=True, slots=True)
class GetObjectRequest:
    """A range in bytes, both ends included; without them from the beginning, to the end."""

    object_id: str
    container_id: str
    range_start: U64 | None = None
    range_end: U64 | None = None


@dataclass(frozen=True, slots=True)
class GetObjectResponse:
    """`content_length`: bytes of the whole answer, in `initial_chunk` and the chunks that follow it."""

    success: bool
    error: str | None = None
    initial_chunk: Chunk | None = None
    content_length: U64 = 0
    content_type: str | None = None
    content_encoding: str | None = None


@dataclass(frozen=True, slots=True)
class ChunkResponse:
    """Whether no more chunks are wanted."""

    cancel_download: bool = False


class Blobstore(Interface, contract="wasmcloud:blobstore", cbor=True):
    """Containers of objects. Names are text; those of objects may have slashes, which mean nothing.

    NotFound for what is not there, InvalidArgument for a name or a range that cannot be, PermissionDenied, Unavailable and
    ResourceExhausted as what stands behind says.
    """

    @abstractmethod
    async def container_exists(self, container_id: str) -> bool:
        """Whether there is such a container."""

    @abstractmethod
    async def create_container(self, container_id: str) -> None:
        """Make a container, if it is not there."""

    @abstractmethod
    async def get_container_info(self, container_id: str) -> ContainerMetadata:
        """What is known of a container; NotFound."""

    @abstractmethod
    async def list_containers(self) -> list[ContainerMetadata]:
        """All containers, in the order of their names."""

    @abstractmethod
    async def remove_containers(self, container_ids: list[str]) -> list[ItemResult]:
        """Remove containers with all that is in them. The result has those that could not be; one that is not there is no failure."""

    @abstractmethod
    async def delete_container(self, container_id: str) -> None:
        """Remove one container with all that is in it, as Rust hosts ask for components."""

    @abstractmethod
    async def object_exists(self, container_object: ContainerObject) -> bool:
        """Whether there is such an object."""

    @abstractmethod
    async def get_object_info(self, container_object: Annotated[ContainerObject, BareMember("object_id")]) -> ObjectMetadata:
        """What is known of an object; NotFound. The bare name of an object, as Rust hosts send for components, is read too."""

    @abstractmethod
    async def list_objects(self, request: ListObjectsRequest) -> ListObjectsResponse:
        """Objects of a container in the order of their names' bytes; NotFound for the container."""

    @abstractmethod
    async def remove_objects(self, request: RemoveObjectsRequest) -> list[ItemResult]:
        """Remove objects. The result has those that could not be; one that is not there is no failure."""

    @abstractmethod
    async def put_object(self, request: PutObjectRequest) -> PutObjectResponse:
        """Store an object whose only chunk this is (`is_last`), or begin an upload. It is seen when it is whole."""

    @abstractmethod
    async def put_chunk(self, request: PutChunkRequest) -> None:
        """Go on with an upload: chunks come in the order of their offsets, OutOfRange for another one."""

    @abstractmethod
    async def get_object(self, request: GetObjectRequest) -> GetObjectResponse:
        """An object or a range of it: the first chunk in the answer, the others by `ChunkReceiver`; NotFound.

        A range that begins behind the end is an empty last chunk; one that ends behind it ends with the object.
        """


class ChunkReceiver(Interface, contract="wasmcloud:blobstore", cbor=True):
    """What an actor answers that gets objects in several chunks."""

    @abstractmethod
    async def receive_chunk(self, chunk: Chunk) -> ChunkResponse:
        """Take the next chunk; they come in order, each after the answer to the one before."""
