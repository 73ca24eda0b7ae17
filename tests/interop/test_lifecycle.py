"""Start, crash, end, and a NATS server that goes and comes back (wrpc-1x.md §1.4, §2.2)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.interop import processes
from tests.interop.archives import Archive
from tests.interop.world import World, a_world

pytestmark = pytest.mark.needs("host1x")

ALL = "wasi:keyvalue/store,atomics,batch"
BUDGET = 0.3


async def test_a_stop_ends_the_provider_within_the_hosts_patience(world: World, archive: Archive) -> None:
    pid = await world.provide(archive("keyvalue"), "kv")
    await world.link("kv", ALL)
    await world.told("incr", key="n")
    asked = time.monotonic()
    await world.control.stop_provider("kv")
    stopped = await world.control.event("provider_stopped", since=asked, provider_id="kv")
    assert stopped.at - asked < BUDGET
    assert processes.gone({pid}, 1.0)
    # It has answered: the host would have said so otherwise.
    assert "failed to request provider shutdown" not in world.host.output


async def test_calls_links_and_configurations_go_on_after_a_restart_of_nats(world: World, archive: Archive) -> None:
    await world.provide(archive("greeter"), "greeter", config=await world.config({"greeting": "Hi"}, "greetings"))
    await world.link("greeter", "acme:greeter/greeter")
    assert await world.told("greet", name="Ada") == "Hi, Ada!"
    await world.nats.restart()
    assert await world.told("greet", name="Ada", within=30.0) == "Hi, Ada!"
    await world.config({"greeting": "Hello again"}, "greetings")
    async with asyncio.timeout(10):
        while await world.told("greet", name="Ada") != "Hello again, Ada!":
            await asyncio.sleep(0.1)


async def test_a_host_that_is_killed_leaves_no_provider(world: World, archive: Archive) -> None:
    await world.provide(archive("keyvalue"), "kv")
    left = set(processes.of_folder(world.host.folder))
    os.kill(world.host.pid, signal.SIGKILL)
    assert await asyncio.to_thread(processes.gone, left, 10.0)


async def test_a_host_that_is_stopped_leaves_no_provider(world: World, archive: Archive) -> None:
    await world.provide(archive("keyvalue"), "kv")
    left = set(processes.of_folder(world.host.folder))
    await world.control.stop_host()
    assert await asyncio.to_thread(processes.gone, left, 10.0)


async def test_the_host_finds_the_provider_well(world: World, archive: Archive) -> None:
    await world.provide(archive("keyvalue"), "kv")
    await world.control.event("health_check_passed", provider_id="kv")


async def test_the_provider_logs_as_the_host_wants(tmp_path: Path, archive: Archive) -> None:
    async with a_world(tmp_path, "--structured-logging", "--log-level", "warn") as world:
        await world.provide(archive("keyvalue"), "kv")
        await world.link("kv", ALL)
        await world.told("incr", key="n")
    lines = [json.loads(line) for line in world.host.output.splitlines() if line.startswith("{")]
    assert {line["level"] for line in lines} == {"WARNING"}


async def test_a_crashed_provider_serves_again_with_its_links_and_its_data(world: World, archive: Archive) -> None:
    await world.provide(archive("keyvalue"), "kv")
    await world.link("kv", ALL)
    for expected in ("1", "2"):
        assert await world.told("incr", key="n") == expected
        crashed, all_of_it = world.process("kv"), world.processes("kv")
        os.kill(crashed, signal.SIGKILL)
        # What it started itself serves on for a moment, and answers in place of the next one.
        assert await asyncio.to_thread(processes.gone, all_of_it, 10.0)
        await world.healthy("kv")
        assert world.process("kv") != crashed
