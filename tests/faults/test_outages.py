"""Calls over which the connection is lost, for longer than a message waits for it: none passes for whole, and each ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest
import pytest_asyncio

from provider_sdk.errors import Unavailable
from provider_sdk.hosts.wasmbus.client import Client, LatticeTarget
from provider_sdk.hosts.wasmbus.envelope import Entity
from provider_sdk.hosts.wasmbus.server import Server, served
from provider_sdk.hosts.wrpc.channels import Pending
from provider_sdk.hosts.wrpc.outgoing import AHEAD, LARGEST_PIECE, send_pending, send_value
from provider_sdk.lattice.answers import Answers
from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.nkeys import KeyPair, Prefix
from provider_sdk.transport.base import WAIT_FOR_CONNECTION, Transport
from tests.faults.cable import Cable, a_cable, fill
from tests.faults.echo import Answering, Echo
from tests.faults.test_wrpc_hostile import PIPES, Working, client_of, trickle
from tests.integration.wrpc_peer import Caller, a_transport, serving
from tests.waiting import until

OUTAGE = WAIT_FOR_CONNECTION + 1


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[NatsServer]:
    async with NatsServer.start(url="") as running:
        yield running


class Trickling(Working):
    async def give(self, pieces: int) -> AsyncIterator[bytes]:
        return trickle()


async def pieces(limit: int) -> AsyncGenerator[bytes, None]:
    while True:
        yield b"\x01x"
        await asyncio.sleep(0.01)


ENDLESS = Pending("0", pieces, None, b"\x80")


async def cut(cable: Cable, transport: Transport) -> None:
    await cable.cut()
    await until(lambda: not transport.connected)


async def test_a_stream_ends_when_the_connection_is_back_however_long_that_takes(server: NatsServer) -> None:
    async with a_cable(server) as cable, serving(cable.end, Trickling()) as found, a_transport(server) as transport:
        caller = Caller(transport)
        await caller.call(f"{PIPES}.give", b"\x05")
        await caller.accepted()
        await caller.send("params", b"")
        await caller.until(lambda: sum(path == "results.0" for path, _ in caller.told) > 3)
        await cut(cable, found.transport)
        await asyncio.sleep(OUTAGE)
        await cable.mend()
        await caller.until(lambda: ("results.0", b"") in caller.told)
        assert [data for path, data in caller.told if path == "results.0"][-2:] == [b"\x80", b""]


@pytest.mark.parametrize("noticed", ["meanwhile", "later"])
async def test_the_end_of_a_stream_reaches_a_caller_who_is_back_later(server: NatsServer, noticed: str) -> None:
    go_on = asyncio.Event()

    async def pieces(limit: int) -> AsyncGenerator[bytes, None]:
        yield b"\x01a"
        await go_on.wait()
        yield b"\x01b"

    async with a_cable(server) as cable, a_transport(cable.end) as ours:
        async with a_transport(server) as theirs:
            caller = Caller(theirs)
            await caller.listen()
            sending = asyncio.create_task(send_pending(ours, f"{caller.reply}.results", [Pending("0", pieces, None, b"\x80")]))
            await caller.until(lambda: caller.told)
        await cut(cable, ours)
        if noticed == "meanwhile":
            go_on.set()
        await cable.mend()
        await until(lambda: ours.connected)
        go_on.set()
        await asyncio.sleep(0.5)
        async with a_transport(server) as theirs:
            back = Caller(theirs, caller.reply)
            await back.listen()
            await back.until(lambda: ("results.0", b"") in back.told)
        assert [data for _, data in back.told] == [b"\x80", b""]
        await asyncio.gather(sending, return_exceptions=True)


async def test_a_stream_that_is_given_up_in_an_outage_still_ends(server: NatsServer) -> None:
    async with a_cable(server) as cable, a_transport(cable.end) as ours, a_transport(server) as theirs:
        caller = Caller(theirs)
        await caller.listen()
        sending = asyncio.create_task(send_pending(ours, f"{caller.reply}.results", [ENDLESS]))
        await caller.until(lambda: len(caller.told) > 3)
        await cut(cable, ours)
        await asyncio.sleep(0.2)
        sending.cancel()
        await asyncio.wait([sending])
        await cable.mend()
        await caller.until(lambda: ("results.0", b"") in caller.told)
        assert [data for _, data in caller.told][-2:] == [b"\x80", b""]


async def test_a_stream_whose_end_waits_in_line_when_the_connection_is_lost_does_not_pass_for_whole(server: NatsServer) -> None:
    go_on = asyncio.Event()

    async def pieces(limit: int) -> AsyncGenerator[bytes, None]:
        yield b"\x01a"
        await go_on.wait()
        yield b"\x00"

    async with a_cable(server) as cable, a_transport(cable.end) as ours, a_transport(server) as theirs:
        caller = Caller(theirs)
        await caller.listen()
        sending = asyncio.create_task(send_pending(ours, f"{caller.reply}.results", [Pending("0", pieces, None, b"\x80")]))
        await caller.until(lambda: caller.told)
        cable.stop_up()
        waiting = await fill(ours)
        go_on.set()
        await asyncio.sleep(0.1)
        await cut(cable, ours)
        await cable.mend()
        await caller.until(lambda: ("results.0", b"") in caller.told)
        assert [data for _, data in caller.told] == [b"\x01a", b"\x80", b""]
        await asyncio.gather(sending, waiting, return_exceptions=True)


async def test_a_stream_that_waits_for_a_slow_server_ends_as_soon_as_the_connection_is_back(server: NatsServer) -> None:
    sent = 0

    async def pieces(limit: int) -> AsyncGenerator[bytes, None]:
        nonlocal sent
        while True:
            sent += limit
            yield bytes(limit)

    async with a_cable(server) as cable, a_transport(cable.end) as ours, a_transport(server) as theirs:
        caller = Caller(theirs)
        await caller.listen()
        cable.stop_up()
        sending = asyncio.create_task(send_pending(ours, f"{caller.reply}.results", [Pending("0", pieces, None, b"\x80")]))
        await until(lambda: sent > AHEAD)
        await cut(cable, ours)
        await cable.mend()
        await caller.until(lambda: ("results.0", b"") in caller.told, within=15)
        await asyncio.gather(sending, return_exceptions=True)


async def test_an_answer_goes_out_when_the_connection_is_back_however_long_that_takes(server: NatsServer) -> None:
    async with a_cable(server) as cable, a_transport(cable.end) as ours, a_transport(server) as theirs:
        caller = Caller(theirs)
        await caller.listen()
        await cut(cable, ours)
        sending = asyncio.create_task(send_value(ours, f"{caller.reply}.results", b"\x00\x01x"))
        await asyncio.sleep(OUTAGE)
        await cable.mend()
        await sending
        await caller.until(lambda: ("results", b"") in caller.told)
        assert caller.told == [("results", b"\x00\x01x"), ("results", b"")]


async def test_an_answer_that_is_given_up_in_an_outage_still_ends(server: NatsServer) -> None:
    async with a_cable(server) as cable, a_transport(cable.end) as ours, a_transport(server) as theirs:
        caller = Caller(theirs)
        await caller.listen()
        await cut(cable, ours)
        sending = asyncio.create_task(send_value(ours, f"{caller.reply}.results", b"\x00\x01x"))
        await asyncio.sleep(0.1)
        sending.cancel()
        await asyncio.wait([sending])
        await cable.mend()
        await caller.until(lambda: ("results", b"") in caller.told)
        assert caller.told == [("results", b"")]


async def test_ends_wait_beside_as_much_as_may_wait(server: NatsServer) -> None:
    async with a_cable(server) as cable, a_transport(cable.end) as ours, a_transport(server) as theirs:
        caller = Caller(theirs)
        await caller.listen()
        stream = asyncio.create_task(send_pending(ours, caller.reply, [ENDLESS]))
        await caller.until(lambda: caller.told)
        await cut(cable, ours)
        values = [asyncio.create_task(send_value(ours, f"{caller.reply}.{number}", bytes(1 << 20))) for number in range(1, 13)]
        sending = [*values, stream]
        await asyncio.sleep(OUTAGE)
        await cable.mend()
        outcomes = await asyncio.gather(*sending, return_exceptions=True)
        assert any(isinstance(outcome, Unavailable) for outcome in outcomes)
        await caller.until(lambda: sum(data == b"" for _, data in caller.told) == len(sending))


async def test_a_large_answer_goes_no_faster_than_the_server_takes_it(server: NatsServer) -> None:
    async with a_cable(server) as cable, a_transport(cable.end) as ours, a_transport(server) as theirs:
        caller = Caller(theirs)
        await caller.listen()
        cable.stop_up()
        sending = asyncio.create_task(send_value(ours, f"{caller.reply}.results", bytes(64 << 20)))
        await asyncio.sleep(1)
        assert client_of(ours).unsent < 2 * AHEAD
        sending.cancel()
        cable.go_on()
        await caller.until(lambda: ("results", b"") in caller.told)
        assert {len(data) for _, data in caller.told} == {LARGEST_PIECE, 0}


async def test_who_closes_waits_for_no_end(server: NatsServer) -> None:
    async with a_cable(server) as cable, a_transport(cable.end) as ours:
        await cut(cable, ours)
        sending = asyncio.create_task(send_value(ours, "nobody.results", b"\x00"))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(1):
            await ours.close()
            with pytest.raises(Unavailable):
                await sending


async def test_an_answer_of_0_x_goes_out_when_the_connection_is_back_however_long_that_takes(server: NatsServer) -> None:
    cluster, provider, actor = (KeyPair.generate(prefix) for prefix in (Prefix.CLUSTER, Prefix.PROVIDER, Prefix.MODULE))
    async with a_cable(server) as cable, a_transport(cable.end) as ours, a_transport(server) as theirs:
        client = Client(theirs, lattice="default", key=cluster, host_id=KeyPair.generate(Prefix.SERVER).public)
        target = LatticeTarget(client, Entity(actor.public, "", ""), Entity(provider.public, "default", "test:echo"))
        issuers = frozenset({cluster.public})
        found = Server(ours, Answers((Answering("a "),)), served((Echo,)), lattice="default", key=provider.public, issuers=issuers)
        await ours.subscribe(client.subject(target.entity), found.receive, queue="rpc")
        await ours.flush()
        call = asyncio.create_task(Echo.at(target, timeout=20).sleep(300))
        await asyncio.sleep(0.1)
        await cut(cable, ours)
        await asyncio.sleep(OUTAGE)
        await cable.mend()
        assert await call == "a "
