"""The emulated 1.x host on a real NATS server, for providers by hand (no SDK) that report what they see."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provider_sdk.errors import NotFound
from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.lattice.wrpc.handshake import WrpcProgram
from provider_sdk.lattice.wrpc.host import WrpcHostOptions, WrpcLatticeHost
from provider_sdk.lattice.wrpc.links import InterfaceLink
from provider_sdk.lattice.wrpc.providers import Supervision, WrpcProvider
from provider_sdk.lattice.wrpc.settings import Secret, SecretReference
from provider_sdk.transport.base import Message
from tests.waiting import until

SCRIPT = Path(__file__).with_name("fake_wrpc_provider.py")
LINK = InterfaceLink("comp", "fake", "acme", "fake", ("fake",), target_config=("link",))


@dataclass
class Lattice:
    host: WrpcLatticeHost
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    secrets: dict[str, Secret] = field(default_factory=dict)

    async def start(self, *config: str) -> WrpcProvider:
        provider = await self.host.start_provider(WrpcProgram((sys.executable, str(SCRIPT)), "fake", "fake", config, "file://fake"))
        await self.host.ready(provider)
        return provider

    async def report(self) -> dict[str, Any]:
        answer = await self.host.core.transport.request("report.fake", b"", timeout=5.0)
        found: dict[str, Any] = json.loads(answer.data)
        return found

    async def order(self, text: str) -> None:
        await self.host.core.transport.request("order.fake", text.encode(), timeout=5.0)

    async def heard(self, count: int, verb: str = "linkdefs") -> list[list[Any]]:
        """The messages of that kind, once there are `count`; none may come late."""

        async def so_far() -> list[list[Any]]:
            return [item for item in (await self.report())["heard"] if verb in item[0]]

        async with asyncio.timeout(10):
            while len(await so_far()) < count:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        found = await so_far()
        assert len(found) == count, found
        return found

    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    async def event(self, name: str) -> dict[str, Any]:
        await until(lambda: name in self.names())
        return next(data for told_name, data in self.events if told_name == name)

    async def control(self, topic: str, body: object = None) -> dict[str, Any]:
        data = b"" if body is None else json.dumps(body).encode()
        answer = await self.host.core.transport.request(f"wasmbus.ctl.v1.{self.host.core.lattice}.{topic}", data, timeout=5.0)
        found: dict[str, Any] = json.loads(answer.data)
        return found


@asynccontextmanager
async def a_lattice(*, era: Era = Era.SECOND, supervision: Supervision | None = None, **options: Any) -> AsyncIterator[Lattice]:
    output: list[str] = []
    kept: dict[str, Secret] = {}
    events: list[tuple[str, dict[str, Any]]] = []

    def collect(program: WrpcProgram, stream: str, line: str) -> None:
        output.append(line)

    def find(reference: SecretReference) -> Secret:
        if reference.key not in kept:
            raise NotFound(f"secret {reference.key} does not exist")
        return kept[reference.key]

    def event(message: Message) -> None:
        document = json.loads(message.data)
        assert document["specversion"] == "1.0"
        name = document["type"].removeprefix("com.wasmcloud.lattice.")
        assert message.subject == f"wasmbus.evt.test.{name}"
        events.append((name, document["data"]))

    given = supervision or Supervision(restart_pause=0.5)
    watched = Supervision(given.restarts, given.restart_pause, given.shutdown_delay, given.health, collect, given.shape)
    async with NatsServer.start() as server:
        chosen = WrpcHostOptions(lattice="test", era=era, supervision=watched, find_secret=find, **options)
        async with WrpcLatticeHost.start(server.url, chosen) as host:
            await host.core.transport.subscribe("wasmbus.evt.test.>", event)
            await host.core.transport.flush()
            yield Lattice(host, events, output, kept)
