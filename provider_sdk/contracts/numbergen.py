"""Random numbers and identifiers: the contract numbergen (wasmbus-0x.md §8.3)."""

from __future__ import annotations

from abc import abstractmethod

from provider_sdk.interface import Interface, fails
from provider_sdk.types import U32

BUILTIN_CONTRACT = "wasmcloud:builtin:numbergen"
"""The contract id that official hosts answer themselves, before they look for a link: a provider is never asked under it there."""


class NumberGen(Interface, contract="wasmcloud:numbergen", wit="wasmcloud:numbergen/numbergen@0.1.0"):
    """Random numbers. On 0.x the operations are the same under the built-in contract id; nobody there looks at the id. 1.x has no such
    contract: the WIT package is our own, without streams, since components import it dynamically (wrpc-1x.md §3.5)."""

    @abstractmethod
    async def generate_guid(self) -> str:
        """A random UUID (version 4), lower-case with hyphens."""

    @abstractmethod
    @fails(str)
    async def random_in_range(self, min: U32, max: U32) -> U32:
        """A number from `min` to `max`, both included; InvalidArgument where `min` is above `max`."""

    @abstractmethod
    async def random32(self) -> U32:
        """A number of 32 random bits."""
