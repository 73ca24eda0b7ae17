"""A 1.x host as the runtime sees it: control subjects, link messages, health, shutdown (wrpc-1x.md §1, §2)."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from provider_sdk.errors import InvalidArgument, ProviderError
from provider_sdk.hosts.base import Control, HostSettings, Identity, LinkSpec, StreamLimits
from provider_sdk.hosts.wrpc.client import Client, WrpcLattice, WrpcTarget
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.hosts.wrpc.hostdata import HostData
from provider_sdk.hosts.wrpc.inbox import Inbox
from provider_sdk.hosts.wrpc.link_book import LinkBook
from provider_sdk.hosts.wrpc.links_wire import LinkDefinition, decode_json, decode_link, read_texts
from provider_sdk.hosts.wrpc.names import PROTOCOL
from provider_sdk.hosts.wrpc.otel import is_otel_key
from provider_sdk.hosts.wrpc.server import Server, served
from provider_sdk.hosts.wrpc.spool import Budget
from provider_sdk.hosts.wrpc.stored_links import LinkStore, StoredLink
from provider_sdk.interface import Interface, Lattice, Target
from provider_sdk.link import LinkKey
from provider_sdk.metrics import Metrics
from provider_sdk.transport.base import Credentials, Message, Subscription, Transport

log = logging.getLogger("provider.host")

DEFAULT_CALL_TIMEOUT = 2.0
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
        self.provider_values: Mapping[str, object] = _own(data.config)
        self.provider_secrets: Mapping[str, str | bytes] = data.secrets
        self._box = data.secret_box
        self._book = LinkBook(data.provider_key, self._box)
        self._refused: list[str] = []
        self.links = tuple(self._first_links(data.link_definitions))
        self._transport: Transport | None = None
        self._client: Client | None = None
        self._calls: list[Subscription] = []
        self._shutdown_replies: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def _first_links(self, links: tuple[LinkDefinition, ...]) -> list[LinkSpec]:
        specs = []
        for link in links:
            try:
                specs.append(self._book.put(link))
            except InvalidArgument as error:
                self._refused.append(f"host data: link_definitions: dropped: {error}")
        return specs

    async def connect(self, ca_file: Path | None, limits: StreamLimits = StreamLimits()) -> Transport:  # noqa: B008 # it cannot be changed
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
            # The credentials were checked with the host data; what is left is the address or the CA file.
            field = "provider configuration: nats_ca_file" if "authorities" in error.message else "host data: lattice_rpc_url"
            raise InvalidArgument(f"{field}: {error.message}") from None
        inbox = Inbox(self._transport)
        await inbox.open()
        lattice, timeout = data.lattice_rpc_prefix, self.settings.call_timeout
        self._client = Client(
            self._transport, inbox, lattice=lattice, origin=data.provider_key, timeout=timeout, era=data.era, budget=Budget(limits)
        )
        return self._transport

    async def subscribe(self, control: Control, serves: tuple[type[Interface], ...], metrics: Metrics) -> None:
        """Control first, calls last (§1.4). Plain functions: they are called in the order in which messages come."""
        transport, data = self._connected(), self.data
        base = f"wasmbus.rpc.{data.lattice_rpc_prefix}"
        malformed = metrics.counter("provider_control_malformed_total", "Control messages that could not be read.")

        def checked(handle: Callable[[bytes], None]) -> Callable[[Message], None]:
            def handler(message: Message) -> None:
                try:
                    handle(message.data)
                except InvalidArgument as error:
                    malformed.add()
                    log.error("%s: dropped: %s", message.subject, error)

            return handler

        def put(payload: bytes) -> None:
            control.put_link(self._book.put(decode_link(payload)))

        def put_copy(payload: bytes) -> None:
            control.put_link(self._book.put(decode_link(payload), with_secrets=False))

        def delete(payload: bytes) -> None:
            control.delete_link(self._book.delete(decode_link(payload)))

        def update(payload: bytes) -> None:
            control.update_config(_own(read_texts(decode_json(payload, "configuration"), "configuration")))

        def health(message: Message) -> None:
            if message.reply:
                task = asyncio.create_task(self._answer_health(control, message.reply))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                task.add_done_callback(control.fault)

        def shutdown(message: Message) -> None:
            self._shut_down(control, message)

        own = f"{base}.{data.provider_key}"
        if self._box.key is not None:
            await transport.subscribe(f"{base}.{self._box.key.public}.linkdefs.put", checked(put))
        await transport.subscribe(f"{own}.linkdefs.put", checked(put_copy))
        await transport.subscribe(f"{own}.linkdefs.del", checked(delete))
        await transport.subscribe(f"{own}.config.update", checked(update))
        await transport.subscribe(f"{own}.default.shutdown", shutdown)
        await self._subscribe_calls(control, serves, metrics)
        await transport.subscribe(f"{own}.health", health)
        await transport.flush()

    async def _subscribe_calls(self, control: Control, serves: tuple[type[Interface], ...], metrics: Metrics) -> None:
        transport, client, data = self._connected(), self._calling(), self.data
        subjects = f"{data.lattice_rpc_prefix}.{data.provider_key}.{PROTOCOL}."
        operations = served(serves, data.era)
        server = Server(
            transport, client.inbox, control, operations, subjects=subjects, era=data.era, budget=client.budget, metrics=metrics
        )
        for instance in dict.fromkeys(interface.__identity__.wit for interface in serves if interface.__identity__.wit):
            queue = f"{data.lattice_rpc_prefix}.{data.provider_key}"
            self._calls.append(await transport.subscribe(f"{subjects}{instance}.>", server.receive, queue=queue))

    async def _answer_health(self, control: Control, reply: str) -> None:
        state = await control.health()
        members: dict[str, Any] = {"healthy": state.healthy}
        if state.message:
            members["message"] = state.message.encode("utf-8", "backslashreplace").decode()
        try:
            await self._connected().publish(reply, json.dumps(members, ensure_ascii=False).encode())
        except ProviderError as error:
            log.warning("a health request could not be answered: %s", error)

    def _shut_down(self, control: Control, message: Message) -> None:
        """Begin to stop, if the request is for this host's provider; `close` answers it, for SIGKILL follows the answer (§1.4)."""
        try:
            asked = json.loads(message.data)
            host_id = asked.get("host_id") if isinstance(asked, dict) else None
        except (ValueError, RecursionError):
            host_id = None
        if not message.reply or host_id != self.data.host_id:
            log.debug("a shutdown request for the provider of another host: %s", host_id)
            return
        self._shutdown_replies.append(message.reply)
        control.shut_down()

    async def known_links(self) -> tuple[LinkSpec, ...] | None:
        """The links of this provider as the lattice keeps them, without secrets but those that were told; None without an answer."""
        store = LinkStore(self._connected(), self.identity.lattice)
        links = await store.links(self.identity.provider_key)
        return None if links is None else tuple(await asyncio.gather(*(self._recovered(store, link) for link in links)))

    async def _recovered(self, store: LinkStore, link: StoredLink) -> LinkSpec:
        values: dict[str, str] = {}
        missing = ""
        for name in link.configs(link.ends.key(self.identity.provider_key).role):
            config = await store.config(name)
            if config is None:
                missing = name
            else:
                values.update(config)
        return self._book.recovered(link, values, missing)

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
        for reply in self._shutdown_replies:
            await self._transport.publish(reply, b"shutting down")
        await self._transport.close()

    def _connected(self) -> Transport:
        assert self._transport is not None
        return self._transport

    def _calling(self) -> Client:
        assert self._client is not None
        return self._client


def _own(config: Mapping[str, str]) -> dict[str, str]:
    """The provider's own settings: those of telemetry are the host's to be read."""
    return {name: value for name, value in config.items() if not is_otel_key(name)}
