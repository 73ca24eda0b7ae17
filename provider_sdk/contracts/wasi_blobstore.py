"""Objects in containers on 1.x hosts: the interface wrpc:blobstore in its two versions (wrpc-1x.md §5.3).

Components import it as wasi:blobstore, and links name it so. Hosts from 1.2 on call 0.2.0, and 0.1.0 where nobody serves that; older
ones know 0.1.0 alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass

from provider_sdk.interface import Interface, fails
from provider_sdk.types import U64, Err, Ok

CONTRACT = "wasi:blobstore"
"""What links and link keys call it."""

Outcome = Ok[None] | Err[str]
"""How a stream ended: what was to be done is done, or an error's text."""


@dataclass(frozen=True, slots=True)
class ObjectId:
    """An object's name, and that of the container that it is in."""

    container: str
    object: str


@dataclass(frozen=True, slots=True)
class ContainerMetadata:
    """`created_at` in seconds since 1970, 0 where nobody knows."""

    created_at: U64


@dataclass(frozen=True, slots=True)
class ObjectMetadata:
    """`created_at`, when the object was written last, in seconds since 1970, 0 where nobody knows; `size` in bytes."""

    created_at: U64
    size: U64


class _Objects(ABC):
    """What both versions have. Every function may fail with a text."""

    @abstractmethod
    @fails(str)
    async def clear_container(self, name: str) -> None:
        """Remove all objects of a container; NotFound."""

    @abstractmethod
    @fails(str)
    async def container_exists(self, name: str) -> bool:
        """Whether it is there."""

    @abstractmethod
    @fails(str)
    async def create_container(self, name: str) -> None:
        """Make it, if it is not there."""

    @abstractmethod
    @fails(str)
    async def delete_container(self, name: str) -> None:
        """Remove it with all that is in it; NotFound."""

    @abstractmethod
    @fails(str)
    async def get_container_info(self, name: str) -> ContainerMetadata:
        """When it was made; NotFound."""

    @abstractmethod
    @fails(str)
    async def copy_object(self, src: ObjectId, dest: ObjectId) -> None:
        """Put the object also under another name, in place of what is there; NotFound for the source, and for either container."""

    @abstractmethod
    @fails(str)
    async def move_object(self, src: ObjectId, dest: ObjectId) -> None:
        """As copy, and remove the source behind that; onto itself it stays."""

    @abstractmethod
    @fails(str)
    async def delete_object(self, id: ObjectId) -> None:
        """Remove it, if it is there; NotFound for the container."""

    @abstractmethod
    @fails(str)
    async def delete_objects(self, container: str, objects: list[str]) -> None:
        """Remove those that are there; where some cannot be, the others are, and the error says why. NotFound for the container."""

    @abstractmethod
    @fails(str)
    async def get_object_info(self, id: ObjectId) -> ObjectMetadata:
        """Its size, and when it was written; NotFound."""

    @abstractmethod
    @fails(str)
    async def has_object(self, id: ObjectId) -> bool:
        """Whether it is there."""


class WasiBlobstore(_Objects, Interface, wit="wrpc:blobstore/blobstore@0.2.0"):
    """Version 0.2.0: beside a stream goes a future that says how it ended."""

    @abstractmethod
    @fails(str)
    async def list_container_objects(
        self, name: str, limit: U64 | None, offset: U64 | None
    ) -> tuple[AsyncIterator[str], Awaitable[Outcome]]:
        """The names of the objects, at most `limit`, behind the first `offset`; NotFound for the container."""

    @abstractmethod
    @fails(str)
    async def get_container_data(self, id: ObjectId, start: U64, end: U64) -> tuple[AsyncIterator[bytes], Awaitable[Outcome]]:
        """The bytes from `start` up to `end`, that one not included, cut to what is there; NotFound.

        InvalidArgument where `start` is behind `end`.
        """

    @abstractmethod
    @fails(str)
    async def write_container_data(self, id: ObjectId, data: AsyncIterator[bytes]) -> Awaitable[Outcome]:
        """Put an object in place when all of `data` has come; NotFound for the container. The future says when that is done."""


class EarlyWasiBlobstore(_Objects, Interface, wit="wrpc:blobstore/blobstore@0.1.0"):
    """Version 0.1.0: a stream that breaks off is all that tells of an error in its middle."""

    @abstractmethod
    @fails(str)
    async def list_container_objects(self, name: str, limit: U64 | None, offset: U64 | None) -> AsyncIterator[str]:
        """The names of the objects, at most `limit`, behind the first `offset`; NotFound for the container."""

    @abstractmethod
    @fails(str)
    async def get_container_data(self, id: ObjectId, start: U64, end: U64) -> AsyncIterator[bytes]:
        """The bytes from `start` up to `end`, that one not included, cut to what is there; NotFound.

        InvalidArgument where `start` is behind `end`.
        """

    @abstractmethod
    @fails(str)
    async def write_container_data(self, id: ObjectId, data: AsyncIterator[bytes]) -> None:
        """Put an object in place when all of `data` has come; NotFound for the container."""
