"""What stands behind the blobstore: objects in containers, read and written as streams.

A `Store` is what several links share (a pool of threads, a client); a `Backend` is what one link sees of it. Whoever adds a backend writes
both in one file below `backends/` and proves them with the conformance suite.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from provider_sdk import InvalidArgument, NotFound, ProviderError, Unavailable

LONGEST_NAME = 1024
"""Bytes of UTF-8 in the name of an object, as in S3."""
LONGEST_CONTAINER = 255
LONGEST_SEGMENT = 255


class Capability(StrEnum):
    """In what backends differ, and cannot help it."""

    ANY_NAME = "any-name"
    """Names of objects may have empty segments, `.` and `..` between slashes, control characters, and segments over 255 bytes."""
    ANY_CONTAINER = "any-container"
    """Names of containers may be any text; without it, those of buckets: 3 to 63 of a–z, 0–9, dot and hyphen."""
    SIDE_BY_SIDE = "side-by-side"
    """`a` and `a/b` can both be there. Without it a server may refuse the second."""


EVERYTHING = frozenset(Capability)


@dataclass(frozen=True, slots=True)
class Details:
    """What an object carries beside its bytes: MIME type, and encoding such as `gzip`."""

    content_type: str | None = None
    content_encoding: str | None = None


NO_DETAILS = Details()


@dataclass(frozen=True, slots=True)
class ContainerInfo:
    """`created` in nanoseconds since 1970, None where nobody knows."""

    name: str
    created: int | None = None


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """`size` in bytes, `modified` in nanoseconds since 1970. Listings leave the details out."""

    name: str
    size: int
    modified: int | None = None
    details: Details = NO_DETAILS


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a listing, in the order of the names' UTF-8 bytes; `more`: there are others behind the last."""

    objects: list[ObjectInfo]
    more: bool


class Reading(ABC):
    """One version of an object, or a range of it, however long the reading takes and whatever becomes of the object meanwhile.

    `first` has the bytes that were asked for along with opening, from `start` on; `read` gives those behind them. `length` counts the bytes
    of the range, those of `first` included.
    """

    info: ObjectInfo
    start: int
    length: int
    first: bytes

    @abstractmethod
    async def read(self, size: int) -> bytes:
        """The next bytes of the range, at most `size`, nothing at its end. Unavailable where the object is gone or cannot be reached."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of it; may be done twice."""


class Writing(ABC):
    """An object on its way: seen by nobody until `commit`."""

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Append. After an error, only `abort` is left."""

    @abstractmethod
    async def commit(self) -> None:
        """Put the object in place of whatever is there, as a whole, and for good."""

    @abstractmethod
    async def abort(self) -> None:
        """Leave nothing; may be done twice, and after commit, when it does nothing."""


First = Callable[[int], int]
"""Of a range of that length, how many bytes are wanted along with opening."""
Named = tuple[str, str]
"""A container and the name of an object in it."""
COPIED = 1 << 20
"""Bytes of a copy in memory."""


class Backend(ABC):
    """What one link sees. Names have been checked by `checked_container` and `checked_object`.

    Errors: NotFound by `no_container` and `no_object`, PermissionDenied, ResourceExhausted (disk full), Unavailable while what stands
    behind cannot be reached; the vendor's exception is the `__cause__`.
    """

    capabilities: frozenset[Capability] = EVERYTHING

    @abstractmethod
    async def containers(self) -> list[ContainerInfo]:
        """All, in the order of their names' UTF-8 bytes."""

    @abstractmethod
    async def container(self, name: str) -> ContainerInfo:
        """One; NotFound."""

    @abstractmethod
    async def create_container(self, name: str) -> None:
        """Make it, if it is not there."""

    @abstractmethod
    async def remove_container(self, name: str) -> None:
        """Remove it with all that is in it; nothing where it is not there."""

    @abstractmethod
    async def info(self, container: str, name: str) -> ObjectInfo:
        """One object with its details; NotFound."""

    @abstractmethod
    async def objects(self, container: str, *, prefix: str = "", start: str = "", after: str = "", most: int = 1000) -> Page:
        """Objects whose names begin with `prefix`, from `start` on, itself included, and behind `after`; NotFound for the container."""

    @abstractmethod
    async def remove(self, container: str, names: Sequence[str]) -> dict[str, ProviderError]:
        """Remove objects; those that could not be, and why. One that is not there counts as removed. NotFound for the container."""

    @abstractmethod
    async def open(self, container: str, name: str, start: int, end: int | None, first: First) -> Reading:
        """Read from `start` to `end`, both included, cut to what is there; nothing where `start` is behind the end. NotFound."""

    @abstractmethod
    async def create(self, container: str, name: str, details: Details, size: int | None = None) -> Writing:
        """Begin to write an object, of `size` bytes where that is known. NotFound for the container."""

    async def put(self, container: str, name: str, data: bytes, details: Details) -> None:
        """Write a whole object."""
        writing = await self.create(container, name, details, len(data))
        try:
            await writing.write(data)
            await writing.commit()
        finally:
            await writing.abort()

    async def copy(self, source: Named, target: Named) -> None:
        """Put an object, with its details, also under another name; NotFound. By default all of it is read and written."""
        reading = await self.open(*source, 0, None, lambda length: min(length, COPIED))
        try:
            writing = await self.create(*target, reading.info.details, reading.length)
            try:
                async for block in blocks(reading, COPIED):
                    await writing.write(block)
                await writing.commit()
            finally:
                await writing.abort()
        finally:
            await reading.close()


