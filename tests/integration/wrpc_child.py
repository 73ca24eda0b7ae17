"""A provider whose links tell what they were given; started by the tests of what a 1.x host says to a provider."""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from provider_sdk import Config, Interface, Link, Provider, Secret, main, setting
from provider_sdk.types import U32


class Told(Interface, wit="acme:told/told@0.1.0"):
    @abstractmethod
    async def own(self) -> str: ...

    @abstractmethod
    async def links(self) -> str: ...

    @abstractmethod
    async def nap(self, milliseconds: U32) -> str: ...


class ToldConfig(Config):
    word: str = setting("", doc="What a link is known by.")
    token: Secret | None = setting(None, doc="A secret.")
    count: int = setting(1, doc="A number.")
    own_word: str = setting("", doc="What only the provider's own configuration has.")
    health_pause: float = setting(0.0, unit="seconds", doc="How long the health check takes.")
    leave_pause: float = setting(0.0, unit="seconds", doc="How long leaving a link takes.")
    goodbye: Path | None = setting(None, doc="A file that is written when the link has been left.")


class Telling(Told):
    def __init__(self, provider: ToldProvider, word: str) -> None:
        self._provider = provider
        self._word = word

    async def own(self) -> str:
        return self._word

    async def links(self) -> str:
        return json.dumps({"own_word": self._provider.config.own_word, "links": list(self._provider.table.values())})

    async def nap(self, milliseconds: U32) -> str:
        await asyncio.sleep(milliseconds / 1000)
        return self._word


class ToldProvider(Provider[ToldConfig], serves=(Told,)):
    def __init__(self) -> None:
        self.table: dict[str, dict[str, object]] = {}
        self.entered = 0

    async def health(self) -> str:
        await asyncio.sleep(self.config.health_pause)
        return ""

    @asynccontextmanager
    async def link(self, link: Link[ToldConfig]) -> AsyncIterator[Told]:
        config, place = link.config, f"{link.key} as {link.key.role}"
        self.entered += 1
        self.table[place] = {
            "link": place,
            "word": config.word,
            "token": config.token.reveal() if config.token else None,
            "count": config.count,
            "interfaces": link.interfaces,
            "entered": self.entered,
        }
        mine = self.entered
        yield Telling(self, config.word)
        if self.table[place]["entered"] == mine:
            del self.table[place]
        await asyncio.sleep(config.leave_pause)
        if config.goodbye:
            config.goodbye.write_text("left")


if __name__ == "__main__":
    main(ToldProvider)
