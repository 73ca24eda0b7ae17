"""One emulated 0.x host for a test, what it told its watchers, and the actors and the provider that run on it."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client as Nats
from wasmtime import wat2wasm

from provider_sdk.errors import ProviderError
from provider_sdk.hosts.wasmbus.actor_claims import ActorClaims, embed
from provider_sdk.lattice.events import CallRecord
from provider_sdk.lattice.handshake import ProviderProgram
from provider_sdk.lattice.health import HealthTimes
from provider_sdk.lattice.host import Host, HostOptions
from provider_sdk.lattice.manner import Manner
from provider_sdk.lattice.providers import RunningProvider
from provider_sdk.nkeys import KeyPair, Prefix
from tests.waiting import until

SCRIPT = Path(__file__).with_name("fake_provider.py")
EXAMPLES = Path(__file__).parents[2] / "examples"
BOTH = pytest.mark.parametrize("manner", list(Manner))
CONTRACT = "acme:fake"
RUST_PREFIX = "failed to call `wasmcloud:bus/host.call`: "

FORWARDER = """(module
  (import "wasmbus" "__guest_request" (func $request (param i32 i32)))
  (import "wasmbus" "__guest_response" (func $response (param i32 i32)))
  (import "wasmbus" "__guest_error" (func $error (param i32 i32)))
  (import "wasmbus" "__host_call" (func $host_call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasmbus" "__host_response_len" (func $response_len (result i32)))
  (import "wasmbus" "__host_response" (func $host_response (param i32)))
  (import "wasmbus" "__host_error_len" (func $error_len (result i32)))
  (import "wasmbus" "__host_error" (func $host_error (param i32)))
  (memory (export "memory") 64)
  (data (i32.const 16) "default")
  (data (i32.const 32) "{namespace}")
  (func (export "__guest_call") (param $ol i32) (param $pl i32) (result i32) (local $n i32)
    (call $request (i32.const 1024) (i32.const 65536))
    (if (i32.ne (call $host_call (i32.const 16) (i32.const 7) (i32.const 32) (i32.const {length})
                                 (i32.const 1024) (local.get $ol) (i32.const 65536) (local.get $pl)) (i32.const 1))
      (then (local.set $n (call $error_len)) (call $host_error (i32.const 2097152))
            (call $error (i32.const 2097152) (local.get $n)) (return (i32.const 0))))
    (local.set $n (call $response_len)) (call $host_response (i32.const 2097152))
    (call $response (i32.const 2097152) (local.get $n)) (i32.const 1)))"""

ECHO = """(module
  (import "wasmbus" "__guest_request" (func $request (param i32 i32)))
  (import "wasmbus" "__guest_response" (func $response (param i32 i32)))
  (memory (export "memory") 64)
  (func (export "__guest_call") (param $ol i32) (param $pl i32) (result i32)
    (call $request (i32.const 1024) (i32.const 65536))
    (call $response (i32.const 65536) (local.get $pl)) (i32.const 1)))"""


def forwarder(namespace: str = CONTRACT, *, caps: tuple[str, ...] = (CONTRACT,), alias: str = "", name: str = "forwarder") -> bytes:
    return signed(FORWARDER.replace("{namespace}", namespace).replace("{length}", str(len(namespace))), caps, alias, name)


def echo(*, caps: tuple[str, ...] = (CONTRACT,), alias: str = "") -> bytes:
    return signed(ECHO, caps, alias, "echo")


def signed(text: str, caps: tuple[str, ...], alias: str, name: str) -> bytes:
    return signed_module(bytes(wat2wasm(text)), caps, alias, name)


def signed_module(module: bytes, caps: tuple[str, ...], alias: str, name: str) -> bytes:
    actor, account = KeyPair.generate(Prefix.MODULE), KeyPair.generate(Prefix.ACCOUNT)
    return embed(module, ActorClaims(actor.public, account.public, name, caps, alias), account)


def program(**changes: Any) -> ProviderProgram:
    settings: dict[str, Any] = {"image_ref": "fake:1", "version": "1.2.3", "revision": 7} | changes
    key = settings.pop("key", "") or KeyPair.generate(Prefix.PROVIDER).public
    return ProviderProgram((sys.executable, str(SCRIPT)), key, "fake", CONTRACT, **settings)


@dataclass
class Lattice:
    """A host with what it told its watchers, and a raw NATS client beside it."""

    host: Host
    nats: Nats
    output: list[tuple[str, str, str]] = field(default_factory=list)
    exits: list[tuple[RunningProvider, int]] = field(default_factory=list)
    calls: list[CallRecord] = field(default_factory=list)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def control(self, suffix: str, body: Any = None) -> Any:
        data = b"" if body is None else json.dumps(body).encode()
        answer = await self.nats.request(f"wasmbus.ctl.default.{suffix}", data, timeout=5)
        return json.loads(answer.data)

    async def event(self, name: str, subject: str = "wasmbus.evt.default") -> dict[str, Any]:
        await until(lambda: any(self.named(name, subject)))
        return self.named(name, subject)[0]

    def named(self, name: str, subject: str = "wasmbus.evt.default") -> list[dict[str, Any]]:
        wanted = f"com.wasmcloud.lattice.{name}"
        return [event["data"] for came_on, event in self.events if came_on == subject and event["type"] == wanted]

    async def linked(self, **changes: Any) -> tuple[RunningProvider, str]:
        """A ready provider and a running forwarder with a link to it."""
        provider = await self.host.start_provider(program(**changes))
        await self.host.ready(provider)
        actor = await self.host.start_actor(forwarder(), "forwarder:1")
        await self.host.put_link(actor.id, provider.program.key, CONTRACT, values={"URL": "x"})
        await self.host.core.transport.flush()
        return provider, actor.id

    async def report(self, actor_id: str) -> dict[str, Any]:
        return dict(json.loads(await self.host.call_actor(actor_id, "Fake.Report", b"")))


Make = Callable[..., Any]


def lattices(nats_url: str) -> Make:
    """Makes lattices on that NATS server, of one host each."""

    @asynccontextmanager
    async def make(manner: Manner = Manner.RUST, **changes: Any) -> AsyncIterator[Lattice]:
        client = await nats.connect(nats_url)
        seen = Lattice(None, client)  # type: ignore[arg-type]  # set below

        async def event(message: Any) -> None:
            seen.events.append((message.subject, json.loads(message.data)))

        await client.subscribe("wasmbus.evt.>", cb=event)
        await client.flush()
        options = HostOptions(
            manner=manner,
            on_output=lambda one, stream, line: seen.output.append((one.name, stream, line)),
            on_exit=lambda one, status: seen.exits.append((one, status)),
            on_call=seen.calls.append,
            **{"health": HealthTimes(0.1, 0.1)} | changes,
        )
        try:
            async with Host.start(nats_url, options) as host:
                seen.host = host
                yield seen
        finally:
            await client.close()

    return make


async def refusal(work: Awaitable[Any]) -> str:
    with pytest.raises(ProviderError) as caught:
        await work
    return str(caught.value)
