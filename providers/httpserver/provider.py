"""Httpserver: listens for HTTP and asks the linked actor for each response. Links may share an address."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from provider_sdk import Link, Provider, Role
from providers.httpserver.config import HttpServerConfig

if TYPE_CHECKING:
    from providers.httpserver.access import AccessLog
    from providers.httpserver.listener import Listeners
    from providers.httpserver.site import Handler
    from providers.httpserver.tls import Certificates


class HttpServerProvider(Provider[HttpServerConfig]):
    """HTTP requests for actors."""

    _listeners: Listeners

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        # In a thread, since a link that is put while the loop stands still is answered late.
        await asyncio.to_thread(importlib.import_module, "providers.httpserver.listener")
        from providers.httpserver.listener import Listeners

        self._listeners = Listeners(self.metrics, lambda: self.stopping)
        yield

    @asynccontextmanager
    async def link(self, link: Link[HttpServerConfig]) -> AsyncIterator[None]:
        from providers.httpserver.site import Site

        config = link.config
        async with AsyncExitStack() as stack:
            certificates = await self._certificates(link, stack) if config.tls.cert_file else None
            access = await self._access_log(config, stack) if config.access_log != "none" else None
            handle = self._handler(link, config)
            site = Site(str(link.key), config, handle, self._listeners.counts, certificates, access)
            await stack.enter_async_context(self._listeners.serve(site))
            yield

    def _handler(self, link: Link[HttpServerConfig], config: HttpServerConfig) -> Handler:
        """On 1.x the provider is the source of its links, on 0.x the target, although it calls in both."""
        if link.key.role is Role.SOURCE:
            from providers.httpserver.wrpc import ComponentSite

            return ComponentSite(link, config, self.tracer).handle
        from providers.httpserver.wasmbus import ActorSite

        return ActorSite(link, config, self.tracer).handle

    async def _certificates(self, link: Link[HttpServerConfig], stack: AsyncExitStack) -> Certificates:
        from providers.httpserver.tls import Certificates

        def trouble(reason: str) -> None:
            link.unhealthy(reason) if reason else link.healthy()

        certificates = Certificates(link.config.tls, link.config.hosts, str(link.key))
        await asyncio.to_thread(certificates.load)
        watch = asyncio.create_task(certificates.watch(trouble), name=f"certificates of {link.key}")
        stack.callback(watch.cancel)
        return certificates

    async def _access_log(self, config: HttpServerConfig, stack: AsyncExitStack) -> AccessLog:
        from providers.httpserver.access import AccessLog

        access = await asyncio.to_thread(AccessLog, config.access_log, config.access_log_file)
        stack.push_async_callback(asyncio.to_thread, access.close)
        return access
