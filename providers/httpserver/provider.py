"""Httpserver: listens for HTTP and asks the linked actor for each response. Links may share an address."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from provider_sdk import InvalidArgument, Link, Provider, Role
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

        config = self._settings(link)
        async with AsyncExitStack() as stack:
            certificates = await self._certificates(link, config, stack) if config.tls.cert_file else None
            access = await self._access_log(config, stack) if config.access_log != "none" else None
            handle = self._handler(link, config)
            site = Site(link.key, config, handle, self._listeners.counts, certificates, access)
            await stack.enter_async_context(self._listeners.serve(site))
            yield

    def _handler(self, link: Link[HttpServerConfig], config: HttpServerConfig) -> Handler:
        """On 1.x the provider is the source of its links, on 0.x the target, although it calls in both."""
        if link.key.role is Role.SOURCE:
            from providers.httpserver.wrpc import ComponentSite

            return ComponentSite(link, config, self.tracer).handle
        from providers.httpserver.wasmbus import ActorSite

        return ActorSite(link, config, self.tracer).handle

    def _settings(self, link: Link[HttpServerConfig]) -> HttpServerConfig:
        """The link's settings; in routing modes path and host those of the provider itself, and of the link's nothing but its route."""
        given = link.config
        if given.routing_mode == "address":
            for name in ("path", "host"):
                if getattr(given, name) is not None:
                    link.log.warning("%s is without effect: it counts where the provider's routing_mode is %s", name, name)
            return given
        own = self.config
        if own.routing_mode != given.routing_mode:
            raise InvalidArgument("routing_mode: give it in the provider's own configuration: it is the same for all links")
        if not (given.path if own.routing_mode == "path" else given.host):
            raise InvalidArgument(f"{own.routing_mode}: the link gives none, and routing_mode is {own.routing_mode}")
        config = replace(own, path=given.path, host=given.host)
        if config != given:
            link.log.warning("routing_mode %s: of a link's settings only %s counts", own.routing_mode, own.routing_mode)
        return config

    async def _certificates(self, link: Link[HttpServerConfig], config: HttpServerConfig, stack: AsyncExitStack) -> Certificates:
        from providers.httpserver.tls import Certificates

        def trouble(reason: str) -> None:
            link.unhealthy(reason) if reason else link.healthy()

        certificates = Certificates(config.tls, config.hosts, str(link.key))
        await asyncio.to_thread(certificates.load)
        watch = asyncio.create_task(certificates.watch(trouble), name=f"certificates of {link.key}")
        stack.callback(watch.cancel)
        return certificates

    async def _access_log(self, config: HttpServerConfig, stack: AsyncExitStack) -> AccessLog:
        from providers.httpserver.access import AccessLog

        access = await asyncio.to_thread(AccessLog, config.access_log, config.access_log_file)
        stack.push_async_callback(asyncio.to_thread, access.close)
        return access
