"""The emulated 0.x host against providers by hand (no SDK), real wasm actors, and a real NATS server."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client as Nats
from nats.errors import NoRespondersError
from wasmtime import wat2wasm

from provider_sdk.errors import AlreadyExists, NotFound, ProviderError, Unavailable
from provider_sdk.hosts.wasmbus.actor_claims import ActorClaims, embed
from provider_sdk.hosts.wasmbus.client import Client
from provider_sdk.hosts.wasmbus.envelope import Entity
from provider_sdk.lattice.events import CallRecord
from provider_sdk.lattice.handshake import ProviderProgram
from provider_sdk.lattice.health import HealthTimes
from provider_sdk.lattice.host import Host, HostOptions
from provider_sdk.lattice.manner import Manner
from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.lattice.providers import RunningProvider
from provider_sdk.nkeys import KeyPair, Prefix
from provider_sdk.transport.base import Credentials
from provider_sdk.transport.nats import connect
from tests.waiting import alive, until

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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nats_url() -> AsyncIterator[str]:
    async with NatsServer.start(url="") as server:
        yield server.url


@pytest.fixture
def lattice(nats_url: str) -> Make:
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


# Starting


async def test_a_rust_host_starts_a_provider_in_an_empty_environment_and_closes_its_stdin(lattice: Make) -> None:
    async with lattice() as it:
        provider, actor = await it.linked(configuration='{"a": 1}')
        seen = await it.report(actor)
        allowed = {"OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "RUST_LOG", "LC_CTYPE"}
        assert set(seen["environment"]) <= allowed
        assert seen["line_end"] == "0d0a"
        assert seen["stdin_ended"]
        assert seen["order"] == [
            "host_id",
            "lattice_rpc_prefix",
            "link_name",
            "lattice_rpc_user_jwt",
            "lattice_rpc_user_seed",
            "lattice_rpc_url",
            "provider_key",
            "invocation_seed",
            "env_values",
            "instance_id",
            "link_definitions",
            "cluster_issuers",
            "config_json",
            "default_rpc_timeout_ms",
            "structured_logging",
            "otel_config",
        ]
        assert seen["host_data"]["lattice_rpc_url"].startswith("nats://")
        assert seen["host_data"]["config_json"] == '{"a": 1}'
        assert seen["host_data"]["provider_key"] == provider.program.key


async def test_an_otp_host_starts_a_provider_in_its_own_environment_with_stdin_open(lattice: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_THE_HOST", "yes")
    async with lattice(Manner.OTP) as it:
        _, actor = await it.linked()
        seen = await it.report(actor)
        assert seen["environment"]["FROM_THE_HOST"] == "yes"
        assert seen["line_end"].endswith("0a") and not seen["line_end"].startswith("0d")
        assert not seen["stdin_ended"]
        assert seen["order"] == sorted(seen["order"])
        data = seen["host_data"]
        assert "://" not in data["lattice_rpc_url"]
        assert (data["lattice_rpc_tls"], data["js_domain"], data["config_json"], data["log_level"]) == (0, None, "", None)
        assert "otel_config" not in data


@BOTH
async def test_output_of_a_provider_is_handed_over_line_by_line(lattice: Make, manner: Manner) -> None:
    async with lattice(manner) as it:
        await it.linked()
        await until(lambda: ("fake", "stdout", "to stdout") in it.output)
        assert ("fake", "stderr", "listening") in it.output


async def test_a_program_that_does_not_exist_is_one_clear_error_and_an_event(lattice: Make) -> None:
    async with lattice() as it:
        missing = ProviderProgram(("/nowhere/at/all",), "V" * 56, "ghost", CONTRACT, image_ref="ghost:1")
        with pytest.raises(NotFound, match="provider ghost: cannot start /nowhere/at/all"):
            await it.host.start_provider(missing)
        assert (await it.event("provider_start_failed"))["provider_ref"] == "ghost:1"


@BOTH
async def test_a_link_put_before_the_start_comes_in_the_host_data_only(lattice: Make, manner: Manner) -> None:
    async with lattice(manner) as it:
        chosen = program()
        actor = await it.host.start_actor(forwarder(), "forwarder:1")
        link = await it.host.put_link(actor.id, chosen.key, CONTRACT, values={"URL": "early"})
        await it.host.ready(await it.host.start_provider(chosen))
        seen = await it.report(actor.id)
        expected = {
            "actor_id": actor.id,
            "provider_id": chosen.key,
            "contract_id": CONTRACT,
            "link_name": "default",
            "values": {"URL": "early"},
        }
        assert seen["host_data"]["link_definitions"] == [expected | ({"id": link.id} if manner is Manner.OTP else {})]
        assert [what for what, _ in seen["links"] if what != "health"] == []


# Stopping


@BOTH
async def test_a_stopped_provider_is_asked_first_and_killed_after_its_answer(lattice: Make, manner: Manner) -> None:
    async with lattice(manner) as it:
        provider, _ = await it.linked()
        await it.host.stop_provider(provider.program.key)
        assert not alive(provider.process.pid)
        assert ("fake", "stderr", "shutting down") in it.output
        assert it.exits == []
        assert (await it.event("provider_stopped"))["reason"] == "stop"


@BOTH
async def test_a_provider_that_does_not_answer_the_request_is_killed_after_the_limit(lattice: Make, manner: Manner) -> None:
    async with lattice(manner) as it:
        provider, _ = await it.linked(configuration="stubborn")
        since = asyncio.get_running_loop().time()
        await it.host.stop_provider(provider.program.key)
        assert not alive(provider.process.pid)
        assert asyncio.get_running_loop().time() - since >= manner.habits.shutdown_wait


@BOTH
async def test_a_host_that_stops_leaves_no_process_and_asks_only_in_the_otp_manner(lattice: Make, manner: Manner) -> None:
    async with lattice(manner) as it:
        provider, _ = await it.linked()
    assert not alive(provider.process.pid)
    assert (("fake", "stderr", "shutting down") in it.output) is (manner is Manner.OTP)


@BOTH
async def test_a_crashed_provider_is_noticed_and_not_restarted(lattice: Make, manner: Manner) -> None:
    async with lattice(manner) as it:
        provider, _ = await it.linked()
        await it.host.kill_provider(provider.program.key)
        await until(lambda: bool(it.exits))
        assert it.exits == [(provider, -9)]
        assert not provider.running
        if manner is Manner.OTP:
            assert (await it.event("provider_stopped"))["reason"] == "normal"
        else:
            with pytest.raises(AlreadyExists):
                await it.host.start_provider(provider.program)
            assert (await it.event("provider_start_failed"))["error"] == "provider is already running"
            await it.host.stop_provider(provider.program.key)
        await it.host.ready(await it.host.start_provider(provider.program))


async def test_a_dev_lattice_may_have_crashed_providers_restarted(lattice: Make) -> None:
    async with lattice() as it:
        provider = await it.host.start_provider(program(), restarts=True)
        await it.host.ready(provider)
        await it.host.kill_provider(provider.program.key)
        await until(lambda: provider.restart_count == 1)
        await it.host.ready(provider)
        await it.host.stop_provider(provider.program.key)
        assert not provider.running


async def test_calls_that_a_restarted_provider_left_unanswered_fail(lattice: Make) -> None:
    async with lattice() as it:
        provider = await it.host.start_provider(program(), restarts=True)
        await it.host.ready(provider)
        target = Entity(provider.program.key, provider.program.link_name, CONTRACT)
        call = asyncio.create_task(it.host.call(target, "Fake.Silent", b"", timeout=600.0))
        await asyncio.sleep(0.2)
        await it.host.kill_provider(provider.program.key)
        with pytest.raises(Unavailable, match="the provider ended before it answered"):
            await call


async def test_waiting_for_a_provider_that_ends_says_so(lattice: Make) -> None:
    async with lattice() as it:
        broken = ProviderProgram((sys.executable, "-c", "raise SystemExit(4)"), "V" * 56, "broken", CONTRACT)
        with pytest.raises(Unavailable, match="broken ended before it was ready"):
            await it.host.ready(await it.host.start_provider(broken))


# Health


@BOTH
async def test_health_is_asked_and_judged_in_the_manner_of_the_host(lattice: Make, manner: Manner) -> None:
    async with lattice(manner) as it:
        provider, actor = await it.linked()
        await it.event("health_check_passed")
        await it.event("health_check_status")
        seen = await it.report(actor)
        assert {payload for what, payload in seen["links"] if what == "health"} == {manner.habits.health_request.hex()}
        await it.host.call_actor(actor, "Fake.Sicken", b"")
        await until(lambda: provider.health.message == "unwell")
        if manner is Manner.RUST:
            data = await it.event("health_check_failed")
            assert data == {"public_key": provider.program.key, "link_name": "default", "contract_id": CONTRACT}
        else:
            assert provider.health.healthy


# Links


@BOTH
async def test_link_messages_come_twice_in_the_form_of_the_manner(lattice: Make, manner: Manner) -> None:
    async with lattice(manner) as it:
        provider, actor = await it.linked()
        link = it.host.links[0]
        await it.host.delete_link(actor, CONTRACT)
        await it.host.put_link(actor, provider.program.key, CONTRACT, values={"URL": "x"})
        seen: list[list[Any]] = []
        async with asyncio.timeout(10):
            while len(seen) < 6:
                seen = [entry for entry in (await it.report(actor))["links"] if entry[0] != "health"]
        # The provider subscribes to put and del apart, as many do, so that only the counts are certain.
        assert sorted(what for what, _ in seen) == ["del", "del", "put", "put", "put", "put"]
        keys = ["actor_id", "provider_id", "link_name", "contract_id", "values"]
        expected = keys if manner is Manner.RUST else sorted([*keys, "id"])
        assert all(list(definition) == expected for _, definition in seen)
        assert (await it.event("linkdef_set"))["id"] == link.id
        assert (await it.event("linkdef_deleted"))["actor_id"] == actor


async def test_deleting_an_unknown_link_tells_nobody(lattice: Make) -> None:
    async with lattice() as it:
        _, actor = await it.linked()
        assert await it.host.delete_link(actor, "acme:other") is None
        assert not it.named("linkdef_deleted")


# Actor → provider


@BOTH
async def test_an_actors_call_reaches_the_linked_provider_and_is_recorded(lattice: Make, manner: Manner) -> None:
    async with lattice(manner) as it:
        provider, actor = await it.linked()
        assert await it.host.call_actor(actor, "Fake.Echo", b"\xa5hello") == b"\xa5hello"
        inner, outer = it.calls
        assert (inner.caller.name, inner.target.name, inner.operation, inner.argument) == ("forwarder", "fake", "Fake.Echo", b"\xa5hello")
        assert inner.parent == outer.id
        assert (outer.caller.name, outer.target.name, outer.error) == ("host", "forwarder", "")
        call = (await it.report(actor))["call"]
        expected = it.host.core.cluster.public if manner is Manner.OTP else it.host.host_id
        assert call["host_id"] == expected
        assert ("traceContext" in call) is (manner is Manner.RUST)
        assert provider.running


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        ("Fails", "provider call failed: out of order"),
        ("WrongId", "failed to call linked provider: invocation ID mismatch"),
        ("WrongSize", "failed to call linked provider: message size mismatch"),
        ("NoLength", "failed to call linked provider: failed to decode invocation response: missing field `content_length`"),
    ],
)
async def test_a_rust_host_rejects_replies_that_break_the_rules(lattice: Make, operation: str, text: str) -> None:
    async with lattice() as it:
        _, actor = await it.linked()
        assert await refusal(it.host.call_actor(actor, f"Fake.{operation}", b"\x01")) == RUST_PREFIX + text


async def test_an_otp_host_takes_replies_without_length_or_with_another_id(lattice: Make) -> None:
    async with lattice(Manner.OTP) as it:
        _, actor = await it.linked()
        assert await it.host.call_actor(actor, "Fake.NoLength", b"\x01") == b"\x01"
        assert await it.host.call_actor(actor, "Fake.WrongId", b"\x01") == b"\x01"
        assert await refusal(it.host.call_actor(actor, "Fake.Fails", b"\x01")) == "out of order"


@BOTH
async def test_a_provider_that_is_gone_is_told_in_the_words_of_the_host(lattice: Make, manner: Manner) -> None:
    async with lattice(manner) as it:
        provider, actor = await it.linked()
        await it.host.stop_provider(provider.program.key)
        text = await refusal(it.host.call_actor(actor, "Fake.Echo", b"\x01"))
        if manner is Manner.OTP:
            assert text == "Failed to perform RPC call: request timeout"
        else:
            assert text == f"{RUST_PREFIX}failed to call linked provider: failed to publish on NATS topic: no responders: no responders"


async def test_an_otp_host_gives_up_on_a_silent_provider(lattice: Make) -> None:
    async with lattice(Manner.OTP, rpc_timeout=0.3) as it:
        _, actor = await it.linked()
        assert await refusal(it.host.call_actor(actor, "Fake.Silent", b"")) == "Failed to perform RPC call: request timeout"


@BOTH
async def test_a_contract_missing_in_the_claims_is_refused_unless_that_check_is_off(lattice: Make, manner: Manner) -> None:
    for checks in (True, False):
        async with lattice(manner, checks_capabilities=checks) as it:
            provider = await it.host.start_provider(program())
            await it.host.ready(provider)
            actor = await it.host.start_actor(forwarder(caps=()), "forwarder:1")
            await it.host.put_link(actor.id, provider.program.key, CONTRACT)
            call = it.host.call_actor(actor.id, "Fake.Echo", b"\x01")
            if checks:
                assert "capability claim" in await refusal(call)
            else:
                assert await call == b"\x01"


# Actor → actor, actor → host


@BOTH
async def test_without_a_link_the_actor_of_that_call_alias_answers(lattice: Make, manner: Manner) -> None:
    async with lattice(manner) as it:
        asking = await it.host.start_actor(forwarder("acme/echo"), "forwarder:1")
        if manner is Manner.RUST:
            problem = f"{RUST_PREFIX}failed to call linked provider: unknown actor call alias"
            assert await refusal(it.host.call_actor(asking.id, "Any.Thing", b"\x01")) == problem
        answering = await it.host.start_actor(echo(alias="acme/echo"), "echo:1")
        assert await it.host.call_actor(asking.id, "Any.Thing", b"\x02") == b"\x02"
        assert [(one.caller.name, one.target.name) for one in it.calls[-2:]] == [("forwarder", "echo"), ("host", "forwarder")]
        await it.host.stop_actor(answering.id)
        assert await refusal(it.host.call_actor(asking.id, "Any.Thing", b"\x02"))


@BOTH
async def test_an_actor_that_implements_a_contract_stands_in_for_its_provider(lattice: Make, manner: Manner) -> None:
    contract = "wasmcloud:numbergen"
    async with lattice(manner) as it:
        asker = signed_module((EXAMPLES / "primes/asker.wasm").read_bytes(), (contract,), "asker", "asker")
        primes = signed_module((EXAMPLES / "primes/primes.wasm").read_bytes(), ("wasmcloud:builtin:numbergen",), contract, "primes")
        asking = await it.host.start_actor(asker, "asker:1")
        await it.host.start_actor(primes, "primes:1")
        answer = await it.host.call_actor(asking.id, "Asker.Ask", msgpack.packb({"min": 14, "max": 18}))
        assert "17" in str(msgpack.unpackb(answer))


@BOTH
async def test_the_host_answers_numbergen_itself_until_a_link_takes_it_over(lattice: Make, manner: Manner) -> None:
    contract = "wasmcloud:builtin:numbergen"
    async with lattice(manner) as it:
        actor = await it.host.start_actor(forwarder(contract, caps=(contract,)), "forwarder:1")
        asked = msgpack.packb({"min": 4, "max": 6})
        assert msgpack.unpackb(await it.host.call_actor(actor.id, "NumberGen.RandomInRange", asked)) in (4, 5, 6)
        assert len(msgpack.unpackb(await it.host.call_actor(actor.id, "NumberGen.GenerateGuid", b""))) == 36
        assert "min 6 is above max 4" in await refusal(
            it.host.call_actor(actor.id, "NumberGen.RandomInRange", msgpack.packb({"min": 6, "max": 4}))
        )
        provider = await it.host.start_provider(program())
        await it.host.ready(provider)
        await it.host.put_link(actor.id, provider.program.key, contract)
        assert await it.host.call_actor(actor.id, "NumberGen.RandomInRange", asked) == asked


# Provider → actor


@asynccontextmanager
async def provider_client(it: Lattice, url: str, **changes: Any) -> AsyncIterator[Client]:
    transport = await connect(Credentials(url))
    settings: dict[str, Any] = {"lattice": "default", "key": it.host.core.cluster, "host_id": it.host.host_id} | changes
    try:
        yield Client(transport, **settings)
    finally:
        await transport.close()


@BOTH
async def test_a_providers_call_to_an_actor_is_answered_and_recorded(lattice: Make, manner: Manner, nats_url: str) -> None:
    async with lattice(manner) as it:
        provider = await it.host.start_provider(program())
        actor = await it.host.start_actor(echo(), "echo:1")
        origin = Entity(provider.program.key, "default", CONTRACT)
        payload = bytes(range(256))
        async with provider_client(it, nats_url) as client:
            assert await client.invoke(origin, Entity(actor.id, "", ""), "Echo.Echo", payload) == payload
        await until(lambda: bool(it.calls))
        assert (it.calls[0].caller.name, it.calls[0].target.name, it.calls[0].argument) == ("fake", "echo", payload)


@pytest.mark.parametrize(
    ("manner", "origin_known", "settings", "text"),
    [
        (Manner.RUST, True, {"key": KeyPair.generate(Prefix.CLUSTER)}, "issuer of this invocation is not among the list of valid issuers"),
        (
            Manner.OTP,
            True,
            {"key": KeyPair.generate(Prefix.CLUSTER)},
            "Anti-forgery check failed: Issuer of this invocation is not in list of cluster issuers",
        ),
        (Manner.RUST, True, {"host_id": "C" * 56}, f"invalid host ID on invocation: '{'C' * 56}'"),
        (Manner.OTP, True, {"host_id": "C" * 56}, ""),
        (Manner.OTP, True, {"host_id": "short"}, "Anti-forgery check failed: Invalid host ID on invocation: 'short'"),
        (Manner.RUST, False, {}, "failed to look up claims for origin"),
        (Manner.OTP, False, {}, ""),
    ],
)
async def test_calls_to_an_actor_are_checked_in_the_manner_of_the_host(
    lattice: Make, nats_url: str, manner: Manner, origin_known: bool, settings: dict[str, Any], text: str
) -> None:
    async with lattice(manner) as it:
        actor = await it.host.start_actor(echo(), "echo:1")
        origin = Entity(KeyPair.generate(Prefix.PROVIDER).public, "default", CONTRACT)
        if origin_known:
            it.host.trust_origin(origin.public_key, "program")
        async with provider_client(it, nats_url, **settings) as client:
            call = client.invoke(origin, Entity(actor.id, "", ""), "Echo.Echo", b"\x01")
            if text:
                assert await refusal(call) == text
            else:
                assert await call == b"\x01"


@BOTH
async def test_a_forged_argument_and_a_missing_capability_are_refused(lattice: Make, nats_url: str, manner: Manner) -> None:
    async with lattice(manner) as it:
        actor = await it.host.start_actor(echo(), "echo:1")
        captured: list[bytes] = []

        async def keep(message: Any) -> None:
            captured.append(message.data)

        await it.nats.subscribe(f"wasmbus.rpc.default.{actor.id}", cb=keep)
        await it.nats.flush()
        assert await it.host.call_actor(actor.id, "Echo.Echo", b"\x01") == b"\x01"
        await until(lambda: bool(captured))
        forged = msgpack.unpackb(captured[0]) | {"msg": b"\x02"}
        answer = await it.nats.request(f"wasmbus.rpc.default.{actor.id}", msgpack.packb(forged), timeout=5)
        assert "hash does not match" in msgpack.unpackb(answer.data)["error"]
        other = Entity(KeyPair.generate(Prefix.PROVIDER).public, "default", "acme:undeclared")
        it.host.trust_origin(other.public_key, "program")
        async with provider_client(it, nats_url) as client:
            text = await refusal(client.invoke(other, Entity(actor.id, "", ""), "Echo.Echo", b"\x01"))
        assert text.endswith("nvocation source does not have the required capability claim acme:undeclared")


@pytest.mark.parametrize(
    ("manner", "good", "bad"),
    [
        (Manner.RUST, "msg invocation_id content_length traceContext", "msg invocation_id error content_length traceContext"),
        (Manner.OTP, "content_length instance_id invocation_id msg", "error instance_id invocation_id msg"),
    ],
)
async def test_replies_of_actors_have_the_shape_of_the_host(lattice: Make, manner: Manner, good: str, bad: str) -> None:
    async with lattice(manner) as it:
        actor = await it.host.start_actor(echo(), "echo:1")
        replies: list[bytes] = []

        async def keep(message: Any) -> None:
            replies.append(message.data)

        await it.nats.subscribe("_INBOX.>", cb=keep)
        await it.nats.flush()
        await it.host.call_actor(actor.id, "Echo.Echo", b"\xff\x00")
        answer = await it.nats.request(f"wasmbus.rpc.default.{actor.id}", b"\x90", timeout=5)
        await until(lambda: len(replies) >= 2)
        assert list(msgpack.unpackb(replies[0], unicode_errors="surrogateescape")) == good.split()
        assert replies[0].count(b"\xa3msg\xc4\x02" if manner is Manner.RUST else b"\xa3msg\xa2") == 1
        refused = msgpack.unpackb(answer.data)
        assert list(refused) == bad.split()
        assert refused["invocation_id"] == ("UNKNOWN" if manner is Manner.RUST else "")


@BOTH
async def test_arguments_and_results_over_the_limit_travel_in_chunks(lattice: Make, manner: Manner) -> None:
    async with lattice(manner) as it:
        _, actor = await it.linked()
        big = bytes(1_000_000)
        echoing = await it.host.start_actor(echo(), "echo:1")
        assert await it.host.call_actor(echoing.id, "Echo.Echo", big) == big
        call = it.calls[-1]
        assert (call.argument_length, call.result_length, len(call.argument)) == (len(big), len(big), 4096)
        assert await it.host.call_actor(actor, "Fake.Report", big[:921_600]) != b""


async def test_unsigned_and_altered_modules_are_refused(lattice: Make) -> None:
    async with lattice() as it:
        with pytest.raises(ProviderError, match="claims"):
            await it.host.start_actor(bytes(wat2wasm(ECHO)), "unsigned:1")
        good = echo()
        altered = good.replace(b"__guest_call", b"__guest_cal1")
        with pytest.raises(ProviderError, match="hash"):
            await it.host.start_actor(altered, "altered:1")
        assert it.host.actors == []


# Control interface and events


@BOTH
async def test_the_control_interface_starts_links_reports_and_stops(lattice: Make, manner: Manner) -> None:
    chosen = program()

    async def actor_module(reference: str) -> bytes:
        if reference != "forwarder:1":
            raise NotFound(f"{reference}: no such image")
        return module

    module = forwarder()
    async with lattice(manner, resolve_provider=lambda reference: chosen, resolve_actor=actor_module, labels={"zone": "a"}) as it:
        accepted = {"accepted": True, "error": ""}
        host_id = it.host.host_id
        pinged = await it.control("ping.hosts")
        assert (pinged["id"], pinged["lattice"], pinged["labels"]) == (host_id, "default", {"zone": "a"})
        lp = {"host_id": host_id, "provider_ref": "fake:9", "link_name": "second", "configuration": "{}"}
        assert await it.control(f"cmd.{host_id}.lp", lp) == accepted
        await until(lambda: bool(it.host.providers))
        provider = it.host.providers[0]
        await it.host.ready(provider)
        started = await it.event("provider_started")
        assert (started["public_key"], started["link_name"], started["image_ref"]) == (chosen.key, "second", "fake:9")
        assert started["instance_id"] == provider.instance_id
        assert ("host_id" in started) is (manner is Manner.RUST)
        assert await it.control(f"cmd.{host_id}.scale", {"host_id": host_id, "actor_ref": "forwarder:1", "count": 2}) == accepted
        await until(lambda: bool(it.host.actors))
        actor = it.host.actors[0].id
        link = {"actor_id": actor, "provider_id": chosen.key, "contract_id": CONTRACT, "link_name": "second", "values": {"K": "v"}}
        assert await it.control("linkdefs.put", link) == accepted
        assert (await it.control("get.links"))["links"] == [it.host.links[0].document(manner)]
        claims = {entry["sub"]: entry for entry in (await it.control("get.claims"))["claims"]}
        assert set(claims) == {chosen.key, actor}
        assert claims[actor]["caps"] == CONTRACT
        assert all(isinstance(value, str) for entry in claims.values() for value in entry.values())
        inventory = await it.control(f"get.{host_id}.inv")
        assert [one["id"] for one in inventory["providers"]] == [chosen.key]
        assert [one["id"] for one in inventory["actors"]] == [actor]
        assert await it.control("linkdefs.del", {k: link[k] for k in ("actor_id", "contract_id", "link_name")}) == accepted
        assert it.host.links == []
        sp = {"host_id": host_id, "provider_ref": chosen.key, "link_name": "second", "contract_id": CONTRACT}
        assert await it.control(f"cmd.{host_id}.sp", sp) == accepted
        assert await it.control(f"cmd.{host_id}.sp", sp) == accepted
        assert not alive(provider.process.pid)
        assert await it.control(f"cmd.{host_id}.scale", {"actor_ref": "forwarder:1", "max_instances": 5}) == accepted
        assert it.host.actors == []
        assert await it.control(f"cmd.{host_id}.scale", {"actor_ref": "missing:1", "count": 1}) == accepted
        failed = "actors_start_failed" if manner is Manner.RUST else "actor_start_failed"
        assert (await it.event(failed))["actor_ref"] == "missing:1"
        assert await it.control(f"cmd.{host_id}.stop", {"host_id": host_id, "timeout": 100}) == accepted
        await asyncio.wait_for(it.host.stop_requested(), 1)


async def test_a_link_without_values_is_refused_by_rust_and_taken_by_otp(lattice: Make) -> None:
    body = {"actor_id": "M1", "provider_id": "V1", "contract_id": CONTRACT, "link_name": "default"}
    async with lattice() as it:
        assert await it.control("linkdefs.put", body) == {"accepted": False, "error": "failed to deserialize link definition"}
    async with lattice(Manner.OTP) as it:
        assert (await it.control("linkdefs.put", body))["accepted"]


async def test_auctions_are_answered_only_where_the_constraints_fit(lattice: Make) -> None:
    async with lattice(labels={"zone": "a"}) as it:
        body = {"provider_ref": "fake:1", "link_name": "default", "constraints": {"zone": "a"}}
        assert await it.control("auction.provider", body) == body | {"host_id": it.host.host_id}
        with pytest.raises(TimeoutError):
            await it.nats.request(
                "wasmbus.ctl.default.auction.provider", json.dumps(body | {"constraints": {"zone": "b"}}).encode(), timeout=0.2
            )


async def test_rust_publishes_each_event_on_two_subjects_and_otp_on_one(lattice: Make) -> None:
    async with lattice() as it:
        await it.event("host_started")
        await it.event("host_started", "wasmbus.evt.default.host_started")
        first, second = (event for _, event in it.events[:2])
        assert first == second and first["source"] == it.host.host_id and first["specversion"] == "1.0"
    async with lattice(Manner.OTP) as it:
        await it.event("host_started")
        await it.nats.flush()
        assert {subject for subject, _ in it.events} == {"wasmbus.evt.default"}


async def test_nothing_of_a_closed_host_answers_any_more(lattice: Make, nats_url: str) -> None:
    async with lattice() as it:
        _, actor = await it.linked()
        await it.control("ping.hosts")
    client = await nats.connect(nats_url)
    for subject in ("wasmbus.ctl.default.ping.hosts", f"wasmbus.rpc.default.{actor}"):
        with pytest.raises(NoRespondersError):
            await client.request(subject, b"", timeout=1)
    await client.close()
