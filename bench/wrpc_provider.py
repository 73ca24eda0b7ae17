"""The provider that is loaded on 1.x: answers text with itself, takes streams and gives them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

from provider_sdk import Config, Interface, Link, Provider, main
from provider_sdk.types import U32, U64


class Flow(Interface, wit="bench:flow/flow@0.1.0"):
    @abstractmethod
    async def echo(self, text: str) -> str: ...

    @abstractmethod
    async def down(self, pieces: U32, size: U32) -> AsyncIterator[bytes]: ...

    @abstractmethod
    async def up(self, pieces: U32, data: AsyncIterator[bytes]) -> Awaitable[U64]: ...


class Flowing(Flow):
    async def echo(self, text: str) -> str:
        return text

    async def down(self, pieces: int, size: int) -> AsyncIterator[bytes]:
        async def source() -> AsyncIterator[bytes]:
            piece = bytes(size)
            for _ in range(pieces):
                yield piece

        return source()

    async def up(self, pieces: int, data: AsyncIterator[bytes]) -> Awaitable[int]:
        async def count() -> int:
            return sum([len(piece) async for piece in data])

        return count()


class FlowProvider(Provider[Config], serves=(Flow,)):
    @asynccontextmanager
    async def link(self, link: Link[Config]) -> AsyncIterator[Flow]:
        yield Flowing()


if __name__ == "__main__":
    main(FlowProvider)
