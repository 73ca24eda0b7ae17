"""The two interfaces of the probe component that use every kind of value: `probe:codec/echo` and `probe:codec/things`."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from enum import Enum, Flag, auto

from provider_sdk.interface import Interface, fails, operation
from provider_sdk.types import F32, F64, S8, S16, S32, S64, U8, U16, U32, U64, Borrow, Case, Char, Err, Handle, Ok, Some


class Few(Flag):
    A = auto()
    B = auto()
    C = auto()


class Ten(Flag):
    F0 = auto()
    F1 = auto()
    F2 = auto()
    F3 = auto()
    F4 = auto()
    F5 = auto()
    F6 = auto()
    F7 = auto()
    F8 = auto()
    F9 = auto()


class Twenty(Flag):
    T0 = auto()
    T1 = auto()
    T2 = auto()
    T3 = auto()
    T4 = auto()
    T5 = auto()
    T6 = auto()
    T7 = auto()
    T8 = auto()
    T9 = auto()
    T10 = auto()
    T11 = auto()
    T12 = auto()
    T13 = auto()
    T14 = auto()
    T15 = auto()
    T16 = auto()
    T17 = auto()
    T18 = auto()
    T19 = auto()


class Color(Enum):
    RED = "red"
    GREEN = "green"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Nothing:
    pass


@dataclass(frozen=True, slots=True)
class Circle(Case[U32]):
    pass


@dataclass(frozen=True, slots=True)
class Named(Case[str]):
    pass


@dataclass(frozen=True, slots=True)
class Pair(Case[tuple[S64, F64]]):
    pass


Shape = Nothing | Circle | Named | Pair


@dataclass(frozen=True, slots=True)
class Rec:
    x: U32
    y: str | None
    tags: list[str]
    s: Shape
    f: Few
    c: Char
    shorts: list[S16]
    nested: Some[U8 | None] | None
    pairs: list[tuple[U8, Color]]


class Echo(Interface, wit="probe:codec/echo@0.1.0"):
    """Every function gives its argument back; the probe compares the bytes."""

    @abstractmethod
    async def ints(self, a: U8, b: S8, c: U16, d: S16, e: U32, f: S32, g: U64, h: S64) -> tuple[U8, S8, U16, S16, U32, S32, U64, S64]: ...

    @abstractmethod
    async def floats(self, a: F32, b: F64) -> tuple[F32, F64]: ...

    @abstractmethod
    async def chars(self, a: Char, b: bool, c: str) -> tuple[Char, bool, str]: ...

    @abstractmethod
    async def record_echo(self, r: Rec) -> Rec: ...

    @abstractmethod
    async def flags_ten(self, f: Ten) -> Ten: ...

    @abstractmethod
    async def flags_twenty(self, f: Twenty) -> Twenty: ...

    @abstractmethod
    async def outcome(self, r: Ok[U32] | Err[str]) -> Ok[U32] | Err[str]: ...

    @abstractmethod
    async def unit(self) -> None: ...

    @abstractmethod
    async def unit_result(self) -> Ok[None] | Err[None]: ...

    @abstractmethod
    async def bytes_(self, b: bytes) -> bytes: ...


class Thing(Handle):
    pass


class Things(Interface, wit="probe:codec/things@0.1.0"):
    """Resources owned by the provider."""

    @abstractmethod
    @operation(wit="[constructor]thing")
    async def thing(self, start: U64) -> Thing: ...

    @abstractmethod
    @operation(wit="[method]thing.add")
    async def add(self, thing: Borrow[Thing], n: U64) -> U64: ...

    @abstractmethod
    @fails(str)
    @operation(wit="[static]thing.make")
    async def make(self, start: U64) -> Thing: ...

    @abstractmethod
    async def total(self, a: Borrow[Thing], b: Borrow[Thing]) -> U64: ...

    @abstractmethod
    async def swallow(self, t: Thing) -> U64: ...
