"""Brings a 1.x host to what a manifest says, and again after each change: only what a change concerns is told or restarted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from provider_sdk.errors import NotFound, ProviderError
from provider_sdk.hosts.wrpc.secret_values import is_secret
from provider_sdk.lattice.addresses import check_free, http_addresses, takes_http, wrpc_address
from provider_sdk.lattice.deploy import CALLER, at_line, fingerprint
from provider_sdk.lattice.images import provider_program
from provider_sdk.lattice.state import Named, State
from provider_sdk.lattice.wrpc.handshake import WrpcProgram
from provider_sdk.lattice.wrpc.host import WrpcLatticeHost
from provider_sdk.lattice.wrpc.links import InterfaceLink, LinkId
from provider_sdk.lattice.wrpc.manifest import Workload, WrpcLink, WrpcManifest
from provider_sdk.lattice.wrpc.providers import read_health
from provider_sdk.lattice.wrpc.settings import SecretReference
from provider_sdk.lattice.wrpc.stand_in import load_stand_in, stand_in_file
from provider_sdk.runnable import Runnable
from provider_sdk.transport.base import Transport


@dataclass(frozen=True, slots=True)
class _Running:
    """What a workload was started from; it is started anew when that changes."""

    id: str
    provider: bool
    image: str
    config: tuple[str, ...]
    instances: int
    fingerprint: str
    sources: tuple[Path, ...]


class WrpcDeployment:
    """What runs of a manifest. `say` gets a line for each thing done; `data` is the folder under which providers keep their data."""

    def __init__(self, host: WrpcLatticeHost, data: Path, say: Callable[[str], None]) -> None:
        self._host = host
        self._data = data
        self._say = say
        self._running: dict[str, _Running] = {}
        self._configs: dict[str, dict[str, str]] = {}
        self._links: dict[LinkId, tuple[InterfaceLink, str]] = {}
        self._addresses: dict[LinkId, str] = {}
        self._called = False

    @property
    def addresses(self) -> list[str]:
        """Where HTTP is served."""
        return sorted(set(self._addresses.values()))

    def state(self, source: str) -> State:
        """How other programs reach what runs."""
        core = self._host.core
        state = State(os.getpid(), self._host.url, core.lattice, core.host_id, "", CALLER, source, self.addresses, generation="1.x")
        if self._called:
            state.names[CALLER] = Named("component", CALLER)
        for name, running in self._running.items():
            state.names[name] = Named("provider" if running.provider else "component", running.id, source=_source(running))
        return state

    def watched(self) -> list[Path]:
        """Files and folders whose change concerns something that runs."""
        return [source for running in self._running.values() for source in running.sources]

    async def health(self) -> list[tuple[str, bool, str]]:
        """Each provider's name, and its own word: healthy or not, and its message."""
        core, found = self._host.core, []
        for name, running in self._running.items():
            if running.provider:
                found.append((name, *await ask_health(core.transport, core.lattice, running.id)))
        return found

    async def apply(self, manifest: WrpcManifest) -> None:
        """Stop what is not wanted any more, set, link and start what is; ProviderError with a line that says where it stands."""
        self._check_addresses(manifest)
        ordered = sorted(manifest.workloads, key=lambda item: item.provider)
        starts = [(workload.line, await self._start_of(workload, manifest)) for workload in ordered]
        self._called = bool(manifest.programs)
        await self._stop_vanished(manifest)
        configs = self._wanted_configs(manifest)
        for name, values in configs.items():
            before = self._configs.get(name)
            if before != values:
                await self._host.put_config(name, values)
                if before is not None:
                    self._say(f"configuration {name} changed")
        await self._apply_links(manifest)
        for line, start in starts:
            with at_line(manifest.source, line):
                await start()
        for name in set(self._configs) - set(configs):
            await self._host.delete_config(name)
        self._configs = configs

    async def _start_of(self, workload: Workload, manifest: WrpcManifest) -> Callable[[], Awaitable[None]]:
        """How a workload is started, once its image was found."""
        with at_line(manifest.source, workload.line):
            if not workload.provider:
                return partial(self._start_component, workload, manifest, stand_in_file(workload.image, manifest.base))
            runnable = await asyncio.to_thread(provider_program, workload.image, manifest.base)
        return partial(self._start_provider, workload, manifest, runnable)

    async def _stop_vanished(self, manifest: WrpcManifest) -> None:
        wanted = {(item.name, item.id, item.provider) for item in manifest.workloads}
        for name, running in list(self._running.items()):
            if (name, running.id, running.provider) not in wanted:
                await self._stop(running)
                del self._running[name]
                self._say(f"{'provider' if running.provider else 'component'} {name} stopped")

    async def _stop(self, running: _Running) -> None:
        if running.provider:
            with contextlib.suppress(NotFound):  # somebody else may have stopped it
                await self._host.stop_provider(running.id)
        else:
            await self._host.stop_component(running.id)

    def _wanted_configs(self, manifest: WrpcManifest) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for settings in manifest.settings():
            for config in settings.config:
                if config.properties is not None:
                    found[manifest.config_name(config)] = dict(config.properties)
            for secret in settings.secrets:
                policy = json.dumps({"type": "properties.secret.wasmcloud.dev/v1alpha1", "properties": {}})
                parts = (secret.name, secret.key, manifest.policies[secret.policy], secret.field, secret.version, policy)
                found[manifest.secret_name(secret)] = SecretReference(*parts).values()
        for workload in manifest.workloads:
            if workload.provider:
                found[_data_config(workload)] = {"data_dir": str((self._data / workload.name).resolve())}
        return found

    async def _start_provider(self, workload: Workload, manifest: WrpcManifest, runnable: Runnable) -> None:
        # The folder for data comes first, so that what the manifest says wins.
        names = (_data_config(workload), *manifest.config_names(workload.settings))
        sources = runnable.sources
        wanted = _Running(workload.id, True, workload.image, names, 1, fingerprint(sources), sources)
        running = self._running.get(workload.name)
        if running == wanted:
            return
        if running is not None:
            del self._running[workload.name]
            await self._stop(running)
        program = WrpcProgram(
            runnable.command,
            workload.id,
            workload.name,
            names,
            workload.image,
            cwd=runnable.cwd,
            key=runnable.key,
            version=runnable.version,
        )
        started = await self._host.start_provider(program)
        self._running[workload.name] = wanted
        await self._host.ready(started)
        note = f": {runnable.note}" if runnable.note and running is None else ""
        pid = started.process.pid if started.process else 0
        self._say(f"provider {workload.name} {'restarted' if running else 'started'} (pid {pid}){note}")

    async def _start_component(self, workload: Workload, manifest: WrpcManifest, path: Path) -> None:
        names = manifest.config_names(workload.settings)
        me = self._host.component(workload.id, names)
        seen = fingerprint((path,)) + json.dumps(dict(me.config))
        wanted = _Running(workload.id, False, workload.image, names, workload.instances, seen, (path,))
        running = self._running.get(workload.name)
        if running == wanted:
            return
        made = load_stand_in(path)(me)
        await self._host.serve_component(workload.id, *made, image_ref=workload.image, instances=workload.instances)
        self._running[workload.name] = wanted
        self._say(f"component {workload.name} {'restarted' if running else 'started'}")

    async def _apply_links(self, manifest: WrpcManifest) -> None:
        wanted = {link.id: (source, given, link) for source, given, link in _links(manifest)}
        for identifier in set(self._links) - set(wanted):
            await self._delete_link(identifier)
        for identifier, (source, given, link) in wanted.items():
            with at_line(manifest.source, given.line):
                self._host.configs.resolve((*link.source_config, *link.target_config))
            secrets = self._secrets(link)
            before = self._links.get(identifier)
            if before is not None and before[0] == link and before[1] != secrets:
                # A host does not tell a link that a secret of it is another now; a new link it does.
                await self._delete_link(identifier)
            if before != (link, secrets):
                with at_line(manifest.source, given.line):
                    await self._host.put_link(link)
                self._links[identifier] = (link, secrets)
                if before is not None:
                    self._say(f"the link of {source.name if source else CALLER} to {given.target} changed")
            if source is not None and takes_http(source, given):
                own = self._host.configs.plain(manifest.config_names(source.settings))
                self._addresses[identifier] = wrpc_address(own, self._host.configs.plain(link.source_config))

    async def _delete_link(self, identifier: LinkId) -> None:
        source, target, namespace, package, name = identifier
        await self._host.delete_link(source, namespace, package, name, target)
        del self._links[identifier]
        self._addresses.pop(identifier, None)

    def _secrets(self, link: InterfaceLink) -> str:
        """The link's references to secrets, to see whether they change."""
        configs = self._host.configs
        return json.dumps([configs.get(name) for name in (*link.source_config, *link.target_config) if is_secret(name)], sort_keys=True)

    def _check_addresses(self, manifest: WrpcManifest) -> None:
        """Refuse an HTTP address that something else listens on, before anything is started."""
        for link, address in http_addresses(manifest):
            with at_line(manifest.source, link.line):
                if address not in self._addresses.values():
                    check_free(address)


