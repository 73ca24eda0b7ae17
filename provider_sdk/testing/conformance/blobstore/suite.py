"""What a store declares and gives so that it can be judged, and what all tests share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

from provider_sdk.contracts.blobstore import Blobstore, ChunkReceiver
from provider_sdk.testing.conformance.blobstore.box import Box, Receiver
from provider_sdk.testing.conformance.choice import Suite, optional

T = TypeVar("T")
Open = Callable[[ChunkReceiver], AbstractAsyncContextManager[Blobstore]]

TWICE = range(2)
"""What an operation does to a state that it has made itself is looked at too."""


class Capability(StrEnum):
    """What not every store has. What is declared is proved; what is not declared is proved to be refused, or not to be there."""

    ANY_NAME = "any-name"
    """Objects may have names with empty segments, `.` and `..` between slashes, control characters, and segments over 255 bytes.
    Without it they are refused as InvalidArgument."""
    ANY_CONTAINER = "any-container"
    """Containers may have any name; without it, those of buckets: 3 to 63 of a–z, 0–9, dot and hyphen."""
    SIDE_BY_SIDE = "side-by-side"
    """`a` and `a/b` can both be there. Without it the second may be refused, which leaves the first as it is."""
    CREATED_AT = "created-at"
    """It is known when a container was made: `get_container_info` says it, and a list may."""
    BARE_NAMES = "bare-names"
    """`get_object_info` without a container finds the object that is in one container alone. Without it, InvalidArgument."""
    CHUNKS = "chunks"
    """Objects of `in_several` bytes are answered in several chunks; without it, every answer is one chunk."""
    PIPELINES = "pipelines"
    """Chunks of one upload may be on their way at once, and one that overtakes another waits for it."""
    SNAPSHOTS = "snapshots"
    """A download goes on with the version that it began with when the object is replaced or removed. Without it, it may end early."""
    DURABLE = "durable"
    """What was written is there when the store is opened again: `reopened()`."""
    SHARED = "shared"
    """Two instances at the same time see one store: `second()`."""


class BlobstoreSuite(Suite):
    """What a subclass gives. Each context manager's store lives as long as it is entered, and calls `receiver` for what it downloads.

    `prefix` is what the names of all containers begin with, for stores whose containers are not theirs alone: `store()` may set it.
    `in_one` and `in_several`: bytes of objects that are answered in one chunk, and in several; `large`: bytes of the largest that is tried,
    sent in chunks of `piece`; `many`: how many objects a long listing has; `resolution`: seconds that a time may be wrong;
    `callers` and `rounds`: the load of the tests of concurrency; `examples` and `steps`: how many cases Hypothesis makes up, and the length
    of a sequence; `longest_name` and `longest_container`: bytes of the longest names; `patience`: seconds to wait for a chunk.
    """

    provided_by: ClassVar[Mapping[Any, str]] = {Capability.DURABLE: "reopened", Capability.SHARED: "second"}
    prefix: str = ""
    in_one: ClassVar[int] = 50_000
    in_several: ClassVar[int] = 3 << 20
    large: ClassVar[int] = 6 << 20
    piece: ClassVar[int] = 600_000
    many: ClassVar[int] = 1100
    resolution: ClassVar[float] = 1.0
    callers: ClassVar[int] = 8
    rounds: ClassVar[int] = 5
    examples: ClassVar[int] = 25
    steps: ClassVar[int] = 30
    longest_name: int = 1024
    longest_container: ClassVar[int] = 255
    patience: ClassVar[float] = 20.0

    def store(self, receiver: ChunkReceiver) -> AbstractAsyncContextManager[Blobstore]:
        """A store in which there are no containers whose names begin with `prefix`."""
        raise NotImplementedError(f"{type(self).__name__} gives no store()")

    @optional
    def reopened(self, receiver: ChunkReceiver) -> AbstractAsyncContextManager[Blobstore]:
        """What `store()` gave last, opened again after it was left."""
        raise NotImplementedError

    @optional
    def second(self, receiver: ChunkReceiver) -> AbstractAsyncContextManager[Blobstore]:
        """Another instance on what `store()` gave, which is still entered."""
        raise NotImplementedError

    @asynccontextmanager
    async def box(self, opening: Open | None = None) -> AsyncIterator[Box]:
        """A container `box` in a new store, or in the one that `opening` gives; in the end, nobody got a chunk too many."""
        receiver = Receiver(self.patience)
        async with (opening or self.store)(receiver) as store:
            box = Box(store, receiver, f"{self.prefix}box")
            if opening is None:
                await store.create_container(box.id)
            yield box
            receiver.check()

    async def tried(self, strategy: SearchStrategy[T], check: Callable[[T], Coroutine[Any, Any, None]]) -> None:
        """`check` on `examples` values that Hypothesis makes up; it runs on the loop of the test."""
        loop = asyncio.get_running_loop()

        @settings(max_examples=self.examples, deadline=None, suppress_health_check=list(HealthCheck))
        @given(strategy)
        def run(value: T) -> None:
            asyncio.run_coroutine_threadsafe(check(value), loop).result()

        await asyncio.to_thread(run)
