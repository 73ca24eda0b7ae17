"""What the tests of the Redis store share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from provider_sdk import Context, LinkKey, ProviderError, Secret, Unavailable
from providers.keyvalue.backend import Store
from providers.keyvalue.backends import redis
from providers.keyvalue.config import KeyValueConfig

T = TypeVar("T")
CALLERS = 32
RETURN = 8.0
"""Seconds within which service resumes after a server is back."""


@asynccontextmanager
async def a_store(url: str, **settings: object) -> AsyncIterator[Store]:
    """A store as a link would open it."""
    opened = redis.open_store(KeyValueConfig(url=Secret(url), **settings), Path())  # type: ignore[arg-type]  # the settings of a test
    try:
        yield opened
    finally:
        await opened.close()


async def refusal(call: Awaitable[object]) -> ProviderError:
    """The error of a call that has to fail."""
    with pytest.raises(ProviderError) as caught:
        await call
    return caught.value


async def in_a_call(seconds: float, work: Callable[[], Awaitable[T]]) -> T:
    """What a handler gets within a call that has so many seconds; TimeoutError where it goes on although they are over."""

    async def serve() -> T:
        deadline = asyncio.get_running_loop().time() + seconds
        Context("KeyValue.Get", "an actor", LinkKey("actor", "contract", "default"), "1", deadline).enter()
        return await work()

    async with asyncio.timeout(seconds + 3):
        return await asyncio.create_task(serve())


async def until_served(call: Callable[[], Awaitable[object]], seconds: float = RETURN) -> None:
    """Ask until it is not refused; TimeoutError where that takes longer."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                await call()
            except Unavailable:
                await asyncio.sleep(0.02)
            else:
                return
