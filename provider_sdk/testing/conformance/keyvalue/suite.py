"""What a store declares and gives so that it can be judged, and what all tests share."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Any, ClassVar

from provider_sdk.contracts.keyvalue import KeyValue
from provider_sdk.testing.conformance.choice import Suite, optional

LOWEST, HIGHEST = -(1 << 31), (1 << 31) - 1
TWICE = range(2)
"""What an operation does to a state that it has made itself is looked at too."""


class Capability(StrEnum):
    """What not every store has. What is declared is proved; what is not declared is proved to be refused, or not to be there."""

    EXPIRY = "expiry"
    """`set` takes `expires`. Without it, it is refused as Unsupported."""
    ATOMIC = "atomic"
    """Operations of callers at the same time do not mix."""
    DURABLE = "durable"
    """What was written is there when the store is opened again: `reopened()`."""
    SHARED = "shared"
    """Two instances at the same time see one store: `second()`."""
    NAMESPACES = "namespaces"
    """A namespace sees nothing of another: `other_namespace()`."""
    LIMITS = "limits"
    """Sizes and counts have limits that are settings: `limited()`."""


class KeyValueSuite(Suite):
    """What a subclass gives. Each context manager's store lives as long as it is entered.

    `expiry_slack` is how many seconds early or late a key may go; `callers`, `rounds` and `increments` (those of each caller) the load of
    the tests of concurrency; `examples` and `steps` the number and length of the sequences that are tried on the model; `longest_key`
    and `largest_value`, in bytes, what is tried.
    """

    provided_by: ClassVar[Mapping[Any, str]] = {
        Capability.DURABLE: "reopened",
        Capability.SHARED: "second",
        Capability.NAMESPACES: "other_namespace",
        Capability.LIMITS: "limited",
    }
    expiry_slack: ClassVar[float] = 1.0
    callers: ClassVar[int] = 32
    rounds: ClassVar[int] = 20
    increments: ClassVar[int] = 50
    examples: ClassVar[int] = 25
    steps: ClassVar[int] = 30
    longest_key: ClassVar[int] = 8 << 10
    largest_value: ClassVar[int] = 3 << 20

    def store(self) -> AbstractAsyncContextManager[KeyValue]:
        """A store, or a namespace of one, in which nothing is."""
        raise NotImplementedError(f"{type(self).__name__} gives no store()")

    @optional
    def reopened(self) -> AbstractAsyncContextManager[KeyValue]:
        """What `store()` gave last, opened again after it was left."""
        raise NotImplementedError

    @optional
    def second(self) -> AbstractAsyncContextManager[KeyValue]:
        """Another instance on what `store()` gave, which is still entered."""
        raise NotImplementedError

    @optional
    def other_namespace(self, name: str) -> AbstractAsyncContextManager[KeyValue]:
        """The namespace `name` of what `store()` gave, which is still entered; it is another one than that of `store()`."""
        raise NotImplementedError

    @optional
    def limited(self, limits: Mapping[str, int]) -> AbstractAsyncContextManager[KeyValue]:
        """An empty store with these limits, by the names in `limits.LIMITS`."""
        raise NotImplementedError
