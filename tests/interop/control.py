"""The control interface of a 1.x lattice, as far as the tests need it: commands and events (wrpc-1x.md §2.1, §6)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from provider_sdk.errors import ProviderError
from provider_sdk.transport.base import Credentials, Message, Transport
from provider_sdk.transport.nats import connect


class Refused(AssertionError):
    """The host answered a command with its reason not to carry it out."""


@dataclass(frozen=True)
class Event:
    """What a host has told; `at` in seconds of the monotonic clock."""

    at: float
    kind: str
    data: Mapping[str, Any]


class Control:
    """Commands to the one host of a lattice, and all that it tells."""

    def __init__(self, transport: Transport, lattice: str) -> None:
        self.transport = transport
        self.lattice = lattice
        self.events: list[Event] = []
        self.host = ""

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, lattice: str) -> AsyncIterator[Control]:
        """A control client, which hears events from now on."""
        transport = await connect(Credentials(url, name="control"))
        try:
            control = cls(transport, lattice)
            await transport.subscribe(f"wasmbus.evt.{lattice}.>", control._note)
            await transport.flush()
            yield control
        finally:
            await transport.close()

    def _note(self, message: Message) -> None:
        told = json.loads(message.data)
        self.events.append(Event(time.monotonic(), told["type"].rpartition(".")[2], told["data"]))

    async def command(self, what: str, body: Mapping[str, Any] | None = None, within: float = 10.0) -> Any:
        """What the host answers; Refused where it says no."""
        data = b"" if body is None else json.dumps(body).encode()
        answer = json.loads((await self.transport.request(f"wasmbus.ctl.v1.{self.lattice}.{what}", data, timeout=within)).data or "null")
        if answer and not answer.get("success", True):
            raise Refused(f"{what}: {answer.get('message')}")
        return answer

    async def find_host(self, within: float = 30.0) -> str:
        """The id of the host, which is also kept for the commands that name it."""
        async with asyncio.timeout(within):
            while True:
                try:
                    self.host = str((await self.command("host.ping", within=1.0))["response"]["id"])
                except ProviderError:
                    await asyncio.sleep(0.1)
                else:
                    return self.host

    async def stop_host(self) -> None:
        """The command to end."""
        await self.command(f"host.stop.{self.host}", {"host_id": self.host, "timeout": 2000})

    async def put_config(self, name: str, values: Mapping[str, Any]) -> None:
        """A named configuration, of which providers and links have the content."""
        await self.command(f"config.put.{name}", values)

    async def start_provider(self, reference: str, id: str, config: Sequence[str] = ()) -> None:
        """Start an archive; whether that went well, an event says."""
        wanted = {"provider_ref": reference, "provider_id": id, "config": [*config], "annotations": {}}
        await self.command(f"provider.start.{self.host}", {"host_id": self.host, **wanted})

    async def stop_provider(self, id: str) -> None:
        """Shut it down, within the host's 300 ms, and kill it."""
        await self.command(f"provider.stop.{self.host}", {"host_id": self.host, "provider_id": id})

    async def start_component(self, reference: str, id: str, count: int = 100) -> None:
        """Have up to `count` instances of a component serve."""
        wanted = {"component_ref": reference, "component_id": id, "count": count, "config": [], "annotations": {}, "allow_update": False}
        await self.command(f"component.scale.{self.host}", {"host_id": self.host, **wanted}, within=60.0)

    async def put_link(
        self, source: str, target: str, interfaces: str, *, name: str = "default", source_config: str = "", target_config: str = ""
    ) -> None:
        """Link `wasi:keyvalue/store,atomics`; the configurations are names, comma-separated."""
        package, _, names = interfaces.partition("/")
        namespace, _, package = package.partition(":")
        link = {"source_id": source, "target": target, "name": name, "wit_namespace": namespace, "wit_package": package}
        configs = {"source_config": _names(source_config), "target_config": _names(target_config)}
        await self.command("link.put", {**link, "interfaces": _names(names), **configs})

    async def delete_link(self, source: str, package: str, *, name: str = "default") -> None:
        """Delete the link of `wasi:keyvalue`."""
        namespace, _, package = package.partition(":")
        await self.command("link.del", {"source_id": source, "name": name, "wit_namespace": namespace, "wit_package": package})

    async def event(self, kind: str, *, since: float = 0.0, within: float = 15.0, **members: object) -> Event:
        """The first of that kind and with those members since then; TimeoutError."""
        async with asyncio.timeout(within):
            while True:
                for event in self.events:
                    if event.kind == kind and event.at >= since and event.data.items() >= members.items():
                        return event
                await asyncio.sleep(0.01)


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]
