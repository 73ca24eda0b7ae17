"""A provider's process under a 1.x host (wrpc-1x.md §1.4, §2.1, §2.2): its connection, its health and its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from provider_sdk.errors import DeadlineExceeded, ProviderError, Unavailable
from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.nkeys import CurveKey
from tests.integration.test_transport import Operator
from tests.integration.wrpc_driver import CHILD, IN, Driver, Spawned, a_driver, host_data, incoming, stdin_line


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[NatsServer]:
    async with NatsServer.start(url="") as running:
        yield running


@pytest_asyncio.fixture
async def driver(server: NatsServer, tmp_path: Path) -> AsyncIterator[Driver]:
    async with a_driver(server.url, tmp_path) as found:
        yield found


TRIES = 10  # on a machine that does other things as well


# Health


async def test_health_is_json_with_a_message_only_where_there_is_one(driver: Driver) -> None:
    provider = await driver.spawn()
    assert json.loads(await provider.request("health")) == {"healthy": True}


async def test_a_slow_health_check_delays_neither_another_nor_a_link_nor_the_answer_beyond_a_second(driver: Driver) -> None:
    for _ in range(TRIES):
        provider = await driver.spawn(config={"health_pause": "5s"})
        started = time.monotonic()
        asked = [asyncio.create_task(provider.request("health")) for _ in range(5)]
        await provider.put(incoming())
        await provider.until_links(lambda links: IN in links)
        link_came_first = not any(task.done() for task in asked)
        answers = [json.loads(await task) for task in asked]
        side_by_side = time.monotonic() - started < 4.5  # one after the other they would take 5
        assert not answers[0]["healthy"]
        assert "gave no answer within 1 s" in answers[0]["message"]
        if link_came_first and side_by_side:
            break
        provider.process.kill()
        await provider.process.wait()
    assert link_came_first
    assert side_by_side


# Telemetry


async def test_traces_go_where_the_host_says(driver: Driver) -> None:
    received = bytearray()

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.extend(await reader.read(1 << 16))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    collector = await asyncio.start_server(collect, "127.0.0.1", 0)
    endpoint = f"http://127.0.0.1:{collector.sockets[0].getsockname()[1]}"
    otel = {"enable_traces": True, "protocol": "Http", "observability_endpoint": endpoint}
    provider = await driver.spawn(otel_config=otel, environment={"OTEL_BSP_SCHEDULE_DELAY": "100"})
    async with asyncio.timeout(20), collector:
        while b"POST /v1/traces" not in received:
            await provider.over("observer").own()
            await asyncio.sleep(0.1)


async def test_telemetry_that_we_do_not_have_is_one_warning(driver: Driver) -> None:
    provider = await driver.spawn(otel_config={"enable_observability": True, "protocol": "Grpc"})
    log = await provider.until_logged("OTLP over gRPC")
    assert log.count("WARNING") == 1


# The end


HOSTS_PATIENCE = 0.3


async def seconds_until_shut_down(provider: Spawned) -> float:
    """How long the shutdown request takes; SIGKILL follows its answer at once, as it does under a host."""
    began = time.monotonic()
    answer = await provider.shut_down()
    took = time.monotonic() - began
    provider.process.kill()
    assert answer == b"shutting down"
    await provider.process.wait()
    return took


async def test_shutdown_is_answered_when_all_is_done_and_within_the_hosts_patience(driver: Driver, tmp_path: Path) -> None:
    for number in range(TRIES):
        goodbye = tmp_path / f"goodbye {number}"
        provider = await driver.spawn(links=[incoming(target_config={"goodbye": str(goodbye)})])
        await provider.until_links(lambda links: IN in links)
        in_flight = asyncio.create_task(provider.over("comp").nap(5000))
        await asyncio.sleep(0.2)
        took = await seconds_until_shut_down(provider)
        with pytest.raises(ProviderError):
            await in_flight
        if took < HOSTS_PATIENCE and goodbye.exists():
            break
    assert took < HOSTS_PATIENCE
    assert goodbye.read_text() == "left"


async def test_shutdown_is_answered_within_the_hosts_patience_although_a_link_does_not_end(driver: Driver) -> None:
    for _ in range(TRIES):
        provider = await driver.spawn(links=[incoming(name, target_config={"leave_pause": "9s"}) for name in ("a", "b", "c")])
        await provider.until_links(lambda links: len(links) == 3)
        took = await seconds_until_shut_down(provider)
        if took < HOSTS_PATIENCE:
            break
    assert took < HOSTS_PATIENCE


async def test_the_shutdown_of_the_same_provider_on_another_host_is_not_ours(driver: Driver) -> None:
    provider = await driver.spawn()
    with pytest.raises(DeadlineExceeded):
        await provider.shut_down("NOTHER", timeout=0.3)
    for body in (b"", b"{}", b"[]", b"no JSON", b'{"host_id": null}'):
        with pytest.raises(DeadlineExceeded):
            await provider.request("default.shutdown", body, 0.1)
    await provider.publish("default.shutdown", {"host_id": "NHOST"})
    assert (await provider.health())["healthy"]
    assert await provider.shut_down() == b"shutting down"
    assert await provider.process.wait() == 0


async def test_two_providers_of_one_id_on_two_hosts_end_one_by_one(driver: Driver) -> None:
    first, second = await driver.spawn(host_id="NONE"), await driver.spawn(host_id="NTWO")
    await first.shut_down()
    assert await first.process.wait() == 0
    assert second.process.returncode is None
    assert (await second.health())["healthy"]


async def test_sigterm_ends_it_well(driver: Driver) -> None:
    provider = await driver.spawn()
    provider.process.send_signal(signal.SIGTERM)
    assert await provider.process.wait() == 0
    with pytest.raises(Unavailable):
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(DeadlineExceeded):  # until the server has seen the end of its connection
                    await provider.request("health", timeout=0.5)


async def test_the_end_of_the_host_ends_it(driver: Driver, tmp_path: Path) -> None:
    program = f"import subprocess, sys; subprocess.run([{sys.executable!r}, {str(CHILD)!r}], input=sys.stdin.buffer.read(), check=False)"
    told = host_data(driver.url, provider_key="orphan")
    log = tmp_path / "orphan.log"
    with log.open("wb") as output:
        host = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stdin=asyncio.subprocess.PIPE, stderr=output, env={}, cwd=CHILD.parents[2]
        )
    driver.started.append(host)
    assert host.stdin is not None
    host.stdin.write(stdin_line(told))
    host.stdin.close()
    provider = Spawned(told, host, driver.transport, driver.client, CurveKey.generate(), CurveKey.generate(), log)
    async with asyncio.timeout(60):
        while not log.read_text().count("is subscribed"):
            await asyncio.sleep(0.02)
    assert (await provider.health())["healthy"]
    host.kill()
    await provider.until_logged("the process that started this one has ended")
    async with asyncio.timeout(20):
        while True:
            try:
                await provider.request("health", timeout=0.2)
            except ProviderError:
                break


# The connection


async def test_user_jwt_and_seed_let_it_in(tmp_path: Path) -> None:
    operator = Operator()
    async with NatsServer.start(url="", config=operator.config(tmp_path), jetstream=False) as server:
        user_jwt, seed = operator.user()
        told = host_data(server.url, lattice_rpc_user_jwt=f"{user_jwt}\n", lattice_rpc_user_seed=seed)
        process = await started(told)
        async with asyncio.timeout(60):
            while b"is subscribed" not in await process.stderr.readline():  # type: ignore[union-attr]  # it is piped
                pass
        process.terminate()
        assert await process.wait() == 0
        refused = await started(host_data(server.url))
        _, log = await refused.communicate()
        assert refused.returncode == 1
        assert log.count(b"\n") == 1
        assert b"refused the credentials" in log
        assert seed.encode() not in log


async def started(told: dict[str, Any]) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, str(CHILD), stdin=pipe, stderr=pipe, env={}, cwd=CHILD.parents[2])
    assert process.stdin is not None
    process.stdin.write(stdin_line(told))
    process.stdin.close()
    return process


async def test_an_interface_that_cannot_go_over_the_wire_is_one_line_and_no_start(server: NatsServer, tmp_path: Path) -> None:
    program = tmp_path / "vague.py"
    text = CHILD.read_text().replace("milliseconds: U32", "milliseconds: object")
    program.write_text(text)
    command = [sys.executable, str(program)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    _, words = await asyncio.wait_for(process.communicate(stdin_line(host_data(server.url))), 60)
    assert process.returncode == 1
    assert words.decode().count("\n") == 1
    assert "cannot start: Told.nap, parameter milliseconds: <class 'object'> cannot go over the wire" in words.decode()
