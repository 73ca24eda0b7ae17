"""The provider that is loaded: answers `Echo.Echo` with its argument.

With BENCH_UNSIGNED=1 in its environment the check of claims (§4.5, checks 2 to 10) is replaced inside this process:
the SDK has no setting that turns checks off.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from provider_sdk import Config, Interface, Link, Provider, main


class Echo(Interface, contract="bench:echo"):
    @abstractmethod
    async def echo(self, text: str) -> str: ...


class Same(Echo):
    async def echo(self, text: str) -> str:
        return text


class EchoProvider(Provider[Config], serves=(Echo,)):
    @asynccontextmanager
    async def link(self, link: Link[Config]) -> AsyncIterator[Echo]:
        yield Same()


if __name__ == "__main__":
    if os.environ.get("BENCH_UNSIGNED"):
        from provider_sdk.hosts.wasmbus.server import Server

        Server.verify = staticmethod(lambda *invocation, **context: None)
    main(EchoProvider)
