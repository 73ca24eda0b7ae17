"""Types of every kind that WIT has, for the tests of their values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, IntFlag, StrEnum
from typing import Any

from provider_sdk.types import U32, Case, Handle


class Third(StrEnum):
    FIRST = "first"
    SECOND = "second"
    THIRD = "third"


@dataclass
class Point:
    x: U32
    y: str | None


@dataclass(frozen=True)
class Nil:
    pass


@dataclass(frozen=True)
class Zero:
    pass


class Word(Case[str]):
    pass


def flags_of(count: int) -> Any:
    """A flag class with members B0, B1 and so on."""
    members: Any = [(f"B{number}", 1 << number) for number in range(count)]
    return Flag(f"Bits{count}", members)


Bits8, Bits10, Bits20, Bits40 = flags_of(8), flags_of(10), flags_of(20), flags_of(40)


class OpenFile(Handle):
    pass


class Socket(Handle):
    pass


class Mixed(IntFlag):
    HIGH = 8
    LOW = 1
    BOTH = 9
