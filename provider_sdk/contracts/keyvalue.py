"""Values, counters, lists and sets under keys: the contract keyvalue (wasmbus-0x.md §8.2)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from provider_sdk.interface import Interface, operation
from provider_sdk.types import S32, U32


@dataclass(frozen=True, slots=True)
class GetResponse:
    """`value` is empty where `exists` is false."""

    value: str = ""
    exists: bool = False


class KeyValue(Interface, contract="wasmcloud:keyvalue"):
    """A key holds one kind of value: text (a counter is the text of a whole number), a list or a set.

    An operation on a key that holds another kind is PreconditionFailed, but for those that replace or remove whatever is there: Set, Del,
    ListClear, SetClear. Lists and sets without members do not exist. A key whose time is over does not exist.
    """

    @abstractmethod
    async def increment(self, key: str, value: S32) -> S32:
        """Add `value`, which may be negative, to the counter, a missing one being 0, and return the sum; its expiry stays.

        OutOfRange, and nothing is changed, where the sum has more than 32 bits; PreconditionFailed where the text is no whole number
        in its shortest form: `01`, `+1` and `-0` are none.
        """

    @abstractmethod
    async def contains(self, key: str) -> bool:
        """Whether the key exists, whatever it holds."""

    @abstractmethod
    @operation("Del")
    async def delete(self, key: str) -> bool:
        """Remove the key, whatever it holds; whether it existed."""

    @abstractmethod
    async def get(self, key: str) -> GetResponse:
        """The text under the key."""

    @abstractmethod
    async def list_add(self, list_name: str, value: str) -> U32:
        """Append to the list; its new length."""

    @abstractmethod
    async def list_clear(self, list_name: str) -> bool:
        """Remove the list; whether it existed."""

    @abstractmethod
    async def list_del(self, list_name: str, value: str) -> bool:
        """Remove the first item that is equal to `value`; whether there was one."""

    @abstractmethod
    async def list_range(self, list_name: str, start: S32, stop: S32) -> list[str]:
        """The items from `start` to `stop`, both included, counted from 0, or from the end where negative; what is outside is cut off."""

    @abstractmethod
    async def set(self, key: str, value: str, expires: U32) -> None:
        """Put text under the key in place of whatever is there; it exists for `expires` seconds, 0: for ever."""

    @abstractmethod
    async def set_add(self, set_name: str, value: str) -> U32:
        """Add to the set; the number of members added, 0 or 1."""

    @abstractmethod
    async def set_del(self, set_name: str, value: str) -> U32:
        """Remove from the set; the number of members removed, 0 or 1."""

    @abstractmethod
    async def set_intersection(self, set_names: list[str]) -> list[str]:
        """What is in all of the sets, in any order; a missing set has no members, and no sets have none."""

    @abstractmethod
    async def set_query(self, set_name: str) -> list[str]:
        """The members of the set, in any order."""

    @abstractmethod
    async def set_union(self, set_names: list[str]) -> list[str]:
        """What is in any of the sets, in any order."""

    @abstractmethod
    async def set_clear(self, set_name: str) -> bool:
        """Remove the set; whether it existed."""
