"""Greeter: a complete provider."""

from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from provider_sdk import Config, Interface, Link, Provider, main, setting


class Greeter(Interface, contract="acme:greeter", wit="acme:greeter/greeter@0.1.0"):
    @abstractmethod
    async def greet(self, name: str) -> str:
        """A greeting for `name`."""


class GreeterConfig(Config):
    greeting: str = setting("Hello", doc="Word placed before the name.")


class Greeting(Greeter):
    def __init__(self, word: str) -> None:
        self.word = word

    async def greet(self, name: str) -> str:
        return f"{self.word}, {name}!"


class GreeterProvider(Provider[GreeterConfig], serves=(Greeter,)):
    @asynccontextmanager
    async def link(self, link: Link[GreeterConfig]) -> AsyncIterator[Greeter]:
        yield Greeting(link.config.greeting)  # entered on put-link; left on delete-link, replace, shutdown


if __name__ == "__main__":
    main(GreeterProvider)
