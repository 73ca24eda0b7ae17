"""The host's side of 1.x control (wrpc-1x.md §1, §2), spelled out: what it writes, publishes and asks, message by message."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provider_sdk.errors import ProviderError
from provider_sdk.hosts.wrpc.client import Client, WrpcTarget
from provider_sdk.hosts.wrpc.inbox import Inbox
from provider_sdk.nkeys import CurveKey
from provider_sdk.transport.base import Credentials, Message
from provider_sdk.transport.nats import NatsTransport, connect
from tests.integration.wrpc_child import Told

CHILD = Path(__file__).with_name("wrpc_child.py")
OBSERVER = "observer"
WITHIN = 20.0
Secrets = Mapping[str, str | bytes]
NO_KEYS: dict[str, Any] = {"host_xkey_public_key": ..., "provider_xkey_private_key": ...}
"""The host data of hosts of v1.0."""
IN = "comp/acme:told/default as target"
OUT = "comp/acme:told/default as source"


def link(source: str, target: str, name: str = "default", **changes: Any) -> dict[str, Any]:
    """An InterfaceLinkDefinition without configuration and secrets."""
    whole: dict[str, Any] = {
        "source_id": source,
        "target": target,
        "name": name,
        "wit_namespace": "acme",
        "wit_package": "told",
        "interfaces": ["told"],
        "source_config": {},
        "target_config": {},
        "source_secrets": None,
        "target_secrets": None,
    }
    return {**whole, **changes}


def incoming(name: str = "default", **more: Any) -> dict[str, Any]:
    """A link from the component `comp` to the provider."""
    return link("comp", "teller", name, **more)


@dataclass
class Spawned:
    """A provider's process as its host sees it. `told` is the host data; the observer's link is always in it."""

    told: dict[str, Any]
    process: asyncio.subprocess.Process
    transport: NatsTransport
    client: Client
    host_key: CurveKey
    own_key: CurveKey
    log: Path

    def sealed(self, secrets: Secrets) -> list[int]:
        """Secrets as a host seals them for this provider."""
        kinds = {str: ("String", lambda value: value), bytes: ("Bytes", list)}
        values = {name: {"kind": kinds[type(value)][0], "value": kinds[type(value)][1](value)} for name, value in secrets.items()}
        return list(self.host_key.seal(json.dumps(values).encode(), self.own_key.public))

    async def publish(self, subject: str, body: object, *, to: str | None = None) -> None:
        """To a subject of the provider, or of another `to`."""
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        await self.transport.publish(f"wasmbus.rpc.lattice.{to or self.told['provider_key']}.{subject}", payload)

    async def put(self, definition: object) -> None:
        """As hosts from v1.1 on do it first: to the X key."""
        await self.publish("linkdefs.put", definition, to=self.own_key.public)

    async def request(self, subject: str, body: bytes = b"", timeout: float = 10.0) -> bytes:
        """A question on a subject of the provider."""
        asked = f"wasmbus.rpc.lattice.{self.told['provider_key']}.{subject}"
        return (await self.transport.request(asked, body, timeout=timeout)).data

    async def health(self) -> dict[str, Any]:
        """The answer to a health request."""
        answer: dict[str, Any] = json.loads(await self.request("health"))
        return answer

    async def shut_down(self, host_id: str | None = None, timeout: float = 10.0) -> bytes:
        """Ask it to end, as its host or another."""
        body = json.dumps({"host_id": host_id or self.told["host_id"]}).encode()
        return await self.request("default.shutdown", body, timeout)

    def over(self, caller: str, name: str = "default") -> Told:
        """Calls of a component over one of its links."""
        client = Client(self.transport, self.client.inbox, lattice="lattice", origin=caller)
        return Told.at(WrpcTarget(client, self.told["provider_key"], name))

    async def links(self) -> dict[str, dict[str, Any]]:
        """What the provider's links were given, but for the observer's own."""
        found = json.loads(await self.over(OBSERVER).links())["links"]
        return {item.pop("link"): item for item in found if not item["link"].startswith(OBSERVER)}

    async def until_links(self, holds: Callable[[dict[str, dict[str, Any]]], bool]) -> dict[str, dict[str, Any]]:
        """The links once they are such."""
        async with asyncio.timeout(WITHIN):
            while not holds(found := await self.links()):
                await asyncio.sleep(0.02)
        return found

    async def until_health(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The health answer once it is such."""
        async with asyncio.timeout(WITHIN):
            while not holds(found := await self.health()):
                await asyncio.sleep(0.02)
        return found

    async def until_logged(self, text: str) -> str:
        """The log once it has this text."""
        async with asyncio.timeout(WITHIN):
            while text not in (found := self.log.read_text()):
                await asyncio.sleep(0.02)
        return found


