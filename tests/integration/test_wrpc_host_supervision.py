"""How the emulated 1.x host watches a provider by hand (no SDK): restarts, stops, health."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest

from provider_sdk.errors import NotFound
from provider_sdk.lattice.health import HealthTimes
from provider_sdk.lattice.wrpc.handshake import WrpcProgram
from provider_sdk.lattice.wrpc.links import InterfaceLink
from provider_sdk.lattice.wrpc.providers import Supervision
from tests.integration.wrpc_host import a_lattice
from tests.waiting import until


async def test_a_provider_that_ends_is_started_again_with_the_same_key_and_what_is_new() -> None:
    async with a_lattice() as lattice:
        await lattice.host.put_config("own", {"a": "1"})
        await lattice.host.put_config("gone", {"b": "1"})
        provider = await lattice.start("own", "gone")
        first = await lattice.report()
        await lattice.host.put_config("own", {"a": "2"})
        await lattice.host.delete_config("gone")
        await lattice.host.put_link(InterfaceLink("comp", "fake", "acme", "fake", ("fake",)))
        lattice.host.kill_provider("fake")
        await until(lambda: provider.restart_count == 1)
        await lattice.host.ready(provider)
        second = await lattice.report()
        assert second["pid"] != first["pid"]
        before, after = first["host_data"], second["host_data"]
        assert after["instance_id"] != before["instance_id"]
        assert after["provider_xkey_private_key"] == before["provider_xkey_private_key"]
        assert after["config"] == {"a": "2"}
        assert len(after["link_definitions"]) == 1
        assert not {"provider_stopped", "provider_start_failed"} & set(lattice.names())
        assert lattice.names().count("provider_started") == 1


async def test_between_two_restarts_is_a_pause() -> None:
    async with a_lattice(supervision=Supervision(restart_pause=0.6)) as lattice:
        provider = await lattice.host.start_provider(WrpcProgram((sys.executable, "-c", "pass"), "fake", "fake"))
        await until(lambda: provider.restart_count == 1)
        since = time.monotonic()
        await until(lambda: provider.restart_count == 3)
        assert time.monotonic() - since > 0.6  # of two pauses, since the first restart may be noticed late


async def test_hosts_before_1_6_start_nothing_again() -> None:
    async with a_lattice(supervision=Supervision(restarts=False)) as lattice:
        provider = await lattice.start()
        lattice.host.kill_provider("fake")
        await until(lambda: not provider.running)
        await asyncio.sleep(0.2)
        assert provider.restart_count == 0
        assert provider.health.message == "ended with status -9"


async def test_a_provider_that_answers_the_shutdown_request_is_killed_at_once() -> None:
    async with a_lattice(supervision=Supervision(shutdown_delay=20.0)) as lattice:
        await lattice.start()
        await lattice.host.stop_provider("fake")
        assert f"shutting down {lattice.host.host_id}" in lattice.output
        assert "still here" not in lattice.output
        assert (await lattice.event("provider_stopped"))["provider_id"] == "fake"
        with pytest.raises(NotFound):
            await lattice.host.stop_provider("fake")


async def test_a_provider_that_does_not_answer_is_killed_after_300_ms() -> None:
    async with a_lattice() as lattice:
        await lattice.host.put_config("own", {"mode": "stubborn"})
        provider = await lattice.start("own")
        since = time.monotonic()
        await lattice.host.stop_provider("fake")
        assert time.monotonic() - since > 0.29
        assert not provider.running


async def test_the_end_of_the_host_kills_without_a_request() -> None:
    async with a_lattice() as lattice:
        provider = await lattice.start()
    assert not provider.running
    assert lattice.output == []


async def test_health_is_told_by_its_changes_and_only_where_the_answer_is_one() -> None:
    async with a_lattice(supervision=Supervision(health=HealthTimes(0.3, 0.1)), rpc_timeout=0.3) as lattice:
        await lattice.start()
        await lattice.event("health_check_passed")
        await lattice.event("health_check_status")
        await lattice.order('{"healthy":false,"message":"unwell"}')
        assert await lattice.event("health_check_failed") == {"host_id": lattice.host.host_id, "provider_id": "fake"}
        for answer in ("no JSON", '{"fine":true}', "silence"):
            await lattice.order(answer)
            await asyncio.sleep(1.0)
            before = lattice.names()
            await asyncio.sleep(0.7)
            assert lattice.names() == before
