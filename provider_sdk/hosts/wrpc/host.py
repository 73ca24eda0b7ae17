"""A 1.x host as the runtime sees it: control subjects, link messages, health, shutdown (wrpc-1x.md §1, §2)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from provider_sdk.errors import InvalidArgument
from provider_sdk.hosts.base import Control, HostSettings, Identity, LinkSpec, StreamLimits
from provider_sdk.hosts.line import unreachable
from provider_sdk.hosts.wrpc.client import Client, WrpcLattice, WrpcTarget
from provider_sdk.hosts.wrpc.control_messages import ControlMessages, own_settings
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.hosts.wrpc.hostdata import HostData
from provider_sdk.hosts.wrpc.inbox import Inbox
from provider_sdk.hosts.wrpc.link_book import LinkBook
from provider_sdk.hosts.wrpc.links_wire import LinkDefinition
from provider_sdk.hosts.wrpc.names import invocation_prefix, queue_group
from provider_sdk.hosts.wrpc.server import Server, served
from provider_sdk.hosts.wrpc.spool import Budget
from provider_sdk.hosts.wrpc.stored_links import LinkStore
from provider_sdk.interface import Interface, Lattice, Target
from provider_sdk.link import LinkKey
from provider_sdk.metrics import Metrics
from provider_sdk.transport.base import Credentials, Subscription, Transport

log = logging.getLogger("provider.host")

DEFAULT_CALL_TIMEOUT = 2.0
ANSWERS_WITHIN = 0.03
"""Seconds that answers have at the end to go, half of them for callers who do not listen yet."""
ANSWERS_WITHOUT_HOST = 0.5
"""The same where no host waits to kill."""
SHUTDOWN_BUDGET = 0.25
"""Seconds; the host kills after 300 ms (§1.4)."""


class WrpcHost:
    """The side of one 1.x host that this provider talks to."""

    def __init__(self, data: HostData) -> None:
        self.data = data
        self.identity = Identity(data.lattice_rpc_prefix, data.host_id, data.provider_key, data.link_name, data.instance_id)
        self.settings = HostSettings(
            call_timeout=data.default_rpc_timeout_ms / 1000 if data.default_rpc_timeout_ms else DEFAULT_CALL_TIMEOUT,
            shutdown_budget=SHUTDOWN_BUDGET,
            log_level=data.log_level,
            structured_logging=data.structured_logging,
            trace_endpoint=data.otel_config.trace_endpoint,
            keeps_secrets=data.era is Era.SECOND,
        )
        self.provider_values: Mapping[str, object] = own_settings(data.config)
        self.provider_secrets: Mapping[str, str | bytes] = data.secrets
        box = data.secret_box
        self._x_key = box.key.public if box.key is not None else ""
        self._book = LinkBook(data.provider_key, box)
        self._refused: list[str] = []
        self._config_names: frozenset[str] = frozenset()
        self.links = tuple(self._first_links(data.link_definitions))
        self._transport: Transport | None = None
        self._client: Client | None = None
        self._server: Server | None = None
        self._calls: list[Subscription] = []
        self._messages: ControlMessages | None = None

    def _first_links(self, links: tuple[LinkDefinition, ...]) -> list[LinkSpec]:
        specs = []
        for link in links:
            try:
                specs.append(self._book.put(link))
            except InvalidArgument as error:
                self._refused.append(f"host data: link_definitions: dropped: {error}")
        return specs

    async def connect(self, ca_file: Path | None, limits: StreamLimits) -> Transport:
        """Connect to the lattice's NATS."""
        from provider_sdk.transport.nats import connect

        data = self.data
        for line in self._refused:
            log.error("%s", line)
        if beyond := data.otel_config.beyond():
            log.warning("%s", beyond)
        credentials = Credentials(
            data.lattice_rpc_url, data.lattice_rpc_user_jwt, data.lattice_rpc_user_seed, ca_file=ca_file, name=data.provider_key
        )
        try:
            self._transport = await connect(credentials)
        except InvalidArgument as error:
            raise unreachable(error) from None
        inbox = Inbox(self._transport)
        await inbox.open()
        lattice, timeout = data.lattice_rpc_prefix, self.settings.call_timeout
        self._client = Client(
            self._transport, inbox, lattice=lattice, origin=data.provider_key, timeout=timeout, era=data.era, budget=Budget(limits)
        )
        return self._transport

    async def subscribe(self, control: Control, serves: tuple[type[Interface], ...], metrics: Metrics) -> None:
        """Control first, calls last but for health (§1.4)."""
        transport, data = self._connected(), self.data
        messages = self._messages = ControlMessages(transport, control, self._book, serves, data.host_id, metrics)
        for link in self.links:
            messages.check(link)
        await messages.subscribe(data.lattice_rpc_prefix, data.provider_key, self._x_key)
        await messages.subscribe_configs(data.lattice_rpc_prefix, lambda name: name in self._config_names)
        await self._subscribe_calls(control, serves, metrics)
        await messages.subscribe_health(data.lattice_rpc_prefix, data.provider_key)
        await transport.flush()

    async def _subscribe_calls(self, control: Control, serves: tuple[type[Interface], ...], metrics: Metrics) -> None:
        transport, client, data = self._connected(), self._calling(), self.data
        subjects = invocation_prefix(data.lattice_rpc_prefix, data.provider_key)
        queue = queue_group(data.lattice_rpc_prefix, data.provider_key)
        try:
            operations = served(serves, data.era)
        except TypeError as error:
            raise InvalidArgument(str(error)) from None
        server = self._server = Server(
            transport, client.inbox, control, operations, subjects=subjects, era=data.era, budget=client.budget, metrics=metrics
        )
        for instance in dict.fromkeys(interface.__identity__.wit for interface in serves if interface.__identity__.wit):
            self._calls.append(await transport.subscribe(f"{subjects}{instance}.>", server.receive, queue=queue))

    async def known_links(self) -> tuple[LinkSpec, ...] | None:
        """The links of this provider as the lattice keeps them, without secrets but those that were told; None without an answer."""
        own, store = self.identity.provider_key, LinkStore(self._connected(), self.identity.lattice)
        links = await store.links(own)
        if links is None:
            return None
        names = list(dict.fromkeys(name for link in links for name in link.configs(link.ends.key(own).role)))
        self._config_names = frozenset(names)  # from here on a change is noticed, so that none falls between
        configs = dict(zip(names, await asyncio.gather(*map(store.config, names)), strict=True))
        return tuple(self._book.recovered(link, configs) for link in links)

    def target(self, key: LinkKey) -> Target:
        """The far side of a link."""
        return WrpcTarget(self._calling(), key.peer, key.name)

    def lattice(self, contract: str) -> Lattice:
        """See HostProtocol."""
        return WrpcLattice(self._calling())

    async def stop_calls(self) -> None:
        """Leave the queue group."""
        calls, self._calls = self._calls, []
        await asyncio.gather(*(subscription.unsubscribe() for subscription in calls))

    async def close(self) -> None:
        """Answer the shutdown request as the very last thing."""
        if self._transport is None:
            return
        replies = self._messages.shutdown_replies if self._messages is not None else []
        try:
            if self._server is not None:
                await self._server.acceptances.settle(ANSWERS_WITHIN if replies else ANSWERS_WITHOUT_HOST)
            for reply in replies:
                await self._transport.publish(reply, b"shutting down")
        finally:
            await self._transport.close()

    def _connected(self) -> Transport:
        assert self._transport is not None
        return self._transport

    def _calling(self) -> Client:
        assert self._client is not None
        return self._client
