"""Httpserver: listens for HTTP and asks the linked actor for each response. One listener a link."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from provider_sdk import Link, Provider
from providers.httpserver.config import HttpServerConfig

if TYPE_CHECKING:
    from providers.httpserver.server import Listeners


class HttpServerProvider(Provider[HttpServerConfig]):
    """HTTP requests for actors."""

    _listeners: Listeners

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        # In a thread, since a link that is put while the loop stands still is answered late.
        await asyncio.to_thread(importlib.import_module, "aiohttp.web")
        from providers.httpserver.server import Listeners

        self._listeners = Listeners()
        yield

    @asynccontextmanager
    async def link(self, link: Link[HttpServerConfig]) -> AsyncIterator[None]:
        from providers.httpserver.wasmbus import ActorSite

        async with self._listeners.serve(link.config.bind, str(link.key), ActorSite(link).respond):
            yield