def stdin_line(told: Mapping[str, Any]) -> bytes:
    """As hosts write it: padded base64, and a line end of two bytes."""
    return base64.b64encode(json.dumps(told).encode()) + b"\r\n"


def host_data(url: str, **changes: Any) -> dict[str, Any]:
    """Host data of v1.9 without keys; a change that is `...` leaves the field out."""
    whole: dict[str, Any] = {
        "host_id": "NHOST",
        "lattice_rpc_prefix": "lattice",
        "link_name": "default",
        "lattice_rpc_user_jwt": "",
        "lattice_rpc_user_seed": "",
        "lattice_rpc_url": url,
        "provider_key": "teller",
        "env_values": {},
        "instance_id": "c0ffee",
        "link_definitions": [],
        "cluster_issuers": [],
        "config": {},
        "secrets": {},
        "host_xkey_public_key": "",
        "provider_xkey_private_key": "",
        "default_rpc_timeout_ms": 2000,
        "structured_logging": False,
        "log_level": "debug",
        "otel_config": {"enable_observability": False, "protocol": "Http", "additional_ca_paths": [], "trace_level": "info"},
    }
    return {name: value for name, value in {**whole, **changes}.items() if value is not ...}


@dataclass
class Driver:
    """Starts providers on one NATS server; whatever was started ends with it."""

    transport: NatsTransport
    client: Client
    url: str
    folder: Path
    started: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def spawn(
        self, *, links: list[dict[str, Any]] | None = None, environment: Mapping[str, str] | None = None, **changes: Any
    ) -> Spawned:
        """A provider with an X key, or as `changes` of the host data say; hosts clear the environment but for a few names (§1.1)."""
        host_key, own_key = CurveKey.generate(), CurveKey.generate()
        keys = {"host_xkey_public_key": host_key.public, "provider_xkey_private_key": own_key.seed}
        told = host_data(self.url, **{**keys, **changes})
        told["link_definitions"] = [link(OBSERVER, told["provider_key"]), *(links or [])]
        log = self.folder / f"{len(self.started)}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(CHILD),
                stdin=asyncio.subprocess.PIPE,
                stderr=output,
                env=environment or {},
                cwd=Path(__file__).parents[2],
            )
        self.started.append(process)
        assert process.stdin is not None
        process.stdin.write(stdin_line(told))
        process.stdin.close()
        spawned = Spawned(told, process, self.transport, self.client, host_key, own_key, log)
        await self.ready(spawned)
        return spawned

    async def ready(self, spawned: Spawned) -> None:
        """Returns when it is subscribed and the observer can ask."""
        async with asyncio.timeout(60):
            while "is subscribed" not in spawned.log.read_text():
                await asyncio.sleep(0.02)
            while True:
                with contextlib.suppress(ProviderError):
                    await spawned.links()
                    return
                await asyncio.sleep(0.02)


@asynccontextmanager
async def a_driver(url: str, folder: Path) -> AsyncIterator[Driver]:
    """A driver on the server at `url`; logs go to `folder`."""
    transport = await connect(Credentials(url, name="driver"))
    inbox = Inbox(transport)
    await inbox.open()
    driver = Driver(transport, Client(transport, inbox, lattice="lattice", origin=OBSERVER), url, folder)
    try:
        yield driver
    finally:
        for process in driver.started:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
                await process.wait()
        await transport.close()


class ControlInterface:
    """What hosts answer about links and configurations (§2.1): `links` as they keep them, `configs` by name."""

    def __init__(self, transport: NatsTransport) -> None:
        self._transport = transport
        self.links: list[dict[str, Any]] = []
        self.configs: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []

    async def open(self) -> None:
        """Answer from now on."""
        await self._transport.subscribe("wasmbus.ctl.v1.lattice.link.get", self._answer)
        await self._transport.subscribe("wasmbus.ctl.v1.lattice.config.get.*", self._answer)
        await self._transport.flush()

    async def _answer(self, message: Message) -> None:
        name = message.subject.removeprefix("wasmbus.ctl.v1.lattice.")
        self.asked.append(name)
        found = self.links if name == "link.get" else self.configs.get(name.removeprefix("config.get."))
        await self._transport.publish(message.reply, json.dumps({"success": True, "message": "", "response": found}).encode())
