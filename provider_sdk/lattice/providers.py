"""The providers of an emulated 0.x host: start, health, stop, and what happens when one ends by itself (wasmbus-0x.md §1, §7)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from provider_sdk.errors import AlreadyExists, NotFound, ProviderError
from provider_sdk.lattice.calls import Outbound
from provider_sdk.lattice.core import HostCore
from provider_sdk.lattice.handshake import HostFacts, ProviderProgram, environment, host_data, stdin_line
from provider_sdk.lattice.health import Health, HealthTimes, event_name, read_health
from provider_sdk.lattice.manner import Manner, new_id
from provider_sdk.lattice.process import ProviderProcess
from provider_sdk.lattice.tasks import log

OnOutput = Callable[[ProviderProgram, str, str], None]
"""Called with the provider, "stdout" or "stderr", and one line."""
OnExit = Callable[["RunningProvider", int], None]
"""Called when a provider ended without having been told to, with its exit status (negative: signal)."""

FIRST_RESTART = 0.5
LONGEST_RESTART = 30.0
STEADY_AFTER = 30.0


@dataclass(eq=False)
class RunningProvider:
    """A provider that this host started; `process` is replaced when it is restarted. `judged`: what the last health event went by."""

    program: ProviderProgram
    instance_id: str
    process: ProviderProcess
    restarts: bool
    health: Health = field(default_factory=Health)
    stopping: bool = False
    restart_count: int = 0
    judged: bool | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self.process.running

    @property
    def document(self) -> dict[str, Any]:
        """The members that most events about a provider share."""
        program = self.program
        return {"public_key": program.key, "link_name": program.link_name, "contract_id": program.contract}


class ProviderTable:
    """Starts, watches and stops providers; at most one for each key and link name."""

    def __init__(
        self,
        core: HostCore,
        facts: HostFacts,
        times: HealthTimes,
        outbound: Outbound,
        on_output: OnOutput | None,
        on_exit: OnExit | None,
    ) -> None:
        self._core = core
        self._outbound = outbound
        self._facts = facts
        self._times = times
        self._on_output = on_output
        self._on_exit = on_exit
        self._running: dict[tuple[str, str], RunningProvider] = {}

    def all(self) -> list[RunningProvider]:
        """Those in the inventory; a Rust host keeps one that has crashed there until it is stopped (§1.4)."""
        return list(self._running.values())

    def find(self, key: str, link_name: str) -> RunningProvider | None:
        """The provider of that key and link name, running or crashed."""
        return self._running.get((key, link_name))

    async def start(self, program: ProviderProgram, *, restarts: bool = False) -> RunningProvider:
        """Spawn `program`; AlreadyExists, NotFound or PermissionDenied, each also told as event `provider_start_failed`."""
        core = self._core
        try:
            if (program.key, program.link_name) in self._running:
                raise AlreadyExists(f"provider {program.key}/{program.link_name}: provider is already running")
            instance_id = new_id(core.manner)
            process = await self._spawn(program, instance_id)
        except ProviderError as error:
            reason = "provider is already running" if isinstance(error, AlreadyExists) else str(error)
            await core.announce(
                "provider_start_failed", {"provider_ref": program.image_ref, "link_name": program.link_name, "error": reason}
            )
            raise
        provider = RunningProvider(program, instance_id, process, restarts)
        self._running[program.key, program.link_name] = provider
        core.claims[program.key] = provider_claims(program)
        await self._announce_started(provider)
        provider.tasks = [core.start(self._watch(provider)), core.start(self._ask_health(provider))]
        return provider

    async def stop(self, key: str, link_name: str) -> None:
        """Ask it to shut down, then SIGKILL at once after the answer or the manner's limit; NotFound."""
        provider = self._take(key, link_name)
        if provider.running:
            await self._request_shutdown(provider)
        await self._end(provider)

    async def kill(self, key: str, link_name: str) -> int:
        """SIGKILL as an accident would: the host is not told and notices like any crash. Returns the pid; NotFound."""
        provider = self._running.get((key, link_name))
        if provider is None:
            raise NotFound(f"provider {key}/{link_name} is not running on this host")
        provider.process.kill()
        return provider.process.pid

    async def close(self) -> None:
        """End all as the host does when it stops itself: only OTP asks first (§7.2)."""
        providers, self._running = self.all(), {}
        for provider in providers:
            provider.stopping = True
        try:
            if self._core.manner.habits.asks_before_host_stop:
                await asyncio.gather(*(self._request_shutdown(provider) for provider in providers if provider.running))
        finally:
            for provider in providers:
                provider.process.kill()
        for provider in providers:
            await self._end(provider)

    def _take(self, key: str, link_name: str) -> RunningProvider:
        provider = self._running.pop((key, link_name), None)
        if provider is None:
            raise NotFound(f"provider {key}/{link_name} is not running on this host")
        provider.stopping = True
        return provider

    async def _spawn(self, program: ProviderProgram, instance_id: str) -> ProviderProcess:
        links = self._core.links.of_provider(program.key, program.link_name)
        line = stdin_line(self._core.manner, host_data(self._facts, program, instance_id, links))
        on_output = self._on_output
        output = None if on_output is None else lambda stream, text: on_output(program, stream, text)
        manner = self._core.manner
        return await ProviderProcess.spawn(
            program,
            line,
            output,
            environment=environment(manner),
            own_session=manner is Manner.OTP,
            closes_stdin=manner.habits.closes_stdin,
        )

    async def _announce_started(self, provider: RunningProvider) -> None:
        program, rust = provider.program, self._core.manner is Manner.RUST
        claims = {
            "issuer": self._core.claims[program.key]["iss"],
            "tags": None,
            "name": program.name,
            "version": program.version,
            "not_before_human": "TODO" if rust else "immediately",
            "expires_human": "TODO" if rust else "never",
        }
        data = provider.document | {
            "image_ref": program.image_ref,
            "instance_id": provider.instance_id,
            "annotations": {},
            "claims": claims,
        }
        await self._core.announce("provider_started", data | ({"host_id": self._core.host_id} if rust else {}))

    async def _announce_stopped(self, provider: RunningProvider, reason: str) -> None:
        data = provider.document | {"instance_id": provider.instance_id, "annotations": {}, "reason": reason}
        await self._core.announce("provider_stopped", data)

    def _subject(self, provider: RunningProvider, suffix: str) -> str:
        return f"wasmbus.rpc.{self._core.lattice}.{provider.program.key}.{provider.program.link_name}.{suffix}"

    async def _request_shutdown(self, provider: RunningProvider) -> None:
        body = json.dumps({"host_id": self._core.host_id}).encode()
        with contextlib.suppress(ProviderError):
            wait = self._core.manner.habits.shutdown_wait
            await self._core.transport.request(self._subject(provider, "shutdown"), body, timeout=wait)

    async def _end(self, provider: RunningProvider) -> None:
        for task in provider.tasks:
            task.cancel()
        await asyncio.gather(*provider.tasks, return_exceptions=True)
        provider.process.kill()
        await provider.process.ended()
        await self._announce_stopped(provider, "stop")

    async def _watch(self, provider: RunningProvider) -> None:
        """Notice the end of the process; real hosts restart nothing (§1.4), `restarts` is the dev lattice's wish."""
        pause = FIRST_RESTART
        while True:
            since = time.monotonic()
            status = await provider.process.ended()
            if provider.stopping:
                return
            await self._tell_of_exit(provider, status)
            if not provider.restarts:
                break
            self._outbound.give_up(provider.program.key)
            if time.monotonic() - since > STEADY_AFTER:
                pause = FIRST_RESTART
            while not await self._restarted(provider, pause):
                pause = min(pause * 2, LONGEST_RESTART)
            pause = min(pause * 2, LONGEST_RESTART)
        if self._core.manner is Manner.OTP:
            self._running.pop((provider.program.key, provider.program.link_name), None)

    async def _tell_of_exit(self, provider: RunningProvider, status: int) -> None:
        log.warning("provider %s (pid %d) ended with status %d", provider.program.name, provider.process.pid, status)
        provider.health = Health(False, f"ended with status {status}")
        if self._core.manner.habits.reports_exit:
            await self._announce_stopped(provider, "normal")
        if self._on_exit is not None:
            self._on_exit(provider, status)

    async def _restarted(self, provider: RunningProvider, pause: float) -> bool:
        await asyncio.sleep(pause)
        # The NATS server may have noticed the end later than this host, and have sent it some more.
        self._outbound.give_up(provider.program.key)
        try:
            provider.process = await self._spawn(provider.program, provider.instance_id)
        except ProviderError as error:
            log.error("provider %s cannot be restarted: %s", provider.program.name, error)
            return False
        provider.restart_count += 1
        await self._announce_started(provider)
        return True

    async def _ask_health(self, provider: RunningProvider) -> None:
        wait = self._times.first
        while True:
            await asyncio.sleep(wait)
            wait = self._times.every
            if provider.running:
                await self._ask_once(provider)

    async def _ask_once(self, provider: RunningProvider) -> None:
        """One request, judged as the manner does (§7.1): OTP takes any answer for health and silence for illness."""
        rust = self._core.manner is Manner.RUST
        habits = self._core.manner.habits
        try:
            answer = await self._core.transport.request(
                self._subject(provider, "health"), habits.health_request, timeout=self._core.rpc_timeout
            )
            health = read_health(answer.data)
        except ProviderError as error:
            log.warning("provider %s: no answer to the health request: %s", provider.program.name, error)
            if rust:
                return
            health = Health(False, str(error))
        else:
            if not rust:
                health = Health(True, health.message)
        provider.health, before, provider.judged = health, provider.judged, health.healthy
        document = provider.document
        if not rust:
            del document["contract_id"]
        await self._core.announce(event_name(self._core.manner, before, health.healthy is True), document)


def provider_claims(program: ProviderProgram) -> dict[str, str]:
    """What `get.claims` tells of a provider, under the old names and the new."""
    revision = str(program.revision)
    return {
        "sub": program.key,
        "subject": program.key,
        "iss": "",
        "issuer": "",
        "name": program.name,
        "rev": revision,
        "revision": revision,
        "version": program.version,
        "contract_id": program.contract,
    }