def _links(manifest: WrpcManifest) -> Iterator[tuple[Workload | None, WrpcLink, InterfaceLink]]:
    """All links, with the workload that each is of, None for those of programs."""
    given: list[tuple[Workload | None, WrpcLink]] = [(workload, link) for workload in manifest.workloads for link in workload.links]
    for source, link in [*given, *((None, link) for link in manifest.programs)]:
        sides = (manifest.config_names(link.source_settings), manifest.config_names(link.target_settings))
        ends = (source.id if source else CALLER, manifest.workload(link.target).id)
        yield source, link, InterfaceLink(*ends, link.namespace, link.package, link.interfaces, link.name, *sides)


def _data_config(workload: Workload) -> str:
    return f"{workload.id}-data"


def _source(running: _Running) -> str:
    """Where the interfaces of a workload are declared, as far as that is on this machine."""
    path = running.sources[0] if running.sources else Path()
    return str(path) if path.suffix == ".py" or path.is_dir() else ""


async def ask_health(transport: Transport, lattice: str, identifier: str, timeout: float = 2.0) -> tuple[bool, str]:
    """A provider's own word: healthy or not, and its message."""
    try:
        message = await transport.request(f"wasmbus.rpc.{lattice}.{identifier}.health", b"", timeout=timeout)
    except ProviderError as error:
        return False, error.message
    health = read_health(message.data)
    return health.healthy is True, health.message
