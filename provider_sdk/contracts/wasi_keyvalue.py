"""Bytes and counters under keys of buckets: `wasi:keyvalue` 0.2.0-draft as 1.x hosts call it (wrpc-1x.md §5.4)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from provider_sdk.errors import NotFound, PermissionDenied, ProviderError, error_of, error_text
from provider_sdk.interface import Interface, fails
from provider_sdk.types import U64, Case


@dataclass(frozen=True, slots=True)
class NoSuchStore:
    """There is no such bucket."""


@dataclass(frozen=True, slots=True)
class AccessDenied:
    """The caller may not do this, or is not linked."""


@dataclass(frozen=True, slots=True)
class Other(Case[str]):
    """Whatever else went wrong, in words."""


StoreError = NoSuchStore | AccessDenied | Other


def _encode(error: ProviderError) -> StoreError:
    if isinstance(error, NotFound):
        return NoSuchStore()
    return AccessDenied() if isinstance(error, PermissionDenied) else Other(error_text(error))


def _decode(value: StoreError) -> ProviderError:
    if isinstance(value, Other):
        return error_of(value.value)
    return NotFound("no such store") if isinstance(value, NoSuchStore) else PermissionDenied("access denied")


_fails = fails(StoreError, encode=_encode, decode=_decode)


@dataclass(frozen=True, slots=True)
class KeyResponse:
    """A page of keys; `cursor` asks for the next one, None where there is none."""

    keys: list[str]
    cursor: U64 | None = None


class Store(Interface, wit="wrpc:keyvalue/store@0.2.0-draft"):
    """Bytes under keys. A host traps the component for an error of any operation but `get` (wrpc-1x.md §6)."""

    @abstractmethod
    @_fails
    async def get(self, bucket: str, key: str) -> bytes | None:
        """What is under the key, None where it does not exist; PreconditionFailed where that is no single value."""

    @abstractmethod
    @_fails
    async def set(self, bucket: str, key: str, value: bytes) -> None:
        """Put the value in place of whatever is there, for ever."""

    @abstractmethod
    @_fails
    async def delete(self, bucket: str, key: str) -> None:
        """Remove the key, whatever it holds; a missing one is no error."""

    @abstractmethod
    @_fails
    async def exists(self, bucket: str, key: str) -> bool:
        """Whether the key exists, whatever it holds."""

    @abstractmethod
    @_fails
    async def list_keys(self, bucket: str, cursor: U64 | None = None) -> KeyResponse:
        """The keys, whatever they hold, a page at a time; a page may be empty although more follow.

        A key that is there from the first page to the last is on one of them.
        """


class Atomics(Interface, wit="wrpc:keyvalue/atomics@0.2.0-draft"):
    """Counters, each the text of a whole number."""

    @abstractmethod
    @_fails
    async def increment(self, bucket: str, key: str, delta: U64) -> U64:
        """Add to the counter, a missing one being 0, and return the sum.

        OutOfRange, and nothing is changed, where the sum is negative or has more than 63 bits; PreconditionFailed where what is there is
        no number.
        """


class Batch(Interface, wit="wrpc:keyvalue/batch@0.2.0-draft"):
    """Several keys at once. A host traps the component for an error of any of these."""

    @abstractmethod
    @_fails
    async def get_many(self, bucket: str, keys: list[str]) -> list[tuple[str, bytes] | None]:
        """Key and value for each key in its place, None for what does not exist or is no single value."""

    @abstractmethod
    @_fails
    async def set_many(self, bucket: str, key_values: list[tuple[str, bytes]]) -> None:
        """Set all of them; of a key that is given twice the last value."""

    @abstractmethod
    @_fails
    async def delete_many(self, bucket: str, keys: list[str]) -> None:
        """Remove all of them; missing ones are no error."""


class Watcher(Interface, wit="wrpc:keyvalue/watcher@0.2.0-draft"):
    """What a component exports to be told of changes. Nobody tells the provider whether it failed."""

    @abstractmethod
    async def on_set(self, bucket: str, key: str, value: bytes) -> None:
        """The key holds this value now. A host reads `bucket` as a decimal number of 32 bits."""

    @abstractmethod
    async def on_delete(self, bucket: str, key: str) -> None:
        """The key is gone."""
