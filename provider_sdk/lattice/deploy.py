"""Brings a host to what a manifest says, and again after each change: only what a change concerns is restarted."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgpack

from provider_sdk.errors import ProviderError
from provider_sdk.lattice.addresses import HTTP, check_free, http_addresses, wasmbus_address
from provider_sdk.lattice.handshake import ProviderProgram
from provider_sdk.lattice.host import Host
from provider_sdk.lattice.images import actor_file, provider_program
from provider_sdk.lattice.state import Named, State
from provider_sdk.lattice.wadm import ActorComponent, Manifest, ProviderComponent
from provider_sdk.transport.base import Transport

CALLER = "caller"
_MADE = {"build", "dist", "node_modules", "venv"}
LinkId = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Provider:
    program: ProviderProgram
    fingerprint: str
    sources: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _Actor:
    path: Path
    digest: str
    replicas: int
    id: str


class Deployment:
    """What runs of a manifest. `say` gets a line for each thing done; `data` is the folder under which providers keep their data.

    `caller` is the key of the programs that call from outside.
    """

    def __init__(self, host: Host, data: Path, say: Callable[[str], None], caller: str = "") -> None:
        self._host = host
        self._data = data
        self._say = say
        self._caller = caller
        self._called = False
        self._providers: dict[str, _Provider] = {}
        self._actors: dict[str, _Actor] = {}
        self._links: dict[LinkId, tuple[str, dict[str, str]]] = {}
        self._addresses: dict[LinkId, str] = {}

    @property
    def addresses(self) -> list[str]:
        """Where HTTP is served."""
        return sorted(set(self._addresses.values()))

    def names(self) -> dict[str, Named]:
        """Keys of what runs, by the manifest's names."""
        actors = {name: Named("actor", actor.id) for name, actor in self._actors.items()}
        for name, provider in self._providers.items():
            program = provider.program
            actors[name] = Named("provider", program.key, program.contract, program.link_name)
        return {**({CALLER: Named("actor", self._caller)} if self._called else {}), **actors}

    def state(self, source: str) -> State:
        """How other programs reach what runs; `source` is the manifest's file."""
        core = self._host.core
        state = State(os.getpid(), self._host.url, core.lattice, core.host_id, core.cluster.seed, self._caller, source)
        state.addresses, state.names = self.addresses, self.names()
        return state

    async def health(self) -> list[tuple[str, bool, str]]:
        """Each provider's name, and its own word: healthy or not, and its message."""
        core = self._host.core
        named = [(name, item) for name, item in self.names().items() if item.kind == "provider"]
        return [(name, *await ask_health(core.transport, core.lattice, item.key, item.link_name)) for name, item in named]

    def watched(self) -> list[Path]:
        """Files and folders whose change concerns something that runs."""
        found = [actor.path for actor in self._actors.values()]
        for provider in self._providers.values():
            found.extend(provider.sources)
        return found

    async def apply(self, manifest: Manifest) -> None:
        """Stop what is not wanted any more, start and link what is; ProviderError with a line that says where it stands in the manifest."""
        self._check_addresses(manifest)
        self._called = bool(manifest.programs)
        await self._stop_vanished(manifest)
        for provider in manifest.providers:
            with at_line(manifest.source, provider.line):
                await self._apply_provider(provider, manifest.base)
        for actor in manifest.actors:
            with at_line(manifest.source, actor.line):
                await self._apply_actor(actor, manifest.base)
        await self._apply_links(manifest)

    async def _stop_vanished(self, manifest: Manifest) -> None:
        for name in set(self._actors) - {item.name for item in manifest.actors}:
            await self._host.stop_actor(self._actors.pop(name).id)
            self._say(f"actor {name} stopped")
        for name in set(self._providers) - {item.name for item in manifest.providers}:
            program = self._providers.pop(name).program
            await self._host.stop_provider(program.key, program.link_name)
            self._say(f"provider {name} stopped")

    async def _apply_provider(self, component: ProviderComponent, base: Path) -> None:
        runnable = await asyncio.to_thread(provider_program, component.image, base)
        configuration = self._configuration(component)
        program = ProviderProgram(
            runnable.command,
            runnable.key,
            component.name,
            component.contract,
            component.link_name,
            component.image,
            runnable.version,
            runnable.revision,
            configuration=configuration,
            cwd=runnable.cwd,
        )
        wanted = _Provider(program, fingerprint(runnable.sources), runnable.sources)
        running = self._providers.get(component.name)
        if running == wanted:
            return
        if running is not None:
            await self._host.stop_provider(running.program.key, running.program.link_name)
        started = await self._host.start_provider(program, restarts=True)
        self._providers[component.name] = wanted
        await self._host.ready(started)
        note = f": {runnable.note}" if runnable.note and running is None else ""
        self._say(f"provider {component.name} {'restarted' if running else 'started'} (pid {started.process.pid}){note}")

    def _configuration(self, component: ProviderComponent) -> str:
        """The manifest's configuration, with a data folder of this lattice where it names none."""
        try:
            values = json.loads(component.config or "{}")
        except ValueError:
            return component.config or ""
        if not isinstance(values, dict) or "data_dir" in values:
            return component.config or ""
        return json.dumps({**values, "data_dir": str((self._data / component.name).resolve())})

    async def _apply_actor(self, component: ActorComponent, base: Path) -> None:
        path = actor_file(component.image, base)
        module = path.read_bytes()
        digest = hashlib.sha256(module).hexdigest()
        running = self._actors.get(component.name)
        if running is not None and (running.path, running.digest, running.replicas) == (path, digest, component.replicas):
            return
        started = await self._host.start_actor(module, component.image, instances=component.replicas)
        if running is not None and running.id != started.id:
            await self._host.stop_actor(running.id)
        self._actors[component.name] = _Actor(path, digest, component.replicas, started.id)
        self._say(f"actor {component.name} {'restarted' if running else 'started'}")

    async def _apply_links(self, manifest: Manifest) -> None:
        wanted = dict(self._wanted_links(manifest))
        for actor, contract, link_name in set(self._links) - set(wanted):
            await self._host.delete_link(actor, contract, link_name)
            del self._links[actor, contract, link_name]
            self._addresses.pop((actor, contract, link_name), None)
        for link, (provider, values) in wanted.items():
            actor, contract, link_name = link
            if self._links.get(link) != (provider, values):
                await self._host.put_link(actor, provider, contract, link_name, values)
                if link in self._links:
                    self._say(f"a link to {contract} changed")
                self._links[link] = (provider, values)
            if contract == HTTP:
                self._addresses[link] = wasmbus_address(values)

    def _wanted_links(self, manifest: Manifest) -> Iterator[tuple[LinkId, tuple[str, dict[str, str]]]]:
        for actor in manifest.actors:
            for link in actor.links:
                program = self._providers[link.target].program
                yield (self._actors[actor.name].id, program.contract, program.link_name), (program.key, dict(link.values))
        for link in manifest.programs:
            program = self._providers[link.target].program
            yield (self._caller, program.contract, program.link_name), (program.key, dict(link.values))

    def _check_addresses(self, manifest: Manifest) -> None:
        """Refuse an HTTP address that something else listens on, before anything is started."""
        for link, address in http_addresses(manifest):
            with at_line(manifest.source, link.line):
                if address not in self._addresses.values():
                    check_free(address)


