"""A 1.x lattice for tests: real NATS, an emulated host, providers and components that come and go with the test."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import secrets as random
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provider_sdk.config import Layer
from provider_sdk.errors import NotFound, Unavailable
from provider_sdk.hosts.wrpc.client import WrpcTarget
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.hosts.wrpc.host import WrpcHost
from provider_sdk.hosts.wrpc.hostdata import parse_host_data
from provider_sdk.interface import Interface, Target
from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.lattice.wrpc.components import Component
from provider_sdk.lattice.wrpc.handshake import WrpcProgram
from provider_sdk.lattice.wrpc.host import WrpcHostOptions, WrpcLatticeHost
from provider_sdk.lattice.wrpc.links import InterfaceLink, parts_of
from provider_sdk.lattice.wrpc.providers import Supervision
from provider_sdk.lattice.wrpc.settings import Secret, SecretReference
from provider_sdk.provider import Provider
from provider_sdk.runtime.lifecycle import Runtime
from provider_sdk.runtime.settings import RuntimeSettings
from provider_sdk.testing.lattice import READY_WITHIN, command_of, end_runtime, until_ready
from provider_sdk.transport.base import Transport

Interfaces = tuple[type[Interface], ...]


@dataclass(frozen=True, slots=True)
class WrpcProvided:
    """A provider under test. `serves` are the interfaces that links to it are made for; `pid` is 0 in the test's own process."""

    id: str
    serves: Interfaces = ()
    pid: int = 0
    output: list[str] = field(default_factory=list, compare=False)


@dataclass
class WrpcTestLattice:
    """The 1.x lattice of one test. Everything started through it ends with it."""

    server: NatsServer
    host: WrpcLatticeHost
    _stack: contextlib.AsyncExitStack
    _output: dict[str, list[str]]
    _secrets: dict[str, Secret] = field(repr=False)

    @property
    def transport(self) -> Transport:
        """The host's connection: what is sent on it arrives in order with link messages."""
        return self.host.core.transport

    async def in_process(
        self,
        provider_class: type[Provider[Any]],
        *,
        configuration: Mapping[str, str] | None = None,
        secrets: Mapping[str, Secret] | None = None,
        id: str = "",
    ) -> WrpcProvided:
        """Run a provider inside the test: breakpoints and coverage work, signals and the parent watch are left out."""
        identifier = id or _new_id(provider_class.__name__)
        names = await self._settings(identifier, configuration, secrets)
        adopted, document = await self.host.adopt_provider(WrpcProgram((), identifier, provider_class.__name__, names))
        wrpc = WrpcHost(parse_host_data(json.loads(json.dumps(document))))
        settings = RuntimeSettings.load(Layer("provider configuration", wrpc.provider_values), ignore=None).config
        runtime = Runtime(provider_class, wrpc, settings, own_process=False)
        task = asyncio.create_task(runtime.run())
        self._stack.push_async_callback(end_runtime, runtime, task)
        await until_ready(task, self.host.ready(adopted, READY_WITHIN))
        return WrpcProvided(identifier, provider_class.serves)

    async def process(
        self,
        program: str | Path,
        *,
        serves: Interfaces = (),
        configuration: Mapping[str, str] | None = None,
        secrets: Mapping[str, Secret] | None = None,
        id: str = "",
    ) -> WrpcProvided:
        """Start a provider as the host would: a module (`providers.numbergen`), a Python file, or the Path of a program. Returns when
        it answers health."""
        name = Path(str(program)).stem
        identifier = id or _new_id(name)
        names = await self._settings(identifier, configuration, secrets)
        started = await self.host.start_provider(WrpcProgram(command_of(program), identifier, name, names))
        output = self._output.setdefault(identifier, [])
        try:
            await self.host.ready(started, READY_WITHIN)
        except Unavailable:
            raise Unavailable(f"{program} ended at once: {' | '.join(output[-5:])}") from None
        return WrpcProvided(identifier, serves, started.process.pid if started.process else 0, output)

    async def link(
        self,
        provider: WrpcProvided,
        values: Mapping[str, str] | None = None,
        *,
        secrets: Mapping[str, Secret] | None = None,
        component: str = "",
        name: str = "default",
        interfaces: Interfaces = (),
    ) -> Target:
        """Link a component (a new one by default) to the provider, for the interfaces that it serves; put again, the link is changed.

        The target asks the provider in that component's name.
        """
        identity = component or _new_id("component")
        sides = await self._settings(f"{identity}-{provider.id}-{name}", values, secrets)
        for link in _links(identity, provider.id, interfaces or provider.serves, name):
            await self.host.put_link(dataclasses.replace(link, target_config=sides))
        return self.caller(identity).provider(provider.id, name)

    async def link_to(
        self,
        provider: WrpcProvided,
        component: str,
        interfaces: Interfaces,
        values: Mapping[str, str] | None = None,
        *,
        secrets: Mapping[str, Secret] | None = None,
        name: str = "default",
    ) -> None:
        """Link the provider, as the one who calls, to a component that exports `interfaces`."""
        sides = await self._settings(f"{provider.id}-{component}-{name}", values, secrets)
        for link in _links(provider.id, component, interfaces, name):
            await self.host.put_link(dataclasses.replace(link, source_config=sides))

    async def unlink(self, provider: WrpcProvided, target: Target) -> None:
        """Delete the links behind a target that `link` gave."""
        assert isinstance(target, WrpcTarget)
        await self._unlink(target.client.origin, provider.id, target.link_name)

    async def unlink_from(self, provider: WrpcProvided, component: str, *, name: str = "default") -> None:
        """Delete the links that `link_to` put."""
        await self._unlink(provider.id, component, name)

    async def _unlink(self, source: str, target: str, name: str) -> None:
        for link in self.host.links:
            if (link.source_id, link.target, link.name) == (source, target, name):
                await self.host.delete_link(source, link.wit_namespace, link.wit_package, name)

    async def component(self, *implementations: Interface, id: str = "") -> str:
        """A component in Python that answers with `implementations`: its id."""
        identifier = id or _new_id("component")
        await self.host.serve_component(identifier, *implementations)
        return identifier

    def caller(self, component: str) -> Component:
        """Whoever calls in the name of a component: `Store.at(lattice.caller("hello"))` goes over its links."""
        return self.host.component(component)

    async def configure(self, provider: WrpcProvided, values: Mapping[str, str]) -> None:
        """Change the provider's own configuration at run time."""
        await self.host.put_config(provider.id, values)

    async def kill(self, provider: WrpcProvided) -> None:
        """SIGKILL the process of a provider; the host starts it again, as its `supervision` says."""
        self.host.kill_provider(provider.id)

    async def health(self, provider: WrpcProvided) -> bytes:
        """The raw answer to a health request."""
        return (await self.transport.request(self.host.core.control_subject(provider.id, "health"), b"", timeout=10.0)).data

    async def _settings(self, name: str, values: Mapping[str, str] | None, secrets: Mapping[str, Secret] | None) -> tuple[str, ...]:
        """Names of configurations that hold these."""
        await self.host.put_config(name, dict(values or {}))
        names = [name]
        for setting, secret in (secrets or {}).items():
            key = f"{name}-{setting}"
            self._secrets[key] = secret
            names.append(f"SECRET_{key}")
            await self.host.put_config(names[-1], SecretReference(setting, key).values())
        return tuple(names)


