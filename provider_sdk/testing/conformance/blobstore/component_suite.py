"""What a store declares and gives so that it can be judged as components of 1.x see it, and what all tests share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar, TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

from provider_sdk.contracts.wasi_blobstore import WasiBlobstore
from provider_sdk.testing.conformance.blobstore.component_box import AnyBlobstore, ComponentBox
from provider_sdk.testing.conformance.blobstore.suite import Capability
from provider_sdk.testing.conformance.choice import Suite, optional

T = TypeVar("T")
Open = Callable[[], AbstractAsyncContextManager[AnyBlobstore]]


class WasiBlobstoreSuite(Suite):
    """What a subclass gives. Each context manager's store lives as long as it is entered, and answers `version`.

    Of `Capability` those count that have to do with names, times and places. `prefix` is what the names of all containers begin with, for
    stores whose containers are not theirs alone: `store()` may set it. `large`: bytes of an object that is many pieces; `many`: how many
    objects a long list has; `resolution`: seconds that a time may be wrong beyond its own second; `examples` and `steps`: how many cases
    Hypothesis makes up, and the length of a sequence; `longest_name` and `longest_container`: bytes of the longest names.
    """

    provided_by: ClassVar[Mapping[Any, str]] = {Capability.DURABLE: "reopened", Capability.SHARED: "second"}
    version: ClassVar[type[AnyBlobstore]] = WasiBlobstore
    prefix: str = ""
    large: ClassVar[int] = 3_000_001
    many: ClassVar[int] = 1100
    resolution: ClassVar[float] = 1.0
    examples: ClassVar[int] = 25
    steps: ClassVar[int] = 30
    longest_name: int = 1024
    longest_container: ClassVar[int] = 255

    def store(self) -> AbstractAsyncContextManager[AnyBlobstore]:
        """A store in which there are no containers whose names begin with `prefix`."""
        raise NotImplementedError(f"{type(self).__name__} gives no store()")

    @optional
    def reopened(self) -> AbstractAsyncContextManager[AnyBlobstore]:
        """What `store()` gave last, opened again after it was left."""
        raise NotImplementedError

    @optional
    def second(self) -> AbstractAsyncContextManager[AnyBlobstore]:
        """Another instance on what `store()` gave, which is still entered."""
        raise NotImplementedError

    @asynccontextmanager
    async def box(self, opening: Open | None = None) -> AsyncIterator[ComponentBox]:
        """A container `box` in a new store, or in the one that `opening` gives."""
        async with (opening or self.store)() as store:
            box = ComponentBox(store, f"{self.prefix}box")
            if opening is None:
                await store.create_container(box.id)
            yield box

    async def tried(self, strategy: SearchStrategy[T], check: Callable[[T], Coroutine[Any, Any, None]]) -> None:
        """`check` on `examples` values that Hypothesis makes up; it runs on the loop of the test."""
        loop = asyncio.get_running_loop()

        @settings(max_examples=self.examples, deadline=None, suppress_health_check=list(HealthCheck))
        @given(strategy)
        def run(value: T) -> None:
            asyncio.run_coroutine_threadsafe(check(value), loop).result()

        await asyncio.to_thread(run)