@contextlib.contextmanager
def at_line(source: str, line: int) -> Iterator[None]:
    """A step of a deployment; its ProviderError says where in the manifest `source` its cause stands."""
    try:
        yield
    except ProviderError as error:
        place = f"{source}:{line}: " if source else ""
        raise ProviderError.of(error.code, f"{place}{error.message}") from error


def fingerprint(sources: tuple[Path, ...]) -> str:
    """Changes when a file of `sources` does."""
    digest = hashlib.sha256()
    for source in sources:
        for path in _files(source):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                digest.update(f"{path}\0{status.st_mtime_ns}\0{status.st_size}\n".encode())
    return digest.hexdigest()


def _files(source: Path) -> Iterator[Path]:
    """The file itself, or what a provider is made of in a folder, without environments, caches and what was built."""
    if not source.is_dir():
        yield source
    for folder, folders, names in os.walk(source):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")) and name not in _MADE)
        yield from (Path(folder, name) for name in sorted(names) if name.endswith((".py", ".toml")))


async def ask_health(transport: Transport, lattice: str, key: str, link_name: str, timeout: float = 2.0) -> tuple[bool, str]:
    """A provider's own word: healthy or not, and its message."""
    try:
        message = await transport.request(f"wasmbus.rpc.{lattice}.{key}.{link_name}.health", b"", timeout=timeout)
        answer = msgpack.unpackb(message.data)
        return bool(answer.get("healthy")), str(answer.get("message") or "")
    except ProviderError as error:
        return False, error.message
    except (ValueError, AttributeError, msgpack.UnpackException):
        return False, "its health answer cannot be read"
