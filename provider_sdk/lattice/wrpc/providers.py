"""The providers of an emulated 1.x host: start, supervision, configuration, health, stop (wrpc-1x.md §1)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from provider_sdk.errors import AlreadyExists, NotFound, ProviderError
from provider_sdk.lattice.handshake import stdin_line
from provider_sdk.lattice.health import Health, HealthTimes, event_name
from provider_sdk.lattice.manner import Manner
from provider_sdk.lattice.process import ProviderProcess
from provider_sdk.lattice.tasks import log
from provider_sdk.lattice.wrpc.core import WrpcCore
from provider_sdk.lattice.wrpc.definitions import Definitions
from provider_sdk.lattice.wrpc.handshake import WrpcFacts, WrpcProgram, environment, host_data
from provider_sdk.lattice.wrpc.links import InterfaceLinks
from provider_sdk.lattice.wrpc.settings import NamedConfigs
from provider_sdk.nkeys import CurveKey

OnOutput = Callable[[WrpcProgram, str, str], None]
"""Called with the provider, "stdout" or "stderr", and one line."""
Shape = Callable[[dict[str, Any]], Mapping[str, Any] | bytes]
"""Makes of the host data what is written to the provider: another document, or the very bytes of standard input."""

UPDATE_AFTER = 0.01


@dataclass(frozen=True, slots=True)
class Supervision:
    """How a host treats its providers. Times in seconds.

    `restarts`: one that ends by itself is started again, since v1.6; then the host looks again after `restart_pause`. `shutdown_delay`:
    how long the answer to a shutdown request is awaited before SIGKILL. `shape` feeds providers other host data than is right.
    """

    restarts: bool = True
    restart_pause: float = 5.0
    shutdown_delay: float = 0.3
    health: HealthTimes = field(default_factory=HealthTimes)
    on_output: OnOutput | None = None
    shape: Shape | None = None


@dataclass(eq=False)
class WrpcProvider:
    """A provider of this host. `process` is replaced when it is restarted, and None for one that its owner runs (see `adopt`).

    `xkey` is kept over restarts; `told` is the configuration that it was last told.
    """

    program: WrpcProgram
    instance_id: str
    xkey: CurveKey
    process: ProviderProcess | None = None
    health: Health = field(default_factory=Health)
    stopping: bool = False
    restart_count: int = 0
    judged: bool | None = None
    told: dict[str, str] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def running(self) -> bool:
        """Whether its process lives, as far as this host can know."""
        return self.process is None or self.process.running


class WrpcProviders:
    """Starts, watches and stops providers; at most one for each id."""

    def __init__(
        self, core: WrpcCore, facts: WrpcFacts, configs: NamedConfigs, links: InterfaceLinks, definitions: Definitions, manner: Supervision
    ) -> None:
        self._core = core
        self._facts = facts
        self._configs = configs
        self._links = links
        self._definitions = definitions
        self._manner = manner
        self._running: dict[str, WrpcProvider] = {}

    def all(self) -> list[WrpcProvider]:
        """Those in the inventory, crashed ones too."""
        return list(self._running.values())

    def find(self, identifier: str) -> WrpcProvider | None:
        """The provider of that id."""
        return self._running.get(identifier)

    async def start(self, program: WrpcProgram) -> WrpcProvider:
        """Spawn `program`; ProviderError, which is also told as event `provider_start_failed`."""
        try:
            self._configs.check(program.config)
            provider = self._enter(program)
            with self._only_if_it_starts(provider):
                await self._spawn(provider)
        except ProviderError as error:
            failure = {"provider_ref": program.image_ref, "provider_id": program.id, "error": str(error), "link_name": "default"}
            await self._core.announce("provider_start_failed", failure | {"host_id": self._core.host_id})
            raise
        await self._announce(provider, "provider_started", {"image_ref": program.image_ref, **_claims(program)})
        provider.tasks = [self._core.start(self._watch(provider)), self._core.start(self._ask_health(provider))]
        return provider

    async def adopt(self, program: WrpcProgram) -> tuple[WrpcProvider, dict[str, Any]]:
        """Take a provider for one of this host although somebody else runs it, and give its host data: links and configuration
        reach it as any other, but nobody supervises or kills it. ProviderError."""
        self._configs.check(program.config)
        provider = self._enter(program)
        with self._only_if_it_starts(provider):
            document = self._host_data(provider)
        provider.tasks = [self._core.start(self._ask_health(provider))]
        return provider, document

    async def stop(self, identifier: str) -> None:
        """Ask it to shut down, then SIGKILL at once after the answer or the delay (§1.4); NotFound."""
        provider = self._running.pop(identifier, None)
        if provider is None:
            raise NotFound(f"provider {identifier} is not running on this host")
        provider.stopping = True
        if provider.running:
            body = json.dumps({"host_id": self._core.host_id}).encode()
            with contextlib.suppress(ProviderError):
                subject = self._core.control_subject(identifier, "default.shutdown")
                await self._core.transport.request(subject, body, timeout=self._manner.shutdown_delay)
        await self._end(provider)

    def kill(self, identifier: str) -> int:
        """SIGKILL as an accident would; returns the pid. NotFound."""
        provider = self._running.get(identifier)
        if provider is None or provider.process is None:
            raise NotFound(f"provider {identifier} is not running on this host")
        provider.process.kill()
        return provider.process.pid

    async def close(self) -> None:
        """End all as the host does when it stops itself: SIGKILL, without a word."""
        providers, self._running = self.all(), {}
        for provider in providers:
            provider.stopping = True
            if provider.process is not None:
                provider.process.kill()
        for provider in providers:
            await self._end(provider)

    async def update_configs(self, name: str) -> None:
        """The named configuration changed: tell those whose own is another now (§2.1)."""
        for provider in self.all():
            values = self._configs.plain(provider.program.config)
            if name in provider.program.config and values != provider.told:
                await self._tell_config(provider, values)

    async def _tell_config(self, provider: WrpcProvider, values: dict[str, str]) -> None:
        provider.told = values
        await self._core.transport.publish(self._core.control_subject(provider.program.id, "config.update"), json.dumps(values).encode())

    def _enter(self, program: WrpcProgram) -> WrpcProvider:
        if program.id in self._running:
            raise AlreadyExists(f"provider {program.id} is already running")
        self._running[program.id] = provider = WrpcProvider(program, "", CurveKey.generate())
        return provider

    @contextlib.contextmanager
    def _only_if_it_starts(self, provider: WrpcProvider) -> Iterator[None]:
        try:
            yield
        except ProviderError:
            del self._running[provider.program.id]
            raise

    def _host_data(self, provider: WrpcProvider) -> dict[str, Any]:
        """As things are now: a configuration that was deleted since the first start is no more."""
        provider.instance_id = str(uuid.uuid4())
        identifier, own = provider.program.id, self._configs.resolve(self._configs.known(provider.program.config))
        provider.told = own.values
        links = []
        for link in self._links.of(identifier):
            try:
                links.append(self._definitions.sealed(link, provider.xkey.public))
            except ProviderError as error:
                log.error("link of %s to %s is left out: %s", link.source_id, link.target, error)
        return host_data(self._facts, identifier, provider.instance_id, links, own, provider.xkey)

    async def _spawn(self, provider: WrpcProvider) -> None:
        program, on_output = provider.program, self._manner.on_output
        document, shape = self._host_data(provider), self._manner.shape
        written = document if shape is None else shape(document)
        line = written if isinstance(written, bytes) else stdin_line(Manner.RUST, written)
        output = None if on_output is None else lambda stream, text: on_output(program, stream, text)
        provider.process = await ProviderProcess.spawn(program, line, output, environment=environment())
        self._core.start(self._tell_at_spawn(provider))

    async def _tell_at_spawn(self, provider: WrpcProvider) -> None:
        """Too early for most providers to hear it, as on real hosts (§2.1)."""
        await asyncio.sleep(UPDATE_AFTER)
        await self._tell_config(provider, provider.told)

    async def _watch(self, provider: WrpcProvider) -> None:
        """Notice the end of the process, and start it again; no event tells of either (§1.4)."""
        loop, last = asyncio.get_running_loop(), -self._manner.restart_pause
        while not provider.stopping and provider.process is not None:
            status = await provider.process.ended()
            if provider.stopping:
                return
            log.warning("provider %s (pid %d) ended with status %d", provider.program.name, provider.process.pid, status)
            provider.health = Health(False, f"ended with status {status}")
            if not self._manner.restarts:
                return
            await asyncio.sleep(max(0.0, last + self._manner.restart_pause - loop.time()))
            last = loop.time()
            try:
                await self._spawn(provider)
            except ProviderError as error:
                log.error("provider %s cannot be restarted: %s", provider.program.name, error)
                return
            provider.restart_count += 1

    async def _end(self, provider: WrpcProvider) -> None:
        for task in provider.tasks:
            task.cancel()
        await asyncio.gather(*provider.tasks, return_exceptions=True)
        if provider.process is not None:
            provider.process.kill()
            await provider.process.ended()
        await self._announce(provider, "provider_stopped", {"reason": "stop"})

    async def _announce(self, provider: WrpcProvider, name: str, more: dict[str, Any]) -> None:
        program = provider.program
        common: dict[str, Any] = {"host_id": self._core.host_id, "provider_id": program.id, "annotations": dict(program.annotations)}
        if program.key:
            common |= {"instance_id": provider.instance_id, "public_key": program.key, "link_name": "default"}
        await self._core.announce(name, common | more)

    async def _ask_health(self, provider: WrpcProvider) -> None:
        wait = self._manner.health.first
        while True:
            await asyncio.sleep(wait)
            wait = self._manner.health.every
            if provider.running:
                await self._ask_once(provider)

    async def _ask_once(self, provider: WrpcProvider) -> None:
        """One request. Only a reply in time that is the JSON makes an event (§1.4)."""
        core = self._core
        try:
            answer = await core.transport.request(core.control_subject(provider.program.id, "health"), b"", timeout=core.rpc_timeout)
            health = read_health(answer.data)
        except ProviderError as error:
            log.warning("provider %s: no answer to the health request: %s", provider.program.name, error)
            return
        if health.healthy is None:
            log.warning("provider %s: %s", provider.program.name, health.message)
            return
        provider.health, before, provider.judged = health, provider.judged, health.healthy
        name = event_name(Manner.RUST, before, health.healthy)
        await core.announce(name, {"host_id": core.host_id, "provider_id": provider.program.id})


def _claims(program: WrpcProgram) -> dict[str, Any]:
    """The claims of an archive, as far as events have them."""
    if not program.key:
        return {}
    unused = {"issuer": "", "tags": None, "not_before_human": "TODO", "expires_human": "TODO"}
    return {"claims": {**unused, "name": program.name, "version": program.version}}


def read_health(data: bytes) -> Health:
    """A health answer; `healthy` is None for one that is not the JSON it should be."""
    try:
        value = json.loads(data)
        if isinstance(value["healthy"], bool):
            return Health(value["healthy"], str(value.get("message") or ""))
    except (ValueError, KeyError, TypeError):
        pass
    return Health(None, "the health answer cannot be read")
