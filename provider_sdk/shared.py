"""What several links share, such as a client or a file: one for all that have the same settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class _Used(Generic[T]):
    made: T | None = None
    users: int = 0
    making: asyncio.Lock = field(default_factory=asyncio.Lock)


class Shared(Generic[T]):
    """Things by key, each made for its first user and closed after its last."""

    def __init__(self, close: Callable[[T], Awaitable[None]]) -> None:
        self._close = close
        self._used: dict[Hashable, _Used[T]] = {}

    @asynccontextmanager
    async def use(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> AsyncIterator[T]:
        """The thing of `key`, made if nobody uses it yet. What `make` raises is raised, and the next user tries again."""
        used = self._used.setdefault(key, _Used())
        used.users += 1
        try:
            async with used.making:
                if used.made is None:
                    used.made = await make()
            yield used.made
        finally:
            used.users -= 1
            if not used.users:
                del self._used[key]
                if used.made is not None:
                    await self._close(used.made)
