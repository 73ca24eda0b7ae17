"""A lattice for tests: real NATS, an emulated host, providers and actors that come and go with the test."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provider_sdk.config import Layer
from provider_sdk.errors import DeadlineExceeded, Unavailable
from provider_sdk.hosts.wasmbus.client import Client, LatticeTarget
from provider_sdk.hosts.wasmbus.envelope import Entity
from provider_sdk.hosts.wasmbus.host import WasmbusHost
from provider_sdk.hosts.wasmbus.hostdata import parse_host_data
from provider_sdk.hosts.wasmbus.server import Server, served
from provider_sdk.interface import Interface, Target
from provider_sdk.lattice.answers import Answers
from provider_sdk.lattice.handshake import HostFacts, ProviderProgram, host_data
from provider_sdk.lattice.host import Host, HostOptions
from provider_sdk.lattice.manner import Manner
from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.nkeys import KeyPair, Prefix
from provider_sdk.provider import Provider
from provider_sdk.runtime.lifecycle import Runtime
from provider_sdk.runtime.settings import RuntimeSettings
from provider_sdk.transport.base import Credentials, Transport
from provider_sdk.transport.nats import connect

READY_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Provided:
    """A provider under test. `pid` is 0 for one that runs in the test's own process."""

    key: str
    contract: str
    link_name: str = "default"
    pid: int = 0
    output: list[str] = field(default_factory=list, compare=False)


@dataclass
class TestLattice:
    """The lattice of one test. Everything started through it ends with it."""

    __test__ = False  # not a test case, whatever pytest thinks of the name

    server: NatsServer
    host: Host
    transport: Transport
    client: Client
    _stack: contextlib.AsyncExitStack
    _output: dict[str, list[str]]

    async def in_process(
        self,
        provider_class: type[Provider[Any]],
        *,
        contract: str,
        configuration: Mapping[str, object] | None = None,
        link_name: str = "default",
    ) -> Provided:
        """Run a provider inside the test: breakpoints and coverage work, signals and the parent watch are left out."""
        key = KeyPair.generate(Prefix.PROVIDER).public
        given = json.dumps(dict(configuration or {}))
        program = ProviderProgram((), key, provider_class.__name__, contract, link_name, configuration=given)
        core = self.host.core
        facts = HostFacts(core.manner, core.lattice, core.host_id, self.host.url, core.cluster.seed, (core.cluster.public,))
        wasmbus = WasmbusHost(parse_host_data(json.loads(json.dumps(host_data(facts, program, "test", ())))))
        settings = RuntimeSettings.load(Layer("provider configuration", wasmbus.provider_values), ignore=None).config
        runtime = Runtime(provider_class, wasmbus, settings, own_process=False)
        task = asyncio.create_task(runtime.run())
        self._stack.push_async_callback(end_runtime, runtime, task)
        await until_ready(task, self._until_healthy(key, link_name))
        return Provided(key, contract, link_name)

    async def process(
        self, program: str | Path, *, contract: str, configuration: Mapping[str, object] | None = None, link_name: str = "default"
    ) -> Provided:
        """Start a provider as the host would: a module (`providers.numbergen`), a Python file, or the Path of a program. Returns when
        it answers health."""
        command = command_of(program)
        key = KeyPair.generate(Prefix.PROVIDER).public
        given = None if configuration is None else json.dumps(dict(configuration))
        name = Path(str(program)).stem
        started = await self.host.start_provider(ProviderProgram(command, key, name, contract, link_name, configuration=given))
        output = self._output.setdefault(key, [])
        ready = asyncio.create_task(self._until_healthy(key, link_name))
        while not ready.done():
            await asyncio.wait([ready], timeout=0.1)
            if not started.process.running:
                ready.cancel()
                raise Unavailable(f"{program} ended at once: {' | '.join(output[-5:])}")
        ready.result()
        return Provided(key, contract, link_name, started.process.pid, output)

    async def link(self, provider: Provided, values: Mapping[str, str] | None = None, *, actor: str = "") -> Target:
        """Link an actor (a new one by default) to the provider; the target asks the provider in that actor's name."""
        identity = actor or KeyPair.generate(Prefix.MODULE).public
        await self.host.put_link(identity, provider.key, provider.contract, provider.link_name, dict(values or {}))
        return LatticeTarget(self.client, Entity(identity, "", ""), Entity(provider.key, provider.link_name, provider.contract))

    async def unlink(self, provider: Provided, target: Target) -> None:
        """Delete the link behind a target that `link` gave."""
        assert isinstance(target, LatticeTarget)
        await self.host.delete_link(target.origin.public_key, provider.contract, provider.link_name)

    async def actor(self, *implementations: Interface) -> str:
        """An actor in Python that answers with `implementations`: its public key. Link a provider to it with `link(actor=…)`."""
        key = KeyPair.generate(Prefix.MODULE).public
        core = self.host.core
        operations = served(tuple(type(item).__declaration__ for item in implementations))
        control = Answers(implementations)
        server = Server(self.transport, control, operations, lattice=core.lattice, key=key, issuers=frozenset([core.cluster.public]))
        subject = f"wasmbus.rpc.{core.lattice}.{key}"
        subscription = await self.transport.subscribe(subject, server.receive, queue=subject)
        await self.transport.flush()
        self._stack.push_async_callback(control.close)
        self._stack.push_async_callback(subscription.unsubscribe)
        return key

    async def kill(self, provider: Provided) -> None:
        """SIGKILL the process of a provider."""
        await self.host.kill_provider(provider.key, provider.link_name)

    async def health(self, provider: Provided) -> bytes:
        """The raw answer to a health request."""
        subject = f"wasmbus.rpc.{self.host.core.lattice}.{provider.key}.{provider.link_name}.health"
        return (await self.transport.request(subject, b"", timeout=10.0)).data

    async def _until_healthy(self, key: str, link_name: str) -> None:
        subject = f"wasmbus.rpc.{self.host.core.lattice}.{key}.{link_name}.health"
        async with asyncio.timeout(READY_WITHIN):
            while True:
                with contextlib.suppress(Unavailable, DeadlineExceeded):
                    await self.transport.request(subject, b"", timeout=2.0)
                    return
                await asyncio.sleep(0.02)


