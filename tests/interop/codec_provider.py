"""A provider of the two interfaces that have every kind of value: it gives back what it is given, and owns things."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from provider_sdk import Config, Link, Provider, main
from provider_sdk.errors import InvalidArgument, NotFound
from provider_sdk.types import Borrow, Char, Err, Ok
from tests.interop.codec_interfaces import Echo, Rec, Ten, Thing, Things, Twenty

LARGEST = 1 << 63


class EchoBack(Echo):
    async def ints(self, a: int, b: int, c: int, d: int, e: int, f: int, g: int, h: int) -> tuple[int, int, int, int, int, int, int, int]:
        return a, b, c, d, e, f, g, h

    async def floats(self, a: float, b: float) -> tuple[float, float]:
        return a, b

    async def chars(self, a: Char, b: bool, c: str) -> tuple[Char, bool, str]:
        return a, b, c

    async def record_echo(self, r: Rec) -> Rec:
        return r

    async def flags_ten(self, f: Ten) -> Ten:
        return f

    async def flags_twenty(self, f: Twenty) -> Twenty:
        return f

    async def outcome(self, r: Ok[int] | Err[str]) -> Ok[int] | Err[str]:
        return r

    async def unit(self) -> None:
        pass

    async def unit_result(self) -> Ok[None] | Err[None]:
        return Ok(None)

    async def bytes_(self, b: bytes) -> bytes:
        return b


class OwnThings(Things):
    """Numbers behind handles."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    async def thing(self, start: int) -> Thing:
        handle = Thing(secrets.token_bytes(7))
        self._numbers[handle] = start
        return handle

    async def add(self, thing: Borrow[Thing], n: int) -> int:
        self._numbers[thing] = self._number(thing) + n
        return self._number(thing)

    async def make(self, start: int) -> Thing:
        if start >= LARGEST:
            raise InvalidArgument(f"{start}: too large")
        return await self.thing(start)

    async def total(self, a: Borrow[Thing], b: Borrow[Thing]) -> int:
        return self._number(a) + self._number(b)

    async def swallow(self, t: Thing) -> int:
        return self._numbers.pop(t)

    def _number(self, thing: Thing) -> int:
        try:
            return self._numbers[thing]
        except KeyError:
            raise NotFound("no such thing") from None


class CodecProvider(Provider[Config], serves=(Echo, Things)):
    @asynccontextmanager
    async def link(self, link: Link[Config]) -> AsyncIterator[tuple[Echo, Things]]:
        yield EchoBack(), OwnThings()


if __name__ == "__main__":
    main(CodecProvider)
