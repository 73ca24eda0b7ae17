"""Calls at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def together(calls: Iterable[Awaitable[T]], most: int = 64) -> list[T]:
    """The results of all calls, at most `most` of them on their way at once."""
    places = asyncio.Semaphore(most)

    async def one(call: Awaitable[T]) -> T:
        async with places:
            return await call

    return list(await asyncio.gather(*map(one, calls)))
