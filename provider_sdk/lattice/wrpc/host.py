"""One wasmCloud 1.x host, emulated over a real NATS server: providers as processes, components in Python, links, control interface.

async with WrpcLatticeHost.start("nats://127.0.0.1:4222") as host:
    provider = await host.start_provider(WrpcProgram((sys.executable, "greeter.py"), "greeter", "greeter"))
    await host.ready(provider)
    await host.put_link(InterfaceLink("hello", "greeter", "acme", "greeter", ("greeter",)))
    await Greeter.at(host.component("hello").provider("greeter")).greet("Ada")
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from provider_sdk.errors import ProviderError
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.interface import Interface
from provider_sdk.lattice.emulated import EmulatedHost, resolved
from provider_sdk.lattice.tasks import log
from provider_sdk.lattice.wrpc.calls import OnWrpcCall
from provider_sdk.lattice.wrpc.components import Component, Components, MakeComponent, RunningComponent
from provider_sdk.lattice.wrpc.control import WrpcControlInterface
from provider_sdk.lattice.wrpc.core import WrpcCore
from provider_sdk.lattice.wrpc.definitions import Definitions
from provider_sdk.lattice.wrpc.handshake import OTEL, WrpcFacts, WrpcProgram
from provider_sdk.lattice.wrpc.links import InterfaceLink, InterfaceLinks
from provider_sdk.lattice.wrpc.providers import Supervision, WrpcProvider, WrpcProviders, read_health
from provider_sdk.lattice.wrpc.report import inventory
from provider_sdk.lattice.wrpc.settings import FindSecret, NamedConfigs, no_secrets
from provider_sdk.nkeys import KeyPair, Prefix
from provider_sdk.transport.base import Credentials, Transport

VERSIONS = {Era.FIRST: "1.0.4", Era.SECOND: "1.9.2"}


@dataclass(frozen=True, slots=True)
class WrpcHostOptions:
    """How a host behaves. Times in seconds.

    `era` FIRST is a host of v1.0: no X keys, no secrets. `find_secret` gives the secrets that configurations refer to.
    `on_call` watches calls of components. `resolve_provider` turns the image references of control commands into programs,
    `resolve_component` into what makes components (components.py).
    """

    lattice: str = "default"
    era: Era = Era.SECOND
    key: KeyPair | None = None
    user_jwt: str = ""
    user_seed: str = field(default="", repr=False)
    rpc_timeout: float = 2.0
    heartbeat_every: float = 30.0
    structured_logging: bool = False
    log_level: str | None = "info"
    otel: Mapping[str, Any] = field(default_factory=lambda: OTEL)
    friendly_name: str = "lattice-in-a-box"
    labels: Mapping[str, str] = field(default_factory=dict)
    supervision: Supervision = field(default_factory=Supervision)
    find_secret: FindSecret = no_secrets
    on_call: OnWrpcCall | None = None
    resolve_provider: Callable[[str], WrpcProgram | Awaitable[WrpcProgram]] | None = None
    resolve_component: Callable[[str], MakeComponent | Awaitable[MakeComponent]] | None = None


class WrpcLatticeHost(EmulatedHost[WrpcCore]):
    """A running host; made by `WrpcLatticeHost.start`. `configs` are the lattice's named configurations."""

    def __init__(self, transport: Transport, url: str, options: WrpcHostOptions) -> None:
        self.options = options
        key = options.key or KeyPair.generate(Prefix.SERVER)
        super().__init__(WrpcCore(transport, options.lattice, key, options.rpc_timeout, options.era), url)
        self.core.labels.update(options.labels)
        second = options.era is Era.SECOND
        self.configs = NamedConfigs(options.find_secret, has_secrets=second)
        facts = WrpcFacts(
            options.lattice,
            key.public,
            url,
            options.era,
            self.core.curve.public,
            options.user_jwt,
            options.user_seed,
            options.rpc_timeout,
            options.structured_logging,
            options.log_level,
            options.otel,
        )
        self._links = InterfaceLinks()
        self._definitions = Definitions(self.core, self.configs)
        self._providers = WrpcProviders(self.core, facts, self.configs, self._links, self._definitions, options.supervision)
        self._components = Components(self.core, self._links, options.on_call)

    @classmethod
    @asynccontextmanager
    async def start(cls, url: str, options: WrpcHostOptions | None = None) -> AsyncIterator[WrpcLatticeHost]:
        """Connect to the NATS server at `url` and take up work; on leaving, nothing stays: no process, task or subscription."""
        from provider_sdk.transport.nats import connect

        options = options or WrpcHostOptions()
        transport = await connect(Credentials(url, options.user_jwt, options.user_seed, name="lattice host"))
        try:
            host = cls(transport, url, options)
            async with host._serving(options.friendly_name, options.heartbeat_every):
                yield host
        finally:
            await transport.close()

    @property
    def version(self) -> str:
        """The version of the hosts that it behaves like."""
        return VERSIONS[self.core.era]

    @property
    def providers(self) -> list[WrpcProvider]:
        """The providers in the inventory."""
        return self._providers.all()

    @property
    def components(self) -> list[RunningComponent]:
        """The components in the inventory."""
        return self._components.all()

    @property
    def links(self) -> list[InterfaceLink]:
        """All links of the lattice."""
        return list(self._links)

    def find_provider(self, identifier: str) -> WrpcProvider | None:
        """The provider of that id, running or crashed."""
        return self._providers.find(identifier)

    async def start_provider(self, program: WrpcProgram) -> WrpcProvider:
        """Spawn a provider; returns once it runs, not once it listens (see `ready`). AlreadyExists, NotFound, PermissionDenied."""
        return await self._providers.start(program)

    async def start_provider_ref(
        self, reference: str, identifier: str, config: tuple[str, ...], annotations: Mapping[str, str]
    ) -> WrpcProvider:
        """As the control interface does it: the program that `reference` stands for, under an id."""
        try:
            program = await resolved(self.options.resolve_provider, reference)
        except ProviderError as error:
            failure = {"provider_ref": reference, "provider_id": identifier, "error": str(error), "host_id": self.host_id}
            await self.core.announce("provider_start_failed", failure)
            raise
        return await self.start_provider(
            dataclasses.replace(program, image_ref=reference, id=identifier, config=config, annotations=dict(annotations))
        )

    async def adopt_provider(self, program: WrpcProgram) -> tuple[WrpcProvider, dict[str, Any]]:
        """A provider that the caller runs itself, with the host data for it; it is told of links and configuration like any other."""
        return await self._providers.adopt(program)

    async def ready(self, provider: WrpcProvider, timeout: float = 60.0) -> None:
        """Await the provider's first answer to a health request, after which no link message is lost (§2.1).

        Unavailable where its process ends before, DeadlineExceeded after `timeout` seconds.
        """
        subject = self.core.control_subject(provider.program.id, "health")
        answer = await self._first_health(provider.program.name, lambda: provider.running, subject, b"", timeout)
        provider.health = read_health(answer)

    async def stop_provider(self, identifier: str) -> None:
        """Shutdown request, then SIGKILL after the answer or the delay (§1.4); NotFound."""
        await self._providers.stop(identifier)

    def kill_provider(self, identifier: str) -> int:
        """SIGKILL without a word, as an accident; returns the pid. NotFound."""
        return self._providers.kill(identifier)

    def component(self, identifier: str, config: tuple[str, ...] = ()) -> Component:
        """Whoever calls in the name of a component, served here or not; `config` names what it is configured with."""
        return self._components.caller(identifier, self.configs.resolve(config))

    async def serve_component(
        self, identifier: str, *implementations: Interface, image_ref: str = "", instances: int = 1
    ) -> RunningComponent:
        """Answer the calls to the component `id` with `implementations`, in place of what answers them now."""
        return await self._components.serve(identifier, implementations, image_ref, instances)

    async def stop_component(self, identifier: str) -> None:
        """Serve it no more; an unknown one is nothing."""
        await self._components.stop(identifier)

    async def scale_component(self, reference: str, identifier: str, count: int, config: tuple[str, ...] = ()) -> None:
        """As the control interface does it: serve what `reference` stands for, under an id; a count of 0 ends it. ProviderError."""
        if count == 0:
            await self.stop_component(identifier)
            return
        try:
            make = await resolved(self.options.resolve_component, reference)
        except ProviderError as error:
            failure = {"component_id": identifier, "image_ref": reference, "max_instances": count, "error": str(error)}
            await self.core.announce("component_scale_failed", failure | {"host_id": self.host_id})
            raise
        await self.serve_component(identifier, *make(self.component(identifier, config)), image_ref=reference, instances=count)

    async def put_link(self, link: InterfaceLink) -> None:
        """Keep the link and tell its sides (§2.1); put again unchanged, only those are told that listen on the provider's id.

        AlreadyExists where the caller has another target there; NotFound for a configuration that does not exist. A secret that does not
        is found out when it is to be told, and only logged.
        """
        try:
            self._links.check(link)
            self.configs.check((*link.source_config, *link.target_config))
        except ProviderError as error:
            await self.core.announce("linkdef_set_failed", link.document() | {"error": str(error)})
            raise
        changed = self._links.put(link)
        await self.core.announce("linkdef_set", link.document())
        first = self.core.era is Era.FIRST
        if changed and not first:
            for provider in self.providers:
                if provider.program.id in (link.source_id, link.target):
                    await self._tell_sealed(link, provider.xkey.public)
        if first or not link.has_secrets:
            for identifier in (link.source_id, link.target):
                await self._tell(identifier, "linkdefs.put", self._definitions.plain(link))

    async def delete_link(
        self, source_id: str, wit_namespace: str, wit_package: str, name: str = "default", target: str = ""
    ) -> InterfaceLink | None:
        """Forget the first link that the caller has under these, to `target` or to any, and tell both sides; None where there is none."""
        link = self._links.take(source_id, wit_namespace, wit_package, name, target)
        if link is not None:
            await self.core.announce("linkdef_deleted", link.identity())
            for side in (link.source_id, link.target):
                await self._tell(side, "linkdefs.del", self._definitions.deleted(link))
        return link

    async def put_config(self, name: str, values: Mapping[str, str]) -> None:
        """Keep a named configuration; providers whose own it is are told, links are not (§2.1). One whose name begins with SECRET
        holds the reference to a secret."""
        self.configs.put(name, values)
        await self.core.announce("config_set", {"config_name": name})
        await self._providers.update_configs(name)

    async def delete_config(self, name: str) -> None:
        """Forget a named configuration."""
        self.configs.delete(name)
        await self.core.announce("config_deleted", {"config_name": name})
        await self._providers.update_configs(name)

    async def _tell_sealed(self, link: InterfaceLink, xkey: str) -> None:
        try:
            document = self._definitions.sealed(link, xkey)
        except ProviderError as error:
            log.error("link of %s to %s cannot be told: %s", link.source_id, link.target, error)
            return
        await self._tell(xkey, "linkdefs.put", document)

    async def _tell(self, identifier: str, verb: str, document: Mapping[str, Any]) -> None:
        await self.core.transport.publish(self.core.control_subject(identifier, verb), json.dumps(document).encode())

    async def _subscribe(self) -> None:
        await self._components.open()
        await WrpcControlInterface(self).subscribe()

    async def _end_workloads(self) -> None:
        await self._providers.close()
        await self._components.close()

    def _report(self) -> dict[str, Any]:
        return inventory(self)
