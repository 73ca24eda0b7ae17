"""The lattice in a box: NATS server, host and a deployed manifest in one process, until told to end; nothing stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from provider_sdk.errors import ProviderError, Unavailable
from provider_sdk.lattice.deploy import CALLER, Deployment, ask_health, fingerprint
from provider_sdk.lattice.events import OnCall
from provider_sdk.lattice.handshake import ProviderProgram
from provider_sdk.lattice.health import HealthTimes
from provider_sdk.lattice.host import Host, HostOptions
from provider_sdk.lattice.images import provider_program
from provider_sdk.lattice.manner import Manner
from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.lattice.state import FOLDER, State, hold, write_state
from provider_sdk.lattice.wadm import Manifest, read_manifest
from provider_sdk.nkeys import KeyPair, Prefix

HEALTH = HealthTimes(first=5.0, every=3.0)
SETTLED_WITHIN = 5.0
OUTPUT_KEPT = 16 << 20


@dataclass
class BoxOptions:
    """How a box behaves. `say` gets lines for a person; `on_output` (name, line) what providers write."""

    folder: Path = FOLDER
    manner: Manner = Manner.RUST
    lattice: str = "default"
    say: Callable[[str], None] = field(default=print)
    on_call: OnCall | None = None
    on_output: Callable[[str, str], None] | None = None


class Box:
    """A running box; made by `open_box`."""

    def __init__(self, host: Host, deployment: Deployment, options: BoxOptions, caller: str) -> None:
        self.host = host
        self.deployment = deployment
        self.options = options
        self._caller = caller
        self._applied = ""

    async def deploy(self, manifest: Manifest) -> None:
        """Bring the host to what the manifest says, and write down how to reach it; ProviderError with a line."""
        await self.deployment.apply(manifest)
        self._applied = fingerprint((*([Path(manifest.source)] if manifest.source else []), *self.deployment.watched()))
        for warning in manifest.warnings:
            self.options.say(warning)
        core = self.host.core
        state = State(os.getpid(), self.host.url, core.lattice, core.host_id, core.cluster.seed, self._caller, manifest.source)
        state.addresses, state.names = self.deployment.addresses, self.deployment.names()
        write_state(self.options.folder, state)

    async def unhealthy(self) -> list[str]:
        """Wait until links are up; a line for each provider that says it is not well."""
        core = self.host.core
        troubles: list[str] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLED_WITHIN):
                while True:
                    await asyncio.sleep(0.1)
                    named = [(name, item) for name, item in self.deployment.names().items() if item.kind == "provider"]
                    answers = [(name, *await ask_health(core.transport, core.lattice, item.key, item.link_name)) for name, item in named]
                    troubles = [f"provider {name}: {message}" for name, healthy, message in answers if not healthy]
                    if not troubles and await self._reachable():
                        return []
        return troubles or ["no listener came up at " + ", ".join(self.deployment.addresses)]

    async def _reachable(self) -> bool:
        for address in self.deployment.addresses:
            host, _, port = address.rpartition(":")
            if port == "0":
                continue
            try:
                _, writer = await asyncio.open_connection(host.strip("[]").replace("0.0.0.0", "127.0.0.1"), int(port))
            except OSError:
                return False
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        return True

    async def follow(self, path: Path | None, manifest: Manifest) -> None:
        """Apply each change of the manifest file (None: there is none) and of the sources that it names, until cancelled."""
        from watchfiles import awatch

        current, applied = manifest, self._applied
        while True:
            watched = [*({path} if path else ()), *self.deployment.watched()]
            folders = {item.parent if item.is_file() else item for item in watched}
            # Looked at every second as well: a change may come before the watch stands.
            async for _ in awatch(*folders, debounce=300, rust_timeout=1000, yield_on_timeout=True):
                seen = fingerprint(tuple(watched))
                if seen == applied:
                    continue
                applied = seen
                try:
                    current = read_manifest(path) if path else current
                    await self.deploy(current)
                except ProviderError as error:
                    self.options.say(f"not applied: {error}")
                if set(self.deployment.watched()) - set(watched):
                    break


class _Output:
    """`.provider/log`: what providers write, a line each with time and name; begun anew when it grows large."""

    def __init__(self, path: Path, watcher: Callable[[str, str], None] | None) -> None:
        self._path = path
        self._file = path.open("w", encoding="utf-8", errors="backslashreplace", buffering=1)
        self._watcher = watcher

    def take(self, program: ProviderProgram, stream: str, line: str) -> None:
        """One line of a provider's output."""
        if self._file.tell() > OUTPUT_KEPT:
            self._file.seek(0)
            self._file.truncate()
        self._file.write(f"{time.strftime('%H:%M:%S')} {program.name} | {line}\n")
        if self._watcher is not None:
            self._watcher(program.name, line)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@asynccontextmanager
async def open_box(options: BoxOptions) -> AsyncIterator[Box]:
    """A box without a manifest yet. AlreadyExists where one runs in the folder, Unavailable where NATS cannot be had."""
    folder = options.folder
    with hold(folder):
        output = _Output(folder / "log", options.on_output)
        caller = KeyPair.generate(Prefix.MODULE).public
        host_options = HostOptions(
            lattice=options.lattice,
            manner=options.manner,
            health=HEALTH,
            on_call=options.on_call,
            on_output=output.take,
            resolve_provider=_resolve_provider,
            resolve_actor=lambda reference: Path(reference.removeprefix("file://")).read_bytes(),
        )
        try:
            async with NatsServer.start() as server, Host.start(server.url, host_options) as host:
                host.trust_origin(caller, CALLER)
                yield Box(host, Deployment(host, folder / "data", options.say, caller), options, caller)
        finally:
            output.close()


async def _resolve_provider(reference: str) -> ProviderProgram:
    runnable = await asyncio.to_thread(provider_program, reference, Path.cwd())
    name = reference.rpartition("/")[2]
    if not runnable.command:
        raise Unavailable(f"{reference}: nothing to run")
    return ProviderProgram(
        runnable.command,
        runnable.key,
        name,
        "",
        image_ref=reference,
        version=runnable.version,
        revision=runnable.revision,
        cwd=runnable.cwd,
    )
