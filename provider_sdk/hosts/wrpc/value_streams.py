"""Kinds of values whose content goes on a path of its own: streams and futures (wrpc-1x.md §4.1).

Written they are always pending, `00`, and the content follows: an empty stream has no other form. Read they may be whole, in place.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from functools import partial
from typing import Any

from provider_sdk.hosts.wrpc.channels import Pending
from provider_sdk.hosts.wrpc.value_bytes import Fault, Place, Reader, Writer, unsigned_leb
from provider_sdk.hosts.wrpc.value_compounds import Sequence
from provider_sdk.hosts.wrpc.value_incoming import IncomingBytes, IncomingItems, IncomingValue
from provider_sdk.hosts.wrpc.value_kinds import Blob, Kind

AT_ONCE = 256
HALF_COUNT = b"\x80"
"""Behind a stream that breaks off. A channel that ends between two lists passes for a whole stream with the hosts, one that ends inside a
number does not."""
_END = object()


class Stream(Kind):
    """What streams share. In place they are `whole`, if that is not empty; `tagged`, as v1.0 has it, with 01 before it."""

    deferred = True
    hashable = False

    def __init__(self, whole: Kind, tagged: bool) -> None:
        self.whole, self.tagged = whole, tagged

    @abstractmethod
    def incoming(self, place: Place, ready: Any) -> IncomingBytes | IncomingItems:
        """The stream as its reader sees it; `ready` is its content, or None where that comes later."""

    @abstractmethod
    def content(self, source: Any, place: Place, pending: list[Pending], limit: int) -> AsyncIterator[bytes]:
        """Its lists, in pieces of at most `limit` bytes, without the empty one that ends it."""

    async def pieces(self, source: Any, place: Place, pending: list[Pending], limit: int) -> AsyncGenerator[bytes, None]:
        """All that is sent."""
        try:
            async for piece in self.content(source, place, pending, limit):
                yield piece
        finally:
            await _close(source)
        yield b"\x00"

    def read(self, reader: Reader) -> Any:
        reader.stream()
        inline = self._inline(reader)
        stream = self.incoming(reader.place, inline)
        if inline is None:
            reader.waiting.append(stream)
        return stream

    def _inline(self, reader: Reader) -> Any:
        if self.tagged:
            return self.whole.read(reader) if reader.choice() else None
        return self.whole.read(reader) or None

    def write(self, writer: Writer, value: Any) -> None:
        if not hasattr(value, "__aiter__"):
            raise self.wrong(value)
        writer.append(b"\x00")
        writer.pending.append(Pending(writer.place.path, partial(self.pieces, value, writer.place, writer.pending), value, HALF_COUNT))

    def paths(self) -> tuple[str, ...]:
        return ("",)


class ByteStream(Stream):
    """`AsyncIterator[bytes]`: stream<u8>."""

    name = "an async iterator of bytes"

    def __init__(self, tagged: bool) -> None:
        super().__init__(Blob(), tagged)

    def incoming(self, place: Place, ready: Any) -> IncomingBytes:
        return IncomingBytes(place, ready or b"")

    async def content(self, source: Any, place: Place, pending: list[Pending], limit: int) -> AsyncIterator[bytes]:
        room = max(1, limit - len(unsigned_leb(limit)))
        async for chunk in source:
            if not isinstance(chunk, bytes | bytearray | memoryview):
                raise place.error(Fault(f"expected bytes, got {type(chunk).__name__}"))
            view = memoryview(chunk).cast("B")
            for start in range(0, len(view), room):
                part = view[start : start + room]
                for piece in _cut(b"".join((unsigned_leb(len(part)), part)), limit):
                    yield piece


class ItemStream(Stream):
    """`AsyncIterator[T]`: stream<T>, sent in lists of what is there when a list is begun."""

    name = "an async iterator"

    def __init__(self, item: Kind, tagged: bool) -> None:
        super().__init__(Sequence(item, list), tagged)
        self.item = item

    def incoming(self, place: Place, ready: Any) -> IncomingItems:
        return IncomingItems(place, self.item, ready or [])

    async def content(self, source: Any, place: Place, pending: list[Pending], limit: int) -> AsyncIterator[bytes]:
        number = 0
        async with aclosing(_batches(source)) as batches:
            async for batch in batches:
                parts = [unsigned_leb(len(batch))]
                for item in batch:
                    parts += _written(self.item, item, place.step(number, f"[{number}]"), pending)
                    number += 1
                for piece in _cut(b"".join(parts), limit):
                    yield piece


class Future(Kind):
    """`Awaitable[T]`: 00 and T on its own path, without a prefix; or 01 and T in place."""

    name = "an awaitable"
    deferred = True
    hashable = False

    def __init__(self, inner: Kind) -> None:
        self.inner = inner

    def read(self, reader: Reader) -> Any:
        reader.stream()
        future = IncomingValue(reader.place, self.inner)
        if reader.choice():
            future.settle(self.inner.read(reader))
        else:
            reader.waiting.append(future)
        return future

    def write(self, writer: Writer, value: Any) -> None:
        if not hasattr(value, "__await__"):
            raise self.wrong(value)
        writer.append(b"\x00")
        cut = HALF_COUNT if "" in self.inner.paths() else b""
        writer.pending.append(Pending(writer.place.path, partial(self.pieces, value, writer.place, writer.pending), value, cut))

    async def pieces(self, source: Any, place: Place, pending: list[Pending], limit: int) -> AsyncGenerator[bytes, None]:
        """The value, and behind it the content of a stream or future that the value itself is: those have the same path."""
        value, begun = await source, len(pending)
        writer = _written(self.inner, value, place, pending)
        own = [later for later in pending[begun:] if later.path == place.path]
        pending[begun:] = [later for later in pending[begun:] if later.path != place.path]
        for piece in _cut(b"".join(writer), limit):
            yield piece
        for later in own:
            async with aclosing(later.pieces(limit)) as pieces:
                async for piece in pieces:
                    yield piece

    def paths(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(("", *self.inner.paths())))


def _written(kind: Kind, value: Any, place: Place, pending: list[Pending]) -> Writer:
    writer = Writer(place, pending)
    try:
        kind.write(writer, value)
    except Fault as fault:
        raise place.error(fault) from None
    return writer


def _cut(data: bytes, limit: int) -> Iterator[bytes]:
    """In pieces of at most `limit` bytes. Of several the last is not a single byte: HALF_COUNT would pass for it."""
    start, end = 0, limit - 1 if len(data) % limit == 1 else limit
    while start < len(data):
        yield data[start:end]
        start, end = end, end + limit


async def _batches(source: AsyncIterator[Any]) -> AsyncGenerator[list[Any], None]:
    """Items as many at a time as are there, at most AT_ONCE: none waits for one that is not there yet."""
    ready: asyncio.Queue[Any] = asyncio.Queue(AT_ONCE)

    async def fill() -> None:
        try:
            async for item in source:
                await ready.put(item)
        finally:
            await ready.put(_END)

    filling = asyncio.create_task(fill(), name="stream items")
    try:
        ended = False
        while not ended:
            batch = [await ready.get()]
            while not ready.empty():
                batch.append(ready.get_nowait())
            if batch[-1] is _END:
                ended = True
                batch.pop()
            if batch:
                yield batch
        await filling
    finally:
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)


async def _close(source: Any) -> None:
    close = getattr(source, "aclose", None)
    if close is not None:
        await close()
