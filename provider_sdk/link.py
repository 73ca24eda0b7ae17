"""Links as a provider's author sees them: the key, the configuration, the far side, and a say in health."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

from provider_sdk.config import Config
from provider_sdk.interface import Target

C = TypeVar("C", bound=Config)


class Role(StrEnum):
    """Which side of a link the provider is. On 0.x always the target, although it may call too; on 1.x the source calls the target."""

    TARGET = "target"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class LinkKey:
    """What tells one link of a provider from another: the far side's id, the link name, which side the provider is, and the contract.

    That is the contract id on 0.x, such as `wasmcloud:keyvalue`, and namespace and package of the interfaces on 1.x, such as
    `wasi:keyvalue`. With the provider's own id these are the five parts by which 1.x hosts tell links apart (wrpc-1x.md §2.1).
    """

    peer: str
    contract: str
    name: str
    role: Role = Role.TARGET

    def __str__(self) -> str:
        return f"{self.peer}/{self.contract}/{self.name}"


class LinkState(StrEnum):
    """pending: being entered for the first time; up: serving; failed: not serving, retried; closing: being left."""

    PENDING = "pending"
    UP = "up"
    FAILED = "failed"
    CLOSING = "closing"


@dataclass(eq=False)
class Link(Generic[C]):
    """One link, alive from entering the provider's `link` context until leaving it.

    `peer` is the far side as a Target: `HttpServer.at(link.peer)`. `interfaces` are those that a 1.x link names, such as `store`; empty
    on 0.x.
    """

    key: LinkKey
    config: C
    peer: Target
    interfaces: tuple[str, ...] = ()
    trouble: str = field(default="", init=False)

    @property
    def log(self) -> logging.LoggerAdapter[Any]:
        """A logger that adds the link to each line."""
        return logging.LoggerAdapter(logging.getLogger("provider"), {"link": str(self.key)})

    def unhealthy(self, reason: str) -> None:
        """Have health report this link with one line until `healthy` is called; calls go on."""
        self.trouble = reason

    def healthy(self) -> None:
        """Take back what `unhealthy` said."""
        self.trouble = ""

    @asynccontextmanager
    async def watched(self, trouble: Callable[[], Awaitable[str]], every: float = 1.0) -> AsyncIterator[None]:
        """As long as it is entered, ask `trouble` every so many seconds, and have health report the line that it gives, if any."""
        watch = asyncio.create_task(self._watch(trouble, every), name=f"health of {self.key}")
        try:
            yield
        finally:
            watch.cancel()

    async def _watch(self, trouble: Callable[[], Awaitable[str]], every: float) -> None:
        while True:
            self.trouble = await trouble()
            await asyncio.sleep(every)
