"""What the NATS transport survives: restarts under load, silence, lame duck mode, refusals. A killed owner of a server leaves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from provider_sdk.errors import DeadlineExceeded, ProviderError, Unavailable
from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.transport import nats_options
from provider_sdk.transport.base import Credentials, Message
from provider_sdk.transport.nats import NatsTransport, connect
from tests.faults.cable import a_cable, fill
from tests.tiers import scale
from tests.waiting import alive, until


@asynccontextmanager
async def echoing(url: str) -> AsyncIterator[tuple[NatsTransport, NatsTransport]]:
    """A responder on `echo` and a caller, each with its own connection."""
    responder, caller = await connect(Credentials(url, name="responder")), await connect(Credentials(url, name="caller"))
    try:

        async def answer(message: Message) -> None:
            with contextlib.suppress(ProviderError):
                await responder.publish(message.reply, message.data)

        await responder.subscribe("echo", answer, queue="rpc")
        await responder.flush()
        yield responder, caller
    finally:
        await caller.close()
        await responder.close()


async def load(caller: NatsTransport, stop: asyncio.Event, outcomes: Counter[str]) -> None:
    """Ask in a loop; every request ends in its answer or in a typed error."""
    number = 0
    while not stop.is_set():
        number += 1
        data = b"%d" % number
        try:
            assert (await caller.request("echo", data, timeout=2)).data == data
            outcomes["answered"] += 1
        except (Unavailable, DeadlineExceeded) as error:
            outcomes[type(error).__name__] += 1
            await asyncio.sleep(0.01)


@asynccontextmanager
async def under_load(caller: NatsTransport, workers: int = 8) -> AsyncIterator[Counter[str]]:
    stop, outcomes = asyncio.Event(), Counter[str]()
    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(load(caller, stop, outcomes))
        try:
            yield outcomes
        finally:
            stop.set()


async def goes_on(outcomes: Counter[str], count: int = 200) -> None:
    before = outcomes["answered"]
    await until(lambda: outcomes["answered"] > before + count)


async def test_restarts_under_load_are_ridden_out() -> None:
    rounds = scale(test=3, ci=5, soak=100)
    async with NatsServer.start(url="") as server, echoing(server.url) as (responder, caller):
        recovered: list[float] = []
        caller.on_reconnect(lambda: recovered.append(time.monotonic()))
        async with under_load(caller) as outcomes:
            for _ in range(rounds):
                await goes_on(outcomes)
                await server.restart()
            await goes_on(outcomes)
        assert (caller.reconnects, responder.reconnects, len(recovered)) == (rounds, rounds, rounds)
        print(f"restarts: {rounds}; {dict(outcomes)}")


async def test_a_server_that_is_silent_for_five_seconds_costs_no_connection() -> None:
    async with NatsServer.start(url="") as server, echoing(server.url) as (responder, caller):
        async with under_load(caller) as outcomes:
            await goes_on(outcomes)
            await server.pause()
            await asyncio.sleep(5)
            server.resume()
            await goes_on(outcomes)
        assert (caller.reconnects, responder.reconnects) == (0, 0)


async def test_a_server_that_stays_silent_is_given_up_even_with_full_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_options, "PING_EVERY", 0.3)
    async with NatsServer.start(url="") as server, echoing(server.url) as (responder, caller):
        await server.pause()
        async with asyncio.timeout(20):
            while caller.connected:
                with contextlib.suppress(Unavailable):
                    await caller.publish("bulk", b"x" * 1_000_000)
        server.resume()
        await until(lambda: caller.connected and responder.connected)
        assert (await caller.request("echo", b"x", timeout=5)).data == b"x"


async def test_what_waits_for_a_silent_server_is_bounded() -> None:
    async with NatsServer.start(url="") as server, echoing(server.url) as (_, caller):
        await server.pause()
        with pytest.raises(Unavailable, match="takes no data"):
            for _ in range(60):
                await caller.publish("bulk", b"x" * 1_000_000)
        server.resume()
        await until(lambda: caller.connected)


async def test_what_waits_for_a_slow_server_is_sent_in_the_order_of_the_calls() -> None:
    async with NatsServer.start(url="") as server, echoing(server.url) as (responder, caller):
        arrived: list[int] = []
        await responder.subscribe("bulk", lambda message: arrived.append(int.from_bytes(message.data[:4], "big")))
        await responder.flush()
        await server.pause()
        messages = [number.to_bytes(4, "big") + bytes(100_000) for number in range(400)]
        sending = [asyncio.create_task(caller.publish("bulk", message, within=60)) for message in messages]
        await asyncio.sleep(0.5)
        assert not all(task.done() for task in sending)
        server.resume()
        await asyncio.gather(*sending)
        await until(lambda: len(arrived) == len(messages))
        assert arrived == sorted(arrived)


async def test_what_waits_for_a_lost_connection_is_bounded_and_sent_when_it_is_back() -> None:
    async with NatsServer.start(url="") as server, echoing(server.url) as (_, caller):
        arrived: list[int] = []

        async def note(message: Message) -> None:
            arrived.append(len(message.data))

        await caller.subscribe("bulk", note)
        await server.kill()
        await until(lambda: not caller.connected)
        sending = [asyncio.create_task(caller.publish("bulk", b"x" * 1_000_000, within=60)) for _ in range(12)]
        await asyncio.sleep(0)
        refused = [task for task in sending if task.done()]
        await server.launch()
        results = await asyncio.gather(*sending, return_exceptions=True)
        assert len(refused) == sum(isinstance(result, Unavailable) for result in results) == 4
        await until(lambda: len(arrived) == 8)


async def test_what_waits_in_line_goes_over_the_next_connection_unless_it_belongs_to_the_lost_one() -> None:
    async with NatsServer.start(url="") as server, a_cable(server) as cable, echoing(server.url) as (_, hearer):
        caller = await connect(Credentials(cable.end.url))
        arrived: list[bytes] = []
        await hearer.subscribe("told", lambda message: arrived.append(message.data))
        await hearer.flush()
        cable.stop_up()
        in_line = await fill(caller)
        free = asyncio.create_task(caller.publish("told", b"free", within=20))
        bound = asyncio.create_task(caller.publish("told", b"bound", within=20, losses=caller.losses))
        await asyncio.sleep(0.1)
        await cable.cut()
        with pytest.raises(Unavailable, match="lost on the way"):
            await bound
        assert not free.done()
        await cable.mend()
        await asyncio.gather(in_line, free)
        await caller.flush()
        await until(lambda: arrived == [b"free"])
        await caller.close()


async def test_a_request_waits_in_line_no_longer_than_for_its_answer() -> None:
    async with NatsServer.start(url="") as server, a_cable(server) as cable:
        caller = await connect(Credentials(cable.end.url))
        cable.stop_up()
        in_line = await fill(caller)
        began = time.monotonic()
        with pytest.raises(ProviderError):
            await caller.request("echo", b"x", timeout=0.2)
        assert time.monotonic() - began < 1.5
        in_line.cancel()
        await caller.close()


async def test_without_a_connection_publish_and_request_end_in_unavailable() -> None:
    async with NatsServer.start(url="") as server, echoing(server.url) as (_, caller):
        asking = asyncio.create_task(caller.request("nobody.answers", b"", timeout=30))
        await server.kill()
        async with asyncio.timeout(10):
            with pytest.raises(Unavailable):
                await asking
            with pytest.raises(Unavailable, match="no connection to NATS"):
                await caller.request("echo", b"", timeout=0.2)
            with pytest.raises(Unavailable, match="no connection to NATS"):
                await caller.publish("echo", b"")
            with pytest.raises(DeadlineExceeded):
                await caller.flush(0.1)


async def test_subscriptions_change_while_there_is_no_connection() -> None:
    async with NatsServer.start(url="") as server, echoing(server.url) as (_, caller):
        seen: list[str] = []

        async def note(message: Message) -> None:
            seen.append(message.subject)

        old = await caller.subscribe("old", note)
        await server.kill()
        await until(lambda: not caller.connected)
        await old.unsubscribe()
        await caller.subscribe("new", note)
        await server.launch()
        await until(lambda: caller.connected)
        for subject in ("old", "new"):
            await caller.publish(subject, b"")
        await until(lambda: seen == ["new"])
        await caller.flush()
        assert seen == ["new"]


async def test_a_flush_that_is_given_up_does_no_harm() -> None:
    async with NatsServer.start(url="") as server, echoing(server.url) as (_, caller):
        await server.pause()
        for _ in range(3):
            with pytest.raises(DeadlineExceeded):
                await caller.flush(0.1)
        server.resume()
        await caller.flush(5)
        assert (await caller.request("echo", b"x", timeout=5)).data == b"x"
        assert caller.reconnects == 0


async def test_a_flush_ends_with_the_connection() -> None:
    async with NatsServer.start(url="") as server, a_cable(server) as cable:
        caller = await connect(Credentials(cable.end.url))
        cable.stop_up()
        flushing = asyncio.create_task(caller.flush(60))
        await asyncio.sleep(0.1)
        await cable.cut()
        async with asyncio.timeout(10):
            with pytest.raises(Unavailable, match="lost on the way"):
                await flushing
        await cable.mend()
        await caller.flush(10)
        cable.stop_up()
        flushing = asyncio.create_task(caller.flush(60))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(10):
            await caller.close()
            with pytest.raises(Unavailable):
                await flushing


async def test_a_server_in_lame_duck_mode_is_left_and_its_successor_found(tmp_path: Path) -> None:
    config = tmp_path / "duck.conf"
    config.write_text('lame_duck_grace_period: "100ms"\nlame_duck_duration: "30s"\n')
    async with NatsServer.start(url="", config=config) as server, echoing(server.url) as (responder, caller):
        server.lame_duck()
        await until(lambda: not caller.connected and not responder.connected)
        await server.stop()
        await server.launch()
        async with under_load(caller) as outcomes:
            await goes_on(outcomes)


async def test_a_refusal_while_reconnecting_is_not_the_end(tmp_path: Path) -> None:
    config = tmp_path / "auth.conf"
    config.write_text("")
    async with NatsServer.start(url="", config=config) as server, echoing(server.url) as (responder, caller):
        config.write_text('authorization { user: "a", password: "b" }')
        await server.restart()
        await until(lambda: not caller.connected)
        await asyncio.sleep(0.5)
        assert not caller.connected
        config.write_text("")
        await server.restart()
        await until(lambda: caller.connected and responder.connected)
        assert (await caller.request("echo", b"x", timeout=5)).data == b"x"


async def test_close_does_not_wait_for_a_silent_server() -> None:
    async with NatsServer.start(url="") as server:
        transport = await connect(Credentials(server.url))
        await server.pause()
        for _ in range(20):
            with contextlib.suppress(Unavailable):
                await transport.publish("bulk", b"x" * 1_000_000)
        async with asyncio.timeout(5):
            await transport.close()


HOLDER = """
import asyncio
from provider_sdk.lattice.nats_server import NatsServer

