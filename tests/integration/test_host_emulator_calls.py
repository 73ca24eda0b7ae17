"""Calls through the emulated 0.x host: real wasm actors, providers by hand (no SDK), a real NATS server."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgpack
import nats
import pytest
import pytest_asyncio
from nats.errors import NoRespondersError
from wasmtime import wat2wasm

from provider_sdk.errors import ProviderError
from provider_sdk.hosts.wasmbus.client import Client
from provider_sdk.hosts.wasmbus.envelope import Entity
from provider_sdk.lattice.manner import Manner
from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.nkeys import KeyPair, Prefix
from provider_sdk.transport.base import Credentials
from provider_sdk.transport.nats import connect
from tests.integration.emulated_host import (
    BOTH,
    CONTRACT,
    ECHO,
    EXAMPLES,
    RUST_PREFIX,
    Lattice,
    Make,
    echo,
    forwarder,
    lattices,
    program,
    refusal,
    signed_module,
)
from tests.waiting import until


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nats_url() -> AsyncIterator[str]:
    async with NatsServer.start(url="") as server:
        yield server.url


@pytest.fixture
def lattice(nats_url: str) -> Make:
    return lattices(nats_url)


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
        with pytest.raises(NoRespondersError):
            while True:
                with contextlib.suppress(nats.errors.TimeoutError):  # until the server has seen the end of its connection
                    await it.nats.request(f"wasmbus.rpc.default.{provider.program.key}.default.health", b"", timeout=0.5)
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