def _new_id(name: str) -> str:
    return f"{name.lower()}-{random.token_hex(4)}"


def _links(source: str, target: str, interfaces: Iterable[type[Interface]], name: str) -> list[InterfaceLink]:
    """A link for each package."""
    packages: dict[tuple[str, str], list[str]] = {}
    for interface in interfaces:
        if instance := interface.__identity__.wit:
            namespace, package, bare = parts_of(instance)
            packages.setdefault((namespace, package), []).append(bare)
    return [InterfaceLink(source, target, *package, tuple(dict.fromkeys(names)), name) for package, names in packages.items()]


@asynccontextmanager
async def a_wrpc_lattice(
    *, era: Era = Era.SECOND, url: str | None = None, rpc_timeout: float = 2.0, supervision: Supervision | None = None
) -> AsyncIterator[WrpcTestLattice]:
    """A 1.x lattice of its own: a fresh NATS server (or the one at `url` or NATS_URL), a host of v1.0 (`era` FIRST) or of v1.1 to v1.9."""
    output: dict[str, list[str]] = {}
    kept: dict[str, Secret] = {}

    def collect(program: WrpcProgram, stream: str, line: str) -> None:
        output.setdefault(program.id, []).append(line)

    def find_secret(reference: SecretReference) -> Secret:
        if reference.key not in kept:
            raise NotFound(f"secret {reference.key} does not exist")
        return kept[reference.key]

    supervised = dataclasses.replace(supervision or Supervision(), on_output=collect)
    name = f"test-{os.getpid()}-{random.token_hex(4)}"
    options = WrpcHostOptions(lattice=name, era=era, rpc_timeout=rpc_timeout, supervision=supervised, find_secret=find_secret)
    async with (
        NatsServer.start(url=url) as server,
        WrpcLatticeHost.start(server.url, options) as host,
        contextlib.AsyncExitStack() as stack,
    ):
        yield WrpcTestLattice(server, host, stack, output, kept)
