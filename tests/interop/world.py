"""A whole 1.x lattice on loopback: NATS with JetStream, the real host, the component that asks, HTTP in front; with its block all ends."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode

from provider_sdk.errors import ProviderError
from provider_sdk.lattice.nats_server import GUARD, NatsServer
from tests.interop import host1x, probe, processes
from tests.interop.control import Control
from tests.servers.ports import free_port

COMPONENT = "comp"
INGRESS = "http"
ENDING = 10.0


@dataclass(frozen=True)
class Answer:
    """What the component said; status 0 where it trapped: the host then closes the connection without a word."""

    status: int
    text: str


@dataclass(eq=False)
class Host:
    """The host's process under a guard, because a test run that is killed would leave it. What it extracts lies in `folder`."""

    folder: Path
    guard: asyncio.subprocess.Process
    pid: int
    log: Path
    said: str = ""

    @classmethod
    async def start(cls, folder: Path, url: str, lattice: str, options: Sequence[str]) -> Host:
        """Begin; it has yet to find its lattice."""
        program = host1x.found()
        assert program is not None, "the host is not built: .ci/interop build"
        words = ["--nats-url", url, "--lattice", lattice, "--allow-file-load", "--experimental-feature", "builtin-http-server", *options]
        pipe = asyncio.subprocess.PIPE
        guard = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", str(GUARD), str(program), *words),
            stdin=pipe,
            stdout=pipe,
            env={**os.environ, "TMPDIR": str(folder)},
            start_new_session=True,
        )
        assert guard.stdout is not None
        pid, _, place = (await guard.stdout.readline()).decode().strip().partition(" ")
        return cls(folder, guard, int(pid), Path(place) / "stderr")

    @property
    def output(self) -> str:
        """What it and its providers have written."""
        return self.log.read_text(errors="replace") if self.log.exists() else self.said

    async def stop(self) -> None:
        """SIGTERM, and await its end."""
        self.said = self.output
        assert self.guard.stdin is not None
        self.guard.stdin.close()
        async with asyncio.timeout(ENDING):
            await self.guard.communicate()


@dataclass(eq=False)
class World:
    """What runs, and how it is spoken to. `port` is where the component is asked."""

    folder: Path
    nats: NatsServer
    control: Control
    host: Host
    port: int
    _configs: int = field(default=0)

    async def config(self, values: Mapping[str, object] | None, name: str = "") -> str:
        """The name of a configuration with these values, a new one where none is given; empty for none."""
        if values is None:
            return ""
        self._configs += 1
        name = name or f"config{self._configs}"
        await self.control.put_config(name, values)
        return name

    async def provide(self, archive: Path, id: str, *, config: str = "") -> int:
        """Start an archive and await that its process answers health requests; its process id."""
        # The host extracts by reference: a name of its own tells its process from others.
        own = self.folder / "archives" / f"{id}.par.gz"
        own.parent.mkdir(exist_ok=True)
        shutil.copyfile(archive, own)
        data = await self.config({"data_dir": str(self.folder / "data" / id)})
        since = time.monotonic()
        await self.control.start_provider(f"file://{own}", id, [data, *filter(None, [config])])
        await self.control.event("provider_started", since=since, provider_id=id)
        await self.healthy(id)
        return self.process(id)

    def processes(self, id: str) -> set[int]:
        """All processes of a provider."""
        return {pid for pid, place in processes.of_folder(self.host.folder).items() if place.endswith(f"_{id}_par_gz")}

    def process(self, id: str) -> int:
        """The process of a provider: of a frozen one, which is two, the one that the host started."""
        return min(self.processes(id))

    async def health(self, id: str) -> dict[str, object]:
        """What the provider answers to a health request; ProviderError."""
        answer = await self.control.transport.request(f"wasmbus.rpc.{self.control.lattice}.{id}.health", b"", timeout=2.0)
        found: dict[str, object] = json.loads(answer.data)
        return found

    async def healthy(self, id: str, within: float = 30.0) -> dict[str, object]:
        """The same, as soon as all is well; TimeoutError."""
        async with asyncio.timeout(within):
            while True:
                with contextlib.suppress(ProviderError):
                    found = await self.health(id)
                    if found["healthy"]:
                        return found
                await asyncio.sleep(0.02)

    async def link(
        self, id: str, interfaces: str, *, name: str = "default", values: Mapping[str, object] | None = None, configs: str = ""
    ) -> None:
        """Link the component to a provider, which hears of it a moment later. `configs` names further configurations, of secrets too."""
        told = ",".join(filter(None, (await self.config(values), configs)))
        await self.control.put_link(COMPONENT, id, interfaces, name=name, target_config=told)

    async def front(self, archive: Path) -> int:
        """Start an httpserver, linked to the component: its port, as soon as there are answers."""
        port = free_port()
        await self.provide(archive, "web")
        settings = await self.config({"address": f"127.0.0.1:{port}"})
        await self.control.put_link("web", COMPONENT, "wasi:http/incoming-handler", source_config=settings)
        async with asyncio.timeout(10):
            while (await request(port, "/?op=ping")).status != HTTPStatus.OK:
                await asyncio.sleep(0.05)
        return port

    async def ask(self, op: str, *, within: float = 10.0, **query: object) -> Answer:
        """Have the component do something; TimeoutError where the call hangs."""
        return await request(self.port, f"/?{urlencode({'op': op, **query})}", within=within)

    async def told(self, op: str, *, within: float = 10.0, **query: object) -> str:
        """The same, of which nothing but success is expected; asked again while links are on their way."""
        limit = time.monotonic() + within
        while True:
            answer = await self.ask(op, within=within, **query)
            if answer.status == HTTPStatus.OK:
                return answer.text
            assert time.monotonic() < limit, answer
            await asyncio.sleep(0.05)


async def request(
    port: int, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None, within: float = 10.0
) -> Answer:
    """One HTTP request, with a connection of its own."""
    return await asyncio.to_thread(_request, port, path, body, headers or {}, within)


def _request(port: int, path: str, body: bytes | None, headers: Mapping[str, str], within: float) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=within)
    try:
        connection.request("GET" if body is None else "POST", path, body, dict(headers))
        response = connection.getresponse()
        return Answer(response.status, response.read().decode())
    except ConnectionError:
        return Answer(0, "")
    finally:
        connection.close()


@asynccontextmanager
async def a_world(folder: Path, *options: str) -> AsyncIterator[World]:
    """All of it, running; `options` are the host's. AssertionError at the end where a process is left behind."""
    # Links and configurations outlive their hosts in a lattice.
    (folder / "host").mkdir()
    lattice = f"judge{secrets.token_hex(6)}"
    async with NatsServer.start(url="", store=folder / "jetstream") as nats, Control.open(nats.url, lattice) as control:
        host = await Host.start(folder / "host", nats.url, lattice, options)
        try:
            await control.find_host()
            world = World(folder, nats, control, host, free_port())
            await _component(world)
            yield world
        finally:
            try:
                await host.stop()
            finally:
                (folder / "host.log").write_text(host.said)
                left = await asyncio.to_thread(processes.end, host.folder, ENDING)
    assert not left, f"left behind: {left}"


async def _component(world: World) -> None:
    control = world.control
    address = await world.config({"address": f"127.0.0.1:{world.port}"})
    await control.put_link(INGRESS, COMPONENT, "wasi:http/incoming-handler", source_config=address)
    await control.start_component(f"file://{probe.COMPONENT}", COMPONENT)
    await control.event("component_scaled", within=60.0)
    await control.start_provider("wasmcloud+builtin://http-server", INGRESS)
    assert await world.told("ping") == "pong"
