"""A 0.x host as the runtime sees it: subjects, link messages, health, shutdown (wasmbus-0x.md §1-§3, §6, §7)."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from pathlib import Path

from provider_sdk.errors import InvalidArgument, ProviderError
from provider_sdk.hosts.base import Control, HostSettings, Identity, LinkSpec, StreamLimits
from provider_sdk.hosts.line import unreachable
from provider_sdk.hosts.wasmbus.client import Client, Lattice, LatticeTarget
from provider_sdk.hosts.wasmbus.envelope import Entity
from provider_sdk.hosts.wasmbus.hostdata import HostData
from provider_sdk.hosts.wasmbus.links_wire import LinkDefinition, decode_link, encode_health
from provider_sdk.hosts.wasmbus.server import Server, served
from provider_sdk.interface import Interface, Target
from provider_sdk.link import LinkKey
from provider_sdk.metrics import Metrics
from provider_sdk.nkeys import KeyPair, Prefix
from provider_sdk.transport.base import Credentials, Message, Subscription, Transport

log = logging.getLogger("provider.host")

DEFAULT_CALL_TIMEOUT = 2.0
RUST_SHUTDOWN_BUDGET = 0.25
OTP_SHUTDOWN_BUDGET = 1.8
TEST_HOST = "_TEST_"
CONTROL_TIMEOUT = 2.0


class WasmbusHost:
    """The side of one 0.x host that this provider talks to."""

    def __init__(self, data: HostData) -> None:
        self.data = data
        self.identity = Identity(data.lattice_rpc_prefix, data.host_id, data.provider_key, data.link_name, data.instance_id)
        rust = data.otel_config is not None or "://" in data.lattice_rpc_url
        self.settings = HostSettings(
            call_timeout=data.default_rpc_timeout_ms / 1000 if data.default_rpc_timeout_ms else DEFAULT_CALL_TIMEOUT,
            shutdown_budget=RUST_SHUTDOWN_BUDGET if rust else OTP_SHUTDOWN_BUDGET,
            log_level=data.log_level or "",
            structured_logging=data.structured_logging,
            trace_endpoint=data.trace_endpoint,
        )
        self.links = tuple(_spec(link) for link in data.link_definitions)
        self.provider_values: Mapping[str, object] = _provider_values(data.config_json)
        self.provider_secrets: Mapping[str, str | bytes] = {}
        # The test kit's providers sign with a user key of their own (§1.3).
        key = KeyPair.generate(Prefix.USER) if data.host_id == TEST_HOST else KeyPair.from_seed(data.invocation_seed)
        self._key = key
        self._transport: Transport | None = None
        self._client: Client | None = None
        self._calls: Subscription | None = None
        self._shutdown_replies: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def connect(self, ca_file: Path | None, limits: StreamLimits) -> Transport:
        """Connect to the lattice's NATS; 0.x has no streams."""
        from provider_sdk.transport.nats import connect

        data = self.data
        name = f"{data.provider_key} {data.link_name}"
        credentials = Credentials(
            data.lattice_rpc_url,
            data.lattice_rpc_user_jwt,
            data.lattice_rpc_user_seed,
            tls=data.lattice_rpc_tls,
            ca_file=ca_file,
            name=name,
        )
        try:
            self._transport = await connect(credentials)
        except InvalidArgument as error:
            raise unreachable(error) from None
        host_id, lattice = data.host_id, data.lattice_rpc_prefix
        self._client = Client(self._transport, lattice=lattice, key=self._key, host_id=host_id, timeout=self.settings.call_timeout)
        return self._transport

    async def subscribe(self, control: Control, serves: tuple[type[Interface], ...], metrics: Metrics) -> None:
        """Control first, calls last but for health: a host takes the first health answer for readiness (§6.2)."""
        assert self._transport is not None
        transport, data = self._transport, self.data
        base = f"wasmbus.rpc.{data.lattice_rpc_prefix}.{data.provider_key}.{data.link_name}"
        issuers = frozenset(data.cluster_issuers)
        server = Server(
            transport, control, served(serves), lattice=data.lattice_rpc_prefix, key=data.provider_key, issuers=issuers, metrics=metrics
        )
        malformed = metrics.counter("provider_control_malformed_total", "Control messages that could not be read.")

        def link_message(message: Message) -> None:
            try:
                spec = _spec(decode_link(message.data))
            except ProviderError as error:
                malformed.add()
                log.error("%s: dropped: %s", message.subject, error)
                return
            if message.subject.endswith(".put"):
                control.put_link(spec)
            else:
                control.delete_link(spec.key)

        def health(message: Message) -> None:
            if message.reply:
                task = asyncio.create_task(self._answer_health(control, message.reply))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                task.add_done_callback(control.fault)

        def shutdown(message: Message) -> None:
            self._shut_down(control, message)

        # Plain functions: they are called in the order in which puts and dels were sent.
        await transport.subscribe(f"{base}.linkdefs.put", link_message)
        await transport.subscribe(f"{base}.linkdefs.del", link_message)
        await transport.subscribe(f"{base}.shutdown", shutdown)
        self._calls = await transport.subscribe(base, server.receive, queue="rpc")
        await transport.subscribe(f"{base}.health", health)
        await transport.flush()

    async def _answer_health(self, control: Control, reply: str) -> None:
        assert self._transport is not None
        state = await control.health()
        answer = encode_health(state.healthy, state.message, as_json=self.data.host_id == TEST_HOST)
        try:
            await self._transport.publish(reply, answer)
        except ProviderError as error:
            log.warning("a health request could not be answered: %s", error)

    def _shut_down(self, control: Control, message: Message) -> None:
        """Begin to stop, if the request is for this host; the answer is sent by `close`, for it is followed by SIGKILL (§7.2)."""
        if not message.reply:
            return
        try:
            asked = json.loads(message.data) if message.data else {}
            host_id = str(asked.get("host_id", "")) if isinstance(asked, dict) else ""
        except (ValueError, RecursionError):
            host_id = ""
        if host_id not in ("", self.data.host_id):
            return
        self._shutdown_replies.append(message.reply)
        control.shut_down()

    async def known_links(self) -> tuple[LinkSpec, ...] | None:
        """`get.links` of the control interface (§3.5), cut down to this provider and link name; None without an answer."""
        assert self._transport is not None
        try:
            subject = f"wasmbus.ctl.{self.identity.lattice}.get.links"
            answer = await self._transport.request(subject, b"", timeout=CONTROL_TIMEOUT)
        except ProviderError as error:
            log.debug("the control interface does not answer: %s", error)
            return None
        try:
            # Links of other providers may be as malformed as they like.
            links = [LinkDefinition.from_members(entry, "get.links") for entry in json.loads(answer.data)["links"] if self._is_own(entry)]
        except (ProviderError, ValueError, KeyError, TypeError, RecursionError) as error:
            log.warning("the control interface's answer to get.links cannot be read: %s", error)
            return None
        return tuple(map(_spec, links))

    def _is_own(self, entry: object) -> bool:
        if not isinstance(entry, dict):
            return False
        return (entry.get("provider_id"), entry.get("link_name")) == (self.identity.provider_key, self.identity.link_name)

    def target(self, key: LinkKey) -> Target:
        """The actor of a link, asked in this provider's name under the link's contract."""
        assert self._client is not None
        origin = Entity(self.identity.provider_key, self.identity.link_name, key.contract)
        return LatticeTarget(self._client, origin, Entity(key.peer, "", ""))

    def lattice(self, contract: str) -> Lattice:
        """See HostProtocol."""
        assert self._client is not None
        return Lattice(self._client, Entity(self.identity.provider_key, self.identity.link_name, contract))

    async def stop_calls(self) -> None:
        """Leave the queue group."""
        if self._calls is not None:
            await self._calls.unsubscribe()
            self._calls = None

    async def close(self) -> None:
        """Answer the shutdown request as the very last thing."""
        if self._transport is None:
            return
        try:
            for reply in self._shutdown_replies:
                await self._transport.publish(reply, b"shutting down")
        finally:
            await self._transport.close()


def _spec(link: LinkDefinition) -> LinkSpec:
    return LinkSpec(LinkKey(link.actor_id, link.contract_id, link.link_name), dict(link.values))


def _provider_values(config_json: str) -> dict[str, object]:
    if not config_json.strip():
        return {}
    try:
        values = json.loads(config_json)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"host data: config_json: not JSON: {error}") from None
    if not isinstance(values, dict):
        raise InvalidArgument(f"host data: config_json: expected a JSON object, got {type(values).__name__}")
    return values
