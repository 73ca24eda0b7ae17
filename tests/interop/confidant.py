"""A provider that is told secrets: it greets with the word of the link, and signs with the key of the provider."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from examples.greeter.greeter import Greeter
from provider_sdk import Config, Link, Provider, Secret, main, setting


class ConfidantConfig(Config):
    word: Secret = setting(Secret(""), doc="Word placed before the name.")
    signature: Secret = setting(Secret(""), doc="Text behind it.")


class Whisper(Greeter):
    def __init__(self, config: ConfidantConfig) -> None:
        self._config = config

    async def greet(self, name: str) -> str:
        return f"{self._config.word.reveal()} {name} {self._config.signature.reveal()}"


class Confidant(Provider[ConfidantConfig], serves=(Greeter,)):
    @asynccontextmanager
    async def link(self, link: Link[ConfidantConfig]) -> AsyncIterator[Greeter]:
        yield Whisper(link.config)


if __name__ == "__main__":
    main(Confidant)