async def main():
    async with NatsServer.start(url="") as server:
        print(server.pid, server.guard.pid, server.folder, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def exists(folder: str) -> bool:
    return Path(folder).exists()


@pytest.mark.parametrize("paused", [False, True])
async def test_a_killed_owner_leaves_neither_server_nor_guard_nor_folder(paused: bool) -> None:
    holder = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, stdout=asyncio.subprocess.PIPE)
    assert holder.stdout is not None
    server, guard, folder = (await holder.stdout.readline()).decode().split()
    assert exists(folder)
    if paused:
        os.kill(int(server), signal.SIGSTOP)
    holder.kill()
    await holder.communicate()
    await until(lambda: not alive(int(server)) and not alive(int(guard)) and not exists(folder))


async def test_ctrl_c_in_the_terminal_reaches_neither_guard_nor_server() -> None:
    holder = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, stdout=asyncio.subprocess.PIPE, start_new_session=True)
    assert holder.stdout is not None
    server, guard, folder = (await holder.stdout.readline()).decode().split()
    assert {os.getpgid(int(server)), os.getpgid(int(guard))}.isdisjoint({os.getpgid(holder.pid)})
    os.kill(int(guard), signal.SIGINT)
    await asyncio.sleep(0.2)
    assert alive(int(server))
    os.kill(int(guard), signal.SIGTERM)
    await until(lambda: not alive(int(server)) and not exists(folder))
    holder.kill()
    await holder.communicate()
