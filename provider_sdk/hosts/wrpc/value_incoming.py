"""Streams and futures as they come (wrpc-1x.md §3.2 rule 6, §4.1): what a decoded value holds in their place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from provider_sdk.errors import ProviderError, ResourceExhausted, Unavailable
from provider_sdk.hosts.wrpc.channels import Channel, Channels
from provider_sdk.hosts.wrpc.value_bytes import Fault, Incomplete, Place, Reader
from provider_sdk.hosts.wrpc.value_kinds import Kind, Unsigned
from provider_sdk.types import Integer

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of a stream's item or a future's value: these stand in memory, while a stream of bytes passes through.
LARGEST_VALUE = 64 << 20
COUNT = Unsigned(Integer(32, signed=False))


class Feed:
    """A channel's bytes that were read and not used yet; `place` is that of the stream or future whose content they are."""

    __slots__ = ("_at", "_channel", "_data", "_held", "_more", "_ours", "_place", "loop")

    def __init__(self, channel: Channel, place: Place, data: bytes = b"") -> None:
        self.loop = asyncio.get_running_loop()
        self._channel = channel
        self._place = place
        self._ours = True
        self._data = data
        self._at = 0
        self._more: list[bytes] = []
        self._held = 0

    async def value(self, kind: Kind, place: Place, channels: Channels) -> Any:
        """The next value, which stands at `place`. Streams and futures in it are given their channels: this one, if they share its path."""
        while True:
            reader = Reader(self._data, place, self._at)
            try:
                value = kind.read(reader)
            except Incomplete as cut:
                await self._gather(self._bounded(cut.missing))
                continue
            except Fault as fault:
                raise place.error(fault) from None
            self._at = reader.at
            for waiting in reader.waiting:
                waiting.attach(self._passed_on() if waiting.place.path == self._place.path else None, channels)
            return value

    async def piece(self, most: int) -> bytes:
        """One to `most` bytes, as they come."""
        if self._at == len(self._data):
            await self._gather(1)
        piece = self._data[self._at : self._at + most]
        self._at += len(piece)
        return piece

    async def arrival(self) -> None:
        """Waits until something has come, or the end."""
        await self._channel.read()

    def close(self) -> None:
        """Nobody wants the rest."""
        if self._ours:
            self._channel.close()

    def _passed_on(self) -> Feed:
        self._ours = False
        return Feed(self._channel, self._place, self._data[self._at :])

    def _bounded(self, missing: int) -> int:
        if len(self._data) - self._at + missing > LARGEST_VALUE:
            raise ResourceExhausted(f"{self._place.label}: a value of more than {LARGEST_VALUE} bytes")
        return missing

    async def _gather(self, missing: int) -> None:
        # What was read is kept in the object, for whoever waits here may be cancelled and come again.
        while self._held < missing:
            data = await self._channel.read()
            if not data:
                raise Unavailable(f"{self._place.label}: the stream broke off")
            self._more.append(data)
            self._held += len(data)
        rest = [self._data[self._at :]] if self._at < len(self._data) else []
        self._data = b"".join(rest + self._more)
        self._at, self._more, self._held = 0, [], 0


class IncomingContent:
    """What streams and futures share: the channel, which is closed when they are done, closed or forgotten."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._feed: Feed | None = None
        self._channels: Channels | None = None

    def attach(self, feed: Feed | None, channels: Channels) -> None:
        """Where the content comes: what is left of another's, None for the channel of its own path."""
        self._feed = feed or Feed(channels.open(self.place.path), self.place)
        self._channels = channels

    def close(self) -> None:
        """Nobody wants the rest. May be called again."""
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.close()

    async def aclose(self) -> None:
        """As `close`."""
        self.close()

    def __del__(self) -> None:
        feed, self._feed = self._feed, None
        if feed is not None:
            with suppress(RuntimeError):  # the loop is closed
                # Cycles are found in whatever thread allocates.
                feed.loop.call_soon_threadsafe(feed.close)


class IncomingItems(IncomingContent, AsyncIterator[Any]):
    """A `stream<T>`: its items one by one. It ends with an empty list; a channel that ends before has broken off."""

    def __init__(self, place: Place, item: Kind, ready: list[Any]) -> None:
        super().__init__(place)
        self._item = item
        self._ready: Iterator[Any] = iter(ready)
        self._left = 0
        self._number = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        for item in self._ready:
            return item
        feed, channels = self._feed, self._channels
        if feed is None or channels is None:
            raise StopAsyncIteration
        if not self._left:
            self._left = await feed.value(COUNT, self.place, channels)
            if not self._left:
                self.close()
                raise StopAsyncIteration
        item = await feed.value(self._item, self.place.step(self._number, f"[{self._number}]"), channels)
        self._left -= 1
        self._number += 1
        return item


class IncomingBytes(IncomingContent, AsyncIterator[bytes]):
    """A `stream<u8>`: its bytes in pieces, as they come; whole messages without a copy where their borders allow."""

    def __init__(self, place: Place, ready: bytes) -> None:
        super().__init__(place)
        self._ready = ready
        self._left = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._ready:
            ready, self._ready = self._ready, b""
            return ready
        feed, channels = self._feed, self._channels
        if feed is None or channels is None:
            raise StopAsyncIteration
        if not self._left:
            self._left = await feed.value(COUNT, self.place, channels)
            if not self._left:
                self.close()
                raise StopAsyncIteration
        piece = await feed.piece(self._left)
        self._left -= len(piece)
        return piece


class IncomingValue(IncomingContent, Awaitable[Any]):
    """A `future<T>`: its value or its error, however often it is awaited."""

    def __init__(self, place: Place, kind: Kind) -> None:
        super().__init__(place)
        self._kind = kind
        self._lock = asyncio.Lock()
        self._known = False
        self._value: Any = None
        self._error: ProviderError | None = None

    def settle(self, value: Any) -> None:
        """It came within the value that holds it."""
        self._known, self._value = True, value

    def __await__(self) -> Generator[Any, None, Any]:
        return self._take().__await__()

    async def _take(self) -> Any:
        async with self._lock:
            if not self._known:
                await self._receive()
        if self._error is not None:
            raise self._error
        return self._value

    async def _receive(self) -> None:
        feed, channels = self._feed, self._channels
        try:
            if feed is None or channels is None:
                raise Unavailable(f"{self.place.label}: closed before it came")
            if not self._kind.smallest:
                # A value without bytes is there when its channel ends.
                await feed.arrival()
            self._value = await feed.value(self._kind, self.place, channels)
        except ProviderError as error:
            self._error = error
        self._known = True
        self.close()
