"""Annotations that the wire formats need beyond Python's own types.

`int` alone means S64 and `float` means F64. What each becomes on the wire stands in wasmbus-0x.md §5.2, §5.3 and wrpc-1x.md §4.

Only 1.x knows these: an `enum.Flag` is WIT flags, the members in order; `AsyncIterator[bytes]` is `stream<u8>`, of another item type T
`stream<T>`; `Awaitable[T]` is `future<T>`; `Handle` is a resource.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Integer:
    """Marks an int of `bits` bits; a value outside its range is refused."""

    bits: int
    signed: bool

    @property
    def lowest(self) -> int:
        """The smallest value that fits."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        """The largest value that fits."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1


@dataclass(frozen=True, slots=True)
class BareMember:
    """Marks a dataclass in whose place callers may send the bare value of one member, `name`; the others then have their defaults."""

    name: str


@dataclass(frozen=True, slots=True)
class Float:
    """Marks a float of `bits` bits (32 or 64)."""

    bits: int


U8 = Annotated[int, Integer(8, signed=False)]
U16 = Annotated[int, Integer(16, signed=False)]
U32 = Annotated[int, Integer(32, signed=False)]
U64 = Annotated[int, Integer(64, signed=False)]
S8 = Annotated[int, Integer(8, signed=True)]
S16 = Annotated[int, Integer(16, signed=True)]
S32 = Annotated[int, Integer(32, signed=True)]
S64 = Annotated[int, Integer(64, signed=True)]
F32 = Annotated[float, Float(32)]
F64 = Annotated[float, Float(64)]


@dataclass(frozen=True, slots=True)
class Character:
    """Marks a str that is one Unicode scalar value."""


Char = Annotated[str, Character()]


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """A moment as seconds since 1970-01-01 UTC and nanoseconds (0 to 999,999,999) within the second."""

    sec: S64
    nsec: U32 = 0

    def to_datetime(self) -> datetime:
        """The moment as an aware UTC datetime, cut to microseconds; OverflowError outside the years 1 to 9999."""
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=self.sec, microseconds=self.nsec // 1000)

    @staticmethod
    def from_datetime(moment: datetime) -> Timestamp:
        """The timestamp of an aware datetime; ValueError for a naive one."""
        if moment.tzinfo is None:
            raise ValueError("a timestamp needs a datetime with a time zone")
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
        return Timestamp(since.days * 86400 + since.seconds, since.microseconds * 1000)


@dataclass(frozen=True, slots=True)
class Case(Generic[T]):
    """A union's variant that carries one bare value: `class Num(Case[U32])` is `{"Num": 7}` on the wire.

    A variant with named members is a dataclass; one without members is a dataclass without fields.
    """

    value: T


def carried_by(case: type[Any]) -> Any:
    """What a variant carries, `T` of `class Num(Case[T])`; TypeError where the class does not say it."""
    for base in getattr(case, "__orig_bases__", ()):
        if get_origin(base) is Case:
            return get_args(base)[0]
    raise TypeError(f"{case.__name__}: say what the case carries: class {case.__name__}(Case[U32])")


@dataclass(frozen=True, slots=True)
class Ok(Case[T]):
    """The good side of a result that is a value: `Ok[U32] | Err[str]` is `result<u32, string>`; `Ok[None]` carries nothing."""


@dataclass(frozen=True, slots=True)
class Err(Case[T]):
    """The bad side of a result that is a value."""


@dataclass(frozen=True, slots=True)
class Some(Generic[T]):
    """Something, where that is an option itself: `Some[U8 | None] | None` is `option<option<u8>>`."""

    value: T


class Handle(bytes):
    """A resource as its owner names it: opaque bytes. A subclass is a resource of that name (`class OpenFile(Handle)`: `open-file`).

    A parameter or result of the subclass's type is owned by whoever receives it; `Borrow[OpenFile]` is lent for one call. Nobody tells
    the owner that a handle was dropped (wrpc-1x.md §4.1): whoever hands them out bounds them.
    """


@dataclass(frozen=True, slots=True)
class Borrowed:
    """Marks a Handle that is lent."""


H = TypeVar("H", bound=Handle)
Borrow = Annotated[H, Borrowed()]
