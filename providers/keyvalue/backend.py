"""What stands behind the keyvalue: keys and values are bytes, each key holds one kind of value.

A `Store` is what several links share (a file, a pool of connections); a `Backend` is the view of one namespace on it, which sees nothing
of the others. Whoever adds a backend writes both in one file below `backends/` and proves them with the conformance suite.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

from provider_sdk import InvalidArgument, OutOfRange, PreconditionFailed, ResourceExhausted
from providers.keyvalue.changes import Interest, Tell

LOWEST, HIGHEST = -(1 << 31), (1 << 31) - 1
LARGEST = (1 << 63) - 1
"""What a counter of 1.x reaches."""


class Kind(StrEnum):
    """What a key holds, in the words of error messages."""

    TEXT = "text"
    LIST = "a list"
    SET = "a set"


@dataclass(frozen=True, slots=True)
class Entry:
    """One key with all that it holds: `items` has one value for text, the items of a list in their order, the members of a set in any.

    `expires` is the second (since 1970) from which the key does not exist, 0 for never.
    """

    key: bytes
    kind: Kind
    items: tuple[bytes, ...]
    expires: float = 0.0


@dataclass(frozen=True, slots=True)
class Stats:
    """What a namespace holds: numbers of keys by kind, and of those that expire; bytes of keys and values as far as the store knows."""

    texts: int
    lists: int
    sets: int
    expiring: int
    size: int


class Backend(ABC):
    """One namespace. The semantics are those of contracts.keyvalue.KeyValue; each operation is atomic.

    Errors: PreconditionFailed by `wrong_kind` and `no_number`, OutOfRange by `beyond`, ResourceExhausted by `full`, Unavailable while what
    stands behind cannot be reached; the vendor's exception is the `__cause__`.
    """

    @abstractmethod
    async def get(self, key: bytes) -> bytes | None:
        """The text; None where the key does not exist."""

    @abstractmethod
    async def set(self, key: bytes, value: bytes, expires: int) -> None:
        """Put text in place of whatever is there, for `expires` seconds, 0: for ever."""

    @abstractmethod
    async def delete(self, key: bytes) -> bool:
        """Remove the key, whatever it holds; whether it existed."""

    @abstractmethod
    async def contains(self, key: bytes) -> bool:
        """Whether the key exists."""

    @abstractmethod
    async def increment(self, key: bytes, delta: int, lowest: int = LOWEST, highest: int = HIGHEST) -> int:
        """Add to the counter and return the sum, from `lowest` to `highest`, both of 64 bits with a sign; else nothing is changed."""

    @abstractmethod
    async def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """The texts, each in its key's place; None for what does not exist or holds no text."""

    @abstractmethod
    async def set_many(self, values: dict[bytes, bytes]) -> None:
        """Set all of them, for ever."""

    @abstractmethod
    async def delete_many(self, keys: list[bytes]) -> None:
        """Remove all of them, none of which is named twice."""

    @abstractmethod
    async def keys(self, cursor: int, most: int) -> tuple[list[bytes], int | None]:
        """About `most` keys, and the cursor of what follows, None where nothing does; from 0, the beginning, to any number of 64 bits.

        Nothing is remembered between two pages. A key that is there all the time is on one of them.
        """

    @abstractmethod
    async def list_add(self, key: bytes, value: bytes, most: int) -> int:
        """Append and return the new length, of at most `most`."""

    @abstractmethod
    async def list_delete(self, key: bytes, value: bytes) -> bool:
        """Remove the first equal item; whether there was one."""

    @abstractmethod
    async def list_range(self, key: bytes, start: int, stop: int) -> list[bytes]:
        """Items from start to stop, both included, negative ones counted from the end; what is outside is cut off."""

    @abstractmethod
    async def set_add(self, key: bytes, value: bytes, most: int) -> int:
        """Add a member, of at most `most`; the number added."""

    @abstractmethod
    async def set_delete(self, key: bytes, value: bytes) -> int:
        """Remove a member; the number removed."""

    @abstractmethod
    async def set_union(self, keys: list[bytes]) -> list[bytes]:
        """What is in any of the sets."""

    @abstractmethod
    async def set_intersection(self, keys: list[bytes]) -> list[bytes]:
        """What is in all of them; nothing for no sets."""

    @abstractmethod
    async def watch(self, interest: Interest, tell: Tell, ready: Callable[[], None]) -> NoReturn:
        """Tell of changes as long as this runs: of those in `interest`, in each key's order, and of others perhaps.

        `ready` is called when the next change will be told. An error ends it: what happens until it runs again is told to nobody.
        """

    @abstractmethod
    def entries(self) -> AsyncIterator[Entry]:
        """Every key, once each, in any order; of what changes meanwhile the state before or after."""

    @abstractmethod
    async def put(self, entry: Entry) -> None:
        """Put an entry in place of whatever is under its key."""

    @abstractmethod
    async def stats(self) -> Stats:
        """Count."""


