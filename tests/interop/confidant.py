"""A provider that is told secrets, and a number: it greets with a secret word and a secret signature, so many times."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from greeter import Greeter
from provider_sdk import Config, Link, Provider, Secret, main, setting


class ConfidantConfig(Config):
    word: Secret = setting(Secret(""), doc="Word placed before the name.")
    signature: Secret = setting(Secret(""), doc="Text behind it.")
    times: int = setting(1, doc="How often it is said.")


class Whisper(Greeter):
    def __init__(self, config: ConfidantConfig) -> None:
        self._config = config

    async def greet(self, name: str) -> str:
        config = self._config
        return " ".join([config.word.reveal(), name, config.signature.reveal()] * config.times)


class Confidant(Provider[ConfidantConfig], serves=(Greeter,)):
    @asynccontextmanager
    async def link(self, link: Link[ConfidantConfig]) -> AsyncIterator[Greeter]:
        yield Whisper(link.config)


if __name__ == "__main__":
    main(Confidant)
