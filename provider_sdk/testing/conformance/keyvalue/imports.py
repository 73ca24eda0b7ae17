"""What a store for components of 1.x declares and gives so that it can be judged, and what all tests of it share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from provider_sdk.contracts.keyvalue import KeyValue
from provider_sdk.contracts.wasi_keyvalue import Atomics, Batch, Store
from provider_sdk.testing.conformance.choice import Suite, optional

LARGEST = (1 << 63) - 1
"""What a counter reaches."""


Changes = asyncio.Queue[tuple[str, bytes | None]]
"""Key and value for what was set, key and None for what was deleted."""


@dataclass(frozen=True, slots=True)
class Imports:
    """What one component imports."""

    store: Store
    atomics: Atomics
    batch: Batch


class ImportsCapability(StrEnum):
    """What not every store has. What is declared is proved; what is not declared is proved to be the other way, where there is one."""

    BUCKETS = "buckets"
    """Each bucket has keys of its own. Without it all buckets are one."""
    ATOMIC_BATCH = "atomic batch"
    """Whoever reads many keys sees all of what another sets at once, or nothing of it."""
    UNREPEATED = "unrepeated"
    """A key that is there all the time is listed once, whatever becomes of the others; without it, at least once."""
    SHARED = "shared"
    """Two instances see one store: `second()`."""
    ACTORS = "actors"
    """Actors of 0.x see what is in the bucket `default`: `actor()`."""
    WATCHED = "watched"
    """Components are told of changes: `watched()`."""
    LIMITS = "limits"
    """Sizes and counts have limits that are settings: `limited()`."""


class ImportsSuite(Suite):
    """What a subclass gives. Each context manager's store lives as long as it is entered.

    `keys_listed` is how many keys there are where listings are looked at, `longest_page` how many of them one page may have;
    `callers` and `rounds` are the load of tests with callers at the same time; `largest_value`, in bytes, what is tried; `told_within` is
    the number of seconds within which a component is told of a change.
    """

    provided_by: ClassVar[Mapping[Any, str]] = {
        ImportsCapability.SHARED: "second",
        ImportsCapability.ACTORS: "actor",
        ImportsCapability.WATCHED: "watched",
        ImportsCapability.LIMITS: "limited",
    }
    keys_listed: ClassVar[int] = 2500
    longest_page: ClassVar[int] = 1000
    callers: ClassVar[int] = 16
    rounds: ClassVar[int] = 20
    largest_value: ClassVar[int] = 3 << 20
    told_within: ClassVar[float] = 5.0

    def imports(self) -> AbstractAsyncContextManager[Imports]:
        """A store whose buckets are empty."""
        raise NotImplementedError(f"{type(self).__name__} gives no imports()")

    @optional
    def second(self) -> AbstractAsyncContextManager[Imports]:
        """Another instance on what `imports()` gave, which is still entered."""
        raise NotImplementedError

    @optional
    def actor(self) -> AbstractAsyncContextManager[KeyValue]:
        """What an actor of 0.x sees of what `imports()` gave, which is still entered."""
        raise NotImplementedError

    @optional
    def watched(self, watch: str) -> AbstractAsyncContextManager[Changes]:
        """What a component is told that watches so, of what `imports()` gave, which is still entered."""
        raise NotImplementedError

    @optional
    def limited(self, limits: Mapping[str, int]) -> AbstractAsyncContextManager[Imports]:
        """An empty store with these limits, by the names in `batches.LIMITS`."""
        raise NotImplementedError
