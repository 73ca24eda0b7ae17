"""A component that watches keys, without a lattice, and the link to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from provider_sdk import Link, LinkKey, Target
from provider_sdk.interface import Operation
from provider_sdk.link import Role
from provider_sdk.metrics import Metrics
from providers.keyvalue.backend import Backend
from providers.keyvalue.config import KeyValueConfig
from providers.keyvalue.watching import Counters, Watching

Said = tuple[str, bytes | None]


class Component(Target):
    """Hears what it is told; `before` is awaited before each answer."""

    def __init__(self, before: Callable[[Said], Awaitable[None]] | None = None) -> None:
        self.told: list[Said] = []
        self._before = before
        self.at_once = self.most_at_once = 0

    async def call(self, operation: Operation, arguments: tuple[Any, ...], timeout: float | None) -> None:
        _, key, *value = arguments
        said = (key, value[0] if value else None)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            if self._before is not None:
                await self._before(said)
        finally:
            self.at_once -= 1
        self.told.append(said)


@asynccontextmanager
async def a_watch(component: Component, backend: Backend, watch: str = "SET@*,DEL@*") -> AsyncIterator[Watching]:
    """What a link to that component does."""
    link = Link(LinkKey("component", "wasi:keyvalue", "default", Role.SOURCE), KeyValueConfig(watch=watch), component, ("watcher",))
    made = Watching(backend, link.config.interest, link, Counters.of(Metrics()))
    async with made.running():
        yield made