class Store(ABC):
    """What the links on one place share. It connects at first use, and again by itself."""

    @abstractmethod
    def view(self, scope: str) -> Backend:
        """What is below a scope, such as the key of an actor; the empty one is all of the store."""

    @abstractmethod
    async def trouble(self) -> str:
        """A line that says what is wrong, empty where all is well: for health, so within half a second."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of everything."""


def span(start: int, end: int | None, size: int) -> int:
    """How many bytes of an object of `size` lie from `start` to `end`, both included."""
    last = size - 1 if end is None else min(end, size - 1)
    return max(0, last - start + 1)


async def blocks(reading: Reading, size: int) -> AsyncIterator[bytes]:
    """All of a reading: its first bytes, then blocks of at most `size`. Unavailable where they are fewer than was said."""
    count, block, reading.first = 0, reading.first, b""
    while count < reading.length:
        block = block or await reading.read(size)
        if not block:
            raise Unavailable(f"{shown(reading.info.name)} ended after {count} of {reading.length} bytes: something else has changed it")
        count += len(block)
        yield block
        block = b""


def no_container(name: str) -> NotFound:
    """There is no such container."""
    return NotFound(f"there is no container {shown(name)}")


def no_object(container: str, name: str) -> NotFound:
    """There is no such object."""
    return NotFound(f"there is no object {shown(name)} in the container {shown(container)}")


def shown(name: str) -> str:
    """A name as a message shows it: quoted, cut, one line."""
    return ascii(name if len(name) <= 80 else f"{name[:80]}…")


def checked_container(name: str, capabilities: frozenset[Capability]) -> str:
    """The name of a container; InvalidArgument for one that cannot be."""
    size = _size(name, "container")
    if Capability.ANY_CONTAINER not in capabilities:
        good = 3 <= size <= 63 and all(c in "abcdefghijklmnopqrstuvwxyz0123456789.-" for c in name)
        if not good or name[0] in ".-" or name[-1] in ".-" or ".." in name:
            raise InvalidArgument(
                f"{shown(name)} cannot be the name of a bucket: 3 to 63 of a-z, 0-9, '.' and '-', a letter or digit at both ends"
            )
    elif size > LONGEST_CONTAINER:
        raise InvalidArgument(f"the name of the container {shown(name)} has {size} bytes, more than {LONGEST_CONTAINER}")
    return name


def checked_object(name: str, capabilities: frozenset[Capability]) -> str:
    """The name of an object; InvalidArgument for one that cannot be."""
    size = _size(name, "object")
    if size > LONGEST_NAME:
        raise InvalidArgument(f"the name of the object {shown(name)} has {size} bytes, more than {LONGEST_NAME}")
    if Capability.ANY_NAME not in capabilities:
        for segment in name.split("/"):
            # With spaces around them, minio takes dots for a path too.
            dots = not segment or segment.strip() in (".", "..")
            if dots or len(segment.encode()) > LONGEST_SEGMENT or any(c < " " or c == "\x7f" for c in segment):
                raise InvalidArgument(
                    f"the object {shown(name)}: this store takes no names with empty, '.' or '..' parts between slashes, "
                    f"control characters, or parts over {LONGEST_SEGMENT} bytes"
                )
    return name


def _size(name: str, what: str) -> int:
    if not name:
        raise InvalidArgument(f"the name of the {what} is empty")
    try:
        return len(name.encode())
    except UnicodeEncodeError:
        raise InvalidArgument(f"the name of the {what} is no text (UTF-8): {shown(name)}") from None
