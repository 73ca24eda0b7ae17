"""One wasmCloud 0.x host, emulated over a real NATS server: providers as processes, wasm actors, links, control interface.

async with Host.start("nats://127.0.0.1:4222", HostOptions(manner=Manner.OTP)) as host:
    provider = await host.start_provider(ProviderProgram((sys.executable, "-m", "numbergen"), key, "numbergen", contract))
    await host.ready(provider)
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from provider_sdk.errors import ProviderError, error_of
from provider_sdk.hosts.wasmbus.envelope import Entity
from provider_sdk.lattice.actors import ActorTable, RunningActor
from provider_sdk.lattice.calls import Outbound
from provider_sdk.lattice.control import ControlInterface
from provider_sdk.lattice.core import HostCore
from provider_sdk.lattice.emulated import EmulatedHost, resolved
from provider_sdk.lattice.events import OnCall
from provider_sdk.lattice.handshake import HostFacts, ProviderProgram
from provider_sdk.lattice.health import HealthTimes, read_health
from provider_sdk.lattice.links import LinkDefinition
from provider_sdk.lattice.manner import Manner
from provider_sdk.lattice.providers import OnExit, OnOutput, ProviderTable, RunningProvider
from provider_sdk.lattice.report import describe, inventory
from provider_sdk.lattice.told_links import ToldLinks
from provider_sdk.nkeys import KeyPair, Prefix
from provider_sdk.transport.base import Credentials, Transport

CALL_TIMEOUT = 15.0


@dataclass(frozen=True, slots=True)
class HostOptions:
    """How a host behaves. Times in seconds.

    `cluster` and `key` are made anew where None. `duplicates`: how often each link message is published (§6.2: hosts repeat
    them). `checks_capabilities`: a call needs the contract in the actor's claims (OTP, Rust up to 0.81). `on_output`, `on_exit` and
    `on_call` watch providers and calls. `resolve_provider` and `resolve_actor` turn the image references of control commands into
    programs and modules.
    """

    lattice: str = "default"
    manner: Manner = Manner.RUST
    cluster: KeyPair | None = None
    key: KeyPair | None = None
    user_jwt: str = ""
    user_seed: str = field(default="", repr=False)
    rpc_timeout: float = 2.0
    health: HealthTimes = field(default_factory=HealthTimes)
    heartbeat_every: float = 30.0
    duplicates: int = 2
    checks_capabilities: bool = True
    structured_logging: bool = False
    log_level: str | None = None
    friendly_name: str = "lattice-in-a-box"
    labels: Mapping[str, str] = field(default_factory=dict)
    on_output: OnOutput | None = None
    on_exit: OnExit | None = None
    on_call: OnCall | None = None
    resolve_provider: Callable[[str], ProviderProgram | Awaitable[ProviderProgram]] | None = None
    resolve_actor: Callable[[str], bytes | Awaitable[bytes]] | None = None


class Host(EmulatedHost[HostCore]):
    """A running host; made by `Host.start`."""

    def __init__(self, transport: Transport, url: str, options: HostOptions) -> None:
        self.options = options
        cluster, key = options.cluster or KeyPair.generate(Prefix.CLUSTER), options.key or KeyPair.generate(Prefix.SERVER)
        manner, timeout = options.manner, options.rpc_timeout
        super().__init__(HostCore(transport, options.lattice, key, timeout, manner, cluster, options.checks_capabilities), url)
        self.core.on_call = options.on_call
        self.core.labels.update(options.labels)
        facts = HostFacts(
            options.manner,
            options.lattice,
            key.public,
            url,
            cluster.seed,
            (cluster.public,),
            options.user_jwt,
            options.user_seed,
            options.rpc_timeout,
            options.structured_logging,
            options.log_level,
        )
        self._told_links = ToldLinks(self.core)
        self._outbound = Outbound(self.core)
        self._providers = ProviderTable(self.core, facts, options.health, self._outbound, options.on_output, options.on_exit)
        self._actors = ActorTable(self.core, self._outbound)

    @classmethod
    @asynccontextmanager
    async def start(cls, url: str, options: HostOptions | None = None) -> AsyncIterator[Host]:
        """Connect to the NATS server at `url` and take up work; on leaving, nothing stays: no process, task or subscription."""
        from provider_sdk.transport.nats import connect

        options = options or HostOptions()
        transport = await connect(Credentials(url, options.user_jwt, options.user_seed, name="lattice host"))
        try:
            host = cls(transport, url, options)
            async with host._serving(options.friendly_name, options.heartbeat_every):
                yield host
        finally:
            await transport.close()

    @property
    def providers(self) -> list[RunningProvider]:
        """The providers in the inventory."""
        return self._providers.all()

    @property
    def actors(self) -> list[RunningActor]:
        """The running actors."""
        return self._actors.all()

    @property
    def links(self) -> list[LinkDefinition]:
        """All links of the lattice that this host knows."""
        return list(self.core.links)

    def find_provider(self, key: str, link_name: str = "default") -> RunningProvider | None:
        """The provider of that key and link name, running or crashed."""
        return self._providers.find(key, link_name)

    async def start_provider(self, program: ProviderProgram, *, restarts: bool = False) -> RunningProvider:
        """Spawn a provider; returns once it runs, not once it listens (see `ready`). AlreadyExists, NotFound, PermissionDenied.

        With `restarts` it is started again when it ends by itself, after a pause that doubles, and calls that it leaves unanswered
        fail; real 0.x hosts do neither.
        """
        return await self._providers.start(program, restarts=restarts)

    async def start_provider_ref(self, reference: str, link_name: str, configuration: str | None = None) -> RunningProvider:
        """As the control interface does it: the program that `reference` stands for, under a link name."""
        try:
            program = await resolved(self.options.resolve_provider, reference)
        except ProviderError as error:
            failure = {"provider_ref": reference, "link_name": link_name, "error": str(error)}
            await self.core.announce("provider_start_failed", failure)
            raise
        changed = dataclasses.replace(program, image_ref=reference, link_name=link_name)
        if configuration is not None:
            changed = dataclasses.replace(changed, configuration=configuration)
        return await self.start_provider(changed)

    async def ready(self, provider: RunningProvider, timeout: float = 60.0) -> None:
        """Await the provider's first answer to a health request, after which no link message is lost (§6.2).

        Unavailable where its process ends before, DeadlineExceeded after `timeout` seconds.
        """
        subject = f"wasmbus.rpc.{self.core.lattice}.{provider.program.key}.{provider.program.link_name}.health"
        request = self.core.manner.habits.health_request
        answer = await self._first_health(provider.program.name, lambda: provider.running, subject, request, timeout)
        provider.health = read_health(answer)

    async def stop_provider(self, key: str, link_name: str = "default") -> None:
        """Shutdown request, then SIGKILL after the answer or the manner's limit (§7.2); NotFound."""
        await self._providers.stop(key, link_name)

    async def kill_provider(self, key: str, link_name: str = "default") -> int:
        """SIGKILL without a word, as an accident; returns the pid. NotFound."""
        return await self._providers.kill(key, link_name)

    async def start_actor(self, module: bytes, image_ref: str, *, instances: int = 4, time_limit: float | None = 5.0) -> RunningActor:
        """Verify the embedded claims and run the module; one of the same key is replaced. `time_limit` bounds a call's
        running, seconds, waiting for host calls not counted. ProviderError for a module that real hosts refuse."""
        return await self._actors.start(module, image_ref, instances, time_limit)

    async def start_actor_ref(self, reference: str, instances: int) -> RunningActor:
        """As the control interface does it: run the module that `reference` stands for."""
        return await self.start_actor(await resolved(self.options.resolve_actor, reference), reference, instances=instances)

    async def stop_actor(self, actor_id: str) -> None:
        """End an actor; NotFound."""
        await self._actors.stop(actor_id)

    async def put_link(
        self, actor_id: str, provider_id: str, contract_id: str, link_name: str = "default", values: Mapping[str, str] | None = None
    ) -> LinkDefinition:
        """Keep the link and publish it; a provider that is not subscribed yet never hears of it (§6.2)."""
        link = LinkDefinition(actor_id, provider_id, contract_id, link_name, dict(values or {}))
        self.core.links.put(link)
        await self._publish_link(link, "put", "linkdef_set")
        return link

    async def delete_link(self, actor_id: str, contract_id: str, link_name: str = "default") -> LinkDefinition | None:
        """Forget the link and publish that; an unknown one is nothing and None."""
        link = self.core.links.take(actor_id, contract_id, link_name)
        if link is not None:
            await self._publish_link(link, "del", "linkdef_deleted")
        return link

    async def _publish_link(self, link: LinkDefinition, verb: str, event: str) -> None:
        subject = f"wasmbus.rpc.{self.core.lattice}.{link.provider_id}.{link.link_name}.linkdefs.{verb}"
        for _ in range(self.options.duplicates):
            await self.core.transport.publish(subject, link.packed(self.core.manner))
        await self._told_links.announce(event, link)

    async def call_actor(self, actor_id: str, operation: str, payload: bytes, *, timeout: float = CALL_TIMEOUT) -> bytes:
        """Ask an actor over the lattice in the host's own name; ProviderError with the actor's text."""
        return await self.call(Entity(actor_id, "", ""), operation, payload, timeout=timeout)

    async def call(
        self, target: Entity, operation: str, payload: bytes, *, origin: Entity | None = None, timeout: float = CALL_TIMEOUT
    ) -> bytes:
        """Ask any actor or provider; a provider answers linked actors only, so name one as `origin`. ProviderError."""
        outcome = await self._outbound.call(origin or Entity(self.host_id, "", ""), target, operation, payload, timeout=timeout)
        if outcome.refusal is not None:
            raise error_of(outcome.refusal)
        if outcome.problem is not None:
            raise ProviderError.of(outcome.code, f"{operation} to {target.public_key}: {outcome.problem}")
        return outcome.result

    def trust_origin(self, public_key: str, name: str) -> None:
        """Let a caller that no host started, such as a program, call actors: the Rust host wants claims of each (§4.6)."""
        self.core.claims[public_key] = {"sub": public_key, "subject": public_key, "name": name}

    async def _subscribe(self) -> None:
        await self._told_links.begin()
        await ControlInterface(self).subscribe()

    async def _end_workloads(self) -> None:
        await self._providers.close()
        await self._actors.close()

    def _report(self) -> dict[str, Any]:
        return describe(self) | inventory(self)
