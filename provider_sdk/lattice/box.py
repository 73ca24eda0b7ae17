"""The lattice in a box: NATS server, host and a deployed manifest in one process, until told to end; nothing stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from provider_sdk.errors import ProviderError, Unavailable
from provider_sdk.lattice.deploy import CALLER, Deployment, fingerprint
from provider_sdk.lattice.events import OnCall
from provider_sdk.lattice.handshake import ProviderProgram
from provider_sdk.lattice.health import HealthTimes
from provider_sdk.lattice.host import Host, HostOptions
from provider_sdk.lattice.images import provider_program
from provider_sdk.lattice.manifests import Generation, read_any_manifest
from provider_sdk.lattice.manner import Manner
from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.lattice.process import Executable
from provider_sdk.lattice.state import FOLDER, State, hold, write_state
from provider_sdk.lattice.wadm import Manifest
from provider_sdk.lattice.wrpc.calls import OnWrpcCall
from provider_sdk.lattice.wrpc.deploy import WrpcDeployment
from provider_sdk.lattice.wrpc.handshake import WrpcProgram
from provider_sdk.lattice.wrpc.host import WrpcHostOptions, WrpcLatticeHost
from provider_sdk.lattice.wrpc.manifest import WrpcManifest
from provider_sdk.lattice.wrpc.providers import Supervision
from provider_sdk.lattice.wrpc.secrets_file import BoxSecrets
from provider_sdk.lattice.wrpc.stand_in import load_stand_in, stand_in_file
from provider_sdk.nkeys import KeyPair, Prefix
from provider_sdk.runnable import Runnable

HEALTH = HealthTimes(first=5.0, every=3.0)
RESTART_PAUSE = 1.0
SETTLED_WITHIN = 10.0
OUTPUT_KEPT = 16 << 20


@dataclass
class BoxOptions:
    """How a box behaves. `say` gets lines for a person; `on_output` (name, line) what providers write. `manner` and
    `on_call` are of 0.x alone; `on_wrpc_call` and `base`, the folder of secrets, of 1.x."""

    folder: Path = FOLDER
    manner: Manner = Manner.RUST
    generation: Generation = Generation.WASMBUS
    base: Path = Path()
    lattice: str = "default"
    say: Callable[[str], None] = field(default=print)
    on_call: OnCall | None = None
    on_wrpc_call: OnWrpcCall | None = None
    on_output: Callable[[str, str], None] | None = None


class Deploys(Protocol):
    """What runs of a manifest, on a host of either generation."""

    @property
    def addresses(self) -> list[str]:
        """Where HTTP is served."""

    async def apply(self, manifest: Any) -> None:
        """Bring the host to what a manifest of its generation says; ProviderError."""

    async def health(self) -> list[tuple[str, bool, str]]:
        """Each provider's name, whether it is healthy, and its message."""

    def watched(self) -> list[Path]:
        """Files and folders whose change concerns something that runs."""

    def state(self, source: str) -> State:
        """How other programs reach it."""


class Box:
    """A running box; made by `open_box`."""

    def __init__(self, host: Host | WrpcLatticeHost, deployment: Deploys, options: BoxOptions) -> None:
        self.host = host
        self.deployment = deployment
        self.options = options
        self._warned: set[str] = set()
        self._source = ""

    async def deploy(self, manifest: Manifest | WrpcManifest) -> None:
        """Bring the host to what the manifest says, and write down how to reach it; ProviderError with a line."""
        await self.deployment.apply(manifest)
        for warning in dict.fromkeys(manifest.warnings):
            if warning not in self._warned:
                self.options.say(warning)
        self._warned = set(manifest.warnings)
        self._source = manifest.source
        write_state(self.options.folder, self.deployment.state(self._source))

    async def unhealthy(self) -> list[str]:
        """Wait until links are up; a line for each provider that says it is not well, which are written down too."""
        troubles = await self._troubles()
        write_state(self.options.folder, replace(self.deployment.state(self._source), troubles=troubles))
        return troubles

    async def _troubles(self) -> list[str]:
        troubles: list[str] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLED_WITHIN):
                while True:
                    await asyncio.sleep(0.1)
                    answers = await self.deployment.health()
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

    async def follow(self, path: Path | None, manifest: Manifest | WrpcManifest) -> None:
        """Apply each change of the manifest file (None: there is none) and of the sources that it names, until cancelled."""
        from watchfiles import awatch

        # What was saved while the lattice came up is found by the first look, which applies all once more: what has not changed stays.
        current, applied = manifest, ""
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
                    current = read_any_manifest(path, self.options.generation) if path else current
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

    def take(self, program: Executable, stream: str, line: str) -> None:
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
    with hold(options.folder):
        output = _Output(options.folder / "log", options.on_output)
        opened = _open_wrpc if options.generation is Generation.WRPC else _open_wasmbus
        try:
            async with NatsServer.start() as server, opened(server.url, options, output) as box:
                yield box
        finally:
            output.close()


@asynccontextmanager
async def _open_wasmbus(url: str, options: BoxOptions, output: _Output) -> AsyncIterator[Box]:
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
    async with Host.start(url, host_options) as host:
        host.trust_origin(caller, CALLER)
        yield Box(host, Deployment(host, options.folder / "data", options.say, caller), options)


@asynccontextmanager
async def _open_wrpc(url: str, options: BoxOptions, output: _Output) -> AsyncIterator[Box]:
    host_options = WrpcHostOptions(
        lattice=options.lattice,
        supervision=Supervision(restart_pause=RESTART_PAUSE, health=HEALTH, on_output=output.take),
        find_secret=BoxSecrets(options.base),
        on_call=options.on_wrpc_call,
        resolve_provider=_resolve_wrpc_provider,
        resolve_component=lambda reference: load_stand_in(stand_in_file(reference, Path.cwd())),
    )
    async with WrpcLatticeHost.start(url, host_options) as host:
        yield Box(host, WrpcDeployment(host, options.folder / "data", options.say), options)


async def _resolve_provider(reference: str) -> ProviderProgram:
    runnable, name = await _runnable(reference)
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


async def _resolve_wrpc_provider(reference: str) -> WrpcProgram:
    runnable, name = await _runnable(reference)
    return WrpcProgram(runnable.command, "", name, cwd=runnable.cwd, key=runnable.key, version=runnable.version)


async def _runnable(reference: str) -> tuple[Runnable, str]:
    runnable = await asyncio.to_thread(provider_program, reference, Path.cwd())
    if not runnable.command:
        raise Unavailable(f"{reference}: nothing to run")
    return runnable, reference.rpartition("/")[2]