class Store(ABC):
    """What the namespaces of one place share. It connects at first use, and again by itself."""

    @abstractmethod
    def namespace(self, name: str) -> Backend:
        """The view of one namespace; the empty one is what the official provider would see."""

    @abstractmethod
    async def trouble(self) -> str:
        """A line that says what is wrong, empty where all is well: for health, so within half a second."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of everything."""


def clamp(start: int, stop: int, length: int) -> tuple[int, int]:
    """The slice of a list of `length` that LRANGE's `start` and `stop` mean: (first, behind the last)."""
    first = max(0, start + length if start < 0 else start)
    last = stop + length if stop < 0 else stop
    return first, max(first, min(last + 1, length))


def wrong_kind(key: bytes, holds: Kind, wanted: Kind) -> PreconditionFailed:
    """The key holds another kind of value."""
    return PreconditionFailed(f"the key {shown(key)} holds {holds}, and the operation is for {wanted}")


def no_number(key: bytes) -> PreconditionFailed:
    """The text under the key is no counter."""
    return PreconditionFailed(f"the key {shown(key)} holds text that is no whole number, and the operation is for a counter")


def beyond(key: bytes, delta: int, lowest: int, highest: int) -> OutOfRange:
    """The sum is not within the bounds."""
    return OutOfRange(f"the counter {shown(key)} would leave {lowest} to {highest} by adding {delta}: nothing is changed")


def full(key: bytes, kind: Kind, most: int) -> ResourceExhausted:
    """The list or set has as many members as it may have."""
    setting = "max_list_items" if kind is Kind.LIST else "max_set_members"
    return ResourceExhausted(f"{kind} under the key {shown(key)} has {most} members, the most that {setting} allows", retryable=False)


def shown(key: bytes) -> str:
    """A key as a message shows it: quoted, cut, one line."""
    text = key.decode("utf-8", "backslashreplace")
    return ascii(text if len(text) <= 80 else f"{text[:80]}…")


def counter(key: bytes, text: bytes) -> int:
    """The number that a counter's text stands for, as Redis reads it: no blanks, no leading zeros, at most 64 bits."""
    if text.removeprefix(b"-").isdigit() and len(text) <= 20:
        number = int(text)
        if str(number).encode() == text and -(1 << 63) <= number < 1 << 63:
            return number
    raise no_number(key)


def summed(key: bytes, text: bytes | None, delta: int, lowest: int, highest: int) -> int:
    """The counter after adding `delta`; errors as in Backend.increment."""
    total = (0 if text is None else counter(key, text)) + delta
    if not lowest <= total <= highest:
        raise beyond(key, delta, lowest, highest)
    return total


def utf8(key: bytes, value: bytes) -> str:
    """A stored value as text; PreconditionFailed where something else was stored."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise PreconditionFailed(f"the key {shown(key)} holds bytes that are no text (UTF-8)") from None


def checked_name(name: str) -> str:
    """A namespace's name; InvalidArgument for one that cannot be told from others when it is printed."""
    if not name.isprintable() or len(name.encode("utf-8", "surrogatepass")) > 256:
        raise InvalidArgument(f"namespace: {name[:80]!a} is not printable text of at most 256 bytes")
    return name
