"""A provider to do harm to: answers with its link's word, and can be slow."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from provider_sdk import Config, Interface, Link, NotFound, Provider, fails, main, setting
from provider_sdk.types import U32


class Echo(Interface, contract="test:echo", wit="test:echo/echo@0.1.0"):
    @abstractmethod
    @fails(str)
    async def echo(self, text: str) -> str: ...

    @abstractmethod
    @fails(str)
    async def sleep(self, milliseconds: U32) -> str: ...

    @abstractmethod
    @fails(str)
    async def block(self, milliseconds: U32) -> str: ...

    @abstractmethod
    @fails(str)
    async def fail(self, kind: str) -> str: ...


class EchoConfig(Config):
    word: str = setting("", doc="What stands before the answer.")


class Answering(Echo):
    def __init__(self, word: str) -> None:
        self.word = word

    async def echo(self, text: str) -> str:
        return self.word + text

    async def sleep(self, milliseconds: U32) -> str:
        await asyncio.sleep(milliseconds / 1000)
        return self.word

    async def block(self, milliseconds: U32) -> str:
        await asyncio.to_thread(time.sleep, milliseconds / 1000)
        return self.word

    async def fail(self, kind: str) -> str:
        kinds: dict[str, BaseException] = {
            "long": NotFound("x" * 2_000_000),
            "not UTF-8": NotFound("no file \udcff"),
            "cancelled": asyncio.CancelledError(),
        }
        raise kinds[kind]


class EchoProvider(Provider[EchoConfig], serves=(Echo,)):
    @asynccontextmanager
    async def link(self, link: Link[EchoConfig]) -> AsyncIterator[Echo]:
        yield Answering(link.config.word)


if __name__ == "__main__":
    main(EchoProvider)