def command_of(program: str | Path) -> tuple[str, ...]:
    """How a module, a Python file or a program is started."""
    if str(program).endswith(".py"):
        return (sys.executable, str(program))
    return (str(program.absolute()),) if isinstance(program, Path) else (sys.executable, "-m", program)


async def until_ready(runtime: asyncio.Task[int], ready: Coroutine[Any, Any, None]) -> None:
    """Await `ready`; where the provider in this process ends before, what ended it is raised."""
    waiting = asyncio.create_task(ready)
    await asyncio.wait([runtime, waiting], return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        raise Unavailable(f"the provider ended with code {runtime.result()} before it was ready")
    waiting.result()


async def end_runtime(runtime: Runtime, task: asyncio.Task[int]) -> None:
    """Stop a provider that runs in this process."""
    runtime.shut_down()
    await asyncio.wait([task])


@asynccontextmanager
async def a_lattice(*, manner: Manner = Manner.RUST, url: str | None = None, rpc_timeout: float = 2.0) -> AsyncIterator[TestLattice]:
    """A lattice of its own: a fresh NATS server (or the one at `url` or NATS_URL), a host of the given manner."""
    output: dict[str, list[str]] = {}

    def collect(program: ProviderProgram, stream: str, line: str) -> None:
        output.setdefault(program.key, []).append(line)

    name = f"test-{os.getpid()}-{secrets.token_hex(4)}"
    options = HostOptions(lattice=name, manner=manner, rpc_timeout=rpc_timeout, on_output=collect)
    async with NatsServer.start(url=url) as server, Host.start(server.url, options) as host:
        transport = await connect(Credentials(server.url, name="test"))
        core = host.core
        client = Client(transport, lattice=name, key=core.cluster, host_id=core.host_id, timeout=rpc_timeout)
        try:
            async with contextlib.AsyncExitStack() as stack:
                yield TestLattice(server, host, transport, client, stack, output)
        finally:
            await transport.close()
