"""The emulated 0.x host against providers by hand (no SDK) and a real NATS server: starts, ends, health, links, control."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import nats
import pytest
import pytest_asyncio
from nats.errors import NoRespondersError

from provider_sdk.errors import AlreadyExists, NotFound, Unavailable
from provider_sdk.hosts.wasmbus.envelope import Entity
from provider_sdk.lattice.handshake import ProviderProgram
from provider_sdk.lattice.manner import Manner
from provider_sdk.lattice.nats_server import NatsServer
from tests.integration.emulated_host import (
    BOTH,
    CONTRACT,
    SCRIPT,
    Make,
    forwarder,
    lattices,
    program,
)
from tests.waiting import alive, until


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nats_url() -> AsyncIterator[str]:
    async with NatsServer.start(url="") as server:
        yield server.url


@pytest.fixture
def lattice(nats_url: str) -> Make:
    return lattices(nats_url)


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


async def test_a_program_just_written_that_another_start_holds_open_for_a_moment_is_started(lattice: Make, tmp_path: Path) -> None:
    async with lattice() as it:
        script = tmp_path / "provider"
        script.write_text(f"#!{sys.executable}\n" + SCRIPT.read_text())
        script.chmod(0o700)
        held = script.open("ab")
        asyncio.get_running_loop().call_later(0.2, held.close)
        provider = await it.host.start_provider(replace(program(), command=(str(script),)))
        assert held.closed
        await it.host.ready(provider)


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
async def test_a_stopped_provider_is_asked_first_and_killed_after_its_answer(
    lattice: Make, manner: Manner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Manner, "habits", replace(manner.habits, shutdown_wait=20.0))
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
        async with asyncio.timeout(30):
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
