"""Where values are read from and written to: `Reader` over bytes, `Writer` of pieces, and the `Place` a value has in its call.

Integers are LEB128 (wrpc-1x.md §4.1). Nothing is allocated for a count before the bytes that it promises are there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provider_sdk.errors import ProviderError
from provider_sdk.hosts.wrpc.channels import Pending

if TYPE_CHECKING:
    from provider_sdk.hosts.wrpc.value_incoming import IncomingContent

MOST_ITEMS = 1_000_000
MOST_STREAMS = 4096
BYTES = [bytes([number]) for number in range(256)]


class Incomplete(Exception):
    """The bytes end inside a value; at least `missing` more belong to it."""

    def __init__(self, missing: int) -> None:
        super().__init__(missing)
        self.missing = missing


class Fault(Exception):
    """A value that does not fit; `path` grows from the inside out."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path: list[str] = []

    def within(self, step: str) -> Fault:
        """The same fault, one step further out."""
        self.path.append(step)
        return self

    def describe(self, root: str) -> str:
        """`request.headers[2]: expected a string, got int`, where `root` is `request`."""
        path = "".join([root, *reversed(self.path)]).lstrip(".")
        return f"{path}: {self.problem}" if path else self.problem


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands in its call: the index path of §3.3, what people call it, and the error of one that does not fit."""

    path: str
    label: str
    wrong: Callable[[str], ProviderError]

    def step(self, index: int | None, label: str) -> Place:
        """The place of a member; None where the protocol gives it no index of its own."""
        path = self.path
        if index is not None:
            path = f"{path}.{index}" if path else str(index)
        return Place(path, self.label + label, self.wrong)

    def error(self, fault: Fault) -> ProviderError:
        """What is raised for a fault of the value that stands here."""
        return self.wrong(fault.describe(self.label))


class Reader:
    """Bytes and how far they were read; `waiting` are the streams and futures met on the way, whose content comes on paths of their own."""

    __slots__ = ("_items", "_streams", "at", "data", "place", "waiting")

    def __init__(self, data: bytes, place: Place, at: int = 0) -> None:
        self.data = data
        self.place = place
        self.at = at
        self._items = self._streams = 0
        self.waiting: list[IncomingContent] = []

    def count(self) -> int:
        """How many items follow; in all lists together no more than can be read while a health request waits."""
        count = self.unsigned(32)
        self._items += count
        if self._items > MOST_ITEMS:
            raise Fault(f"more than {MOST_ITEMS} items in lists")
        return count

    def stream(self) -> None:
        """A stream or future follows: each takes kilobytes, of which its bytes promise nothing."""
        self._streams += 1
        if self._streams > MOST_STREAMS:
            raise Fault(f"more than {MOST_STREAMS} streams and futures")

    def byte(self) -> int:
        """The next byte."""
        try:
            value = self.data[self.at]
        except IndexError:
            raise Incomplete(1) from None
        self.at += 1
        return value

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        start = self.at
        end = start + count
        if end > len(self.data):
            raise Incomplete(end - len(self.data))
        self.at = end
        return self.data[start:end]

    def choice(self) -> bool:
        """A byte that says which of two: 00 or 01."""
        value = self.byte()
        if value > 1:
            raise Fault(f"expected 00 or 01, got {value:02x}")
        return value == 1

    def unsigned(self, bits: int) -> int:
        """Unsigned LEB128 of a number of `bits` bits; longer forms than needed are taken up to what that many bits could need."""
        try:
            value = self.data[self.at]
        except IndexError:
            raise Incomplete(1) from None
        if value < 0x80:
            self.at += 1
            return value
        value, _ = self._leb(bits)
        if value >> bits:
            raise Fault(f"an integer is out of range for {bits} bits")
        return value

    def signed(self, bits: int) -> int:
        """Signed LEB128, likewise; the sign is bit 6 of the last byte."""
        value, width = self._leb(bits)
        if value >> (width - 1):
            value -= 1 << width
        if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
            raise Fault(f"an integer is out of range for {bits} bits")
        return value

    def _leb(self, bits: int) -> tuple[int, int]:
        data, at, value, width = self.data, self.at, 0, 0
        while True:
            if width >= bits:
                raise Fault(f"an integer is longer than one of {bits} bits can be")
            if at >= len(data):
                raise Incomplete(1)
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << width
            width += 7
            if byte < 0x80:
                self.at = at
                return value, width


class Writer(list[bytes]):
    """Pieces of an encoded value, in order; `pending` gathers the streams and futures that follow on paths of their own."""

    __slots__ = ("pending", "place")

    def __init__(self, place: Place, pending: list[Pending]) -> None:
        super().__init__()
        self.place = place
        self.pending = pending


def unsigned_leb(value: int) -> bytes:
    """Unsigned LEB128 in its shortest form."""
    if value < 0x80:
        return BYTES[value]
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def signed_leb(value: int) -> bytes:
    """Signed LEB128 in its shortest form."""
    out = bytearray()
    while not -64 <= value < 64:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)
