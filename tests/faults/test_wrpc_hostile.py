"""Peers of 1.x that do what nobody forbids them, and calls that are cut at every point: nothing is kept, nothing passes for whole."""

from __future__ import annotations

import asyncio
import gc
import random
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from provider_sdk import Interface, ProviderError, fails
from provider_sdk.errors import InvalidArgument, NotFound
from provider_sdk.hosts.base import StreamLimits
from provider_sdk.hosts.wrpc import acceptance
from provider_sdk.hosts.wrpc.channels import Pending
from provider_sdk.hosts.wrpc.client import WrpcTarget
from provider_sdk.hosts.wrpc.outgoing import AHEAD, send_pending
from provider_sdk.hosts.wrpc.server import Server
from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.transport.base import Transport
from provider_sdk.transport.nats_client import NatsClient
from provider_sdk.types import U64
from tests.faults.cable import a_cable
from tests.integration.wrpc_peer import Callee, Caller, a_transport, asking, serving
from tests.tiers import scale
from tests.unit.wit_wire import Source, codec_of
from tests.waiting import until

PIPES = "lattice.prov.wrpc.0.0.1.test:pipes/pipes@0.1.0"


class Pipes(Interface, wit="test:pipes/pipes@0.1.0"):
    @abstractmethod
    @fails(str)
    async def echo(self, text: str) -> str: ...

    @abstractmethod
    @fails(str)
    async def take(self, data: AsyncIterator[bytes]) -> Awaitable[U64]: ...

    @abstractmethod
    @fails(str)
    async def give(self, pieces: U64) -> AsyncIterator[bytes]: ...

    @abstractmethod
    @fails(str)
    async def ignore(self, data: AsyncIterator[bytes]) -> None: ...

    @abstractmethod
    @fails(str)
    async def sleep(self, milliseconds: U64) -> None: ...


class Working(Pipes):
    async def echo(self, text: str) -> str:
        if text == "missing":
            raise NotFound("there is none")
        return text

    async def take(self, data: AsyncIterator[bytes]) -> Awaitable[int]:
        async def count() -> int:
            return sum([len(piece) async for piece in data])

        return count()

    async def give(self, pieces: int) -> AsyncIterator[bytes]:
        async def made() -> AsyncIterator[bytes]:
            for _ in range(pieces):
                yield bytes(1000)
                await asyncio.sleep(0)

        return made()

    async def ignore(self, data: AsyncIterator[bytes]) -> None:
        pass

    async def sleep(self, milliseconds: int) -> None:
        await asyncio.sleep(milliseconds / 1000)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[NatsServer]:
    async with NatsServer.start(url="") as running:
        yield running


async def trickle(pieces: int = 1000, pause: float = 0.01) -> AsyncIterator[bytes]:
    for _ in range(pieces):
        yield bytes(100)
        await asyncio.sleep(pause)


# What is cut off does not pass for the whole (§3.5): a channel that ends between two lists does, with the hosts.


async def test_a_stream_of_a_caller_that_left_ends_inside_a_number(server: NatsServer) -> None:
    async with asking(server, "comp2") as target, a_transport(server) as transport:
        callee = Callee(transport, f"{PIPES.replace('prov', 'comp2')}.take")
        await callee.listen()
        call = asyncio.create_task(Pipes.at(target, timeout=5).take(trickle()))
        await callee.accept()
        await callee.until(lambda: sum(path == "params.0" for path, _ in callee.told) > 3)
        call.cancel()
        await callee.until(lambda: ("params.0", b"") in callee.told)
        assert [data for path, data in callee.told if path == "params.0"][-2:] == [b"\x80", b""]


async def test_a_call_that_is_given_up_before_its_accept_ends_when_that_comes(server: NatsServer) -> None:
    async with asking(server, "comp5") as target, a_transport(server) as transport:
        callee = Callee(transport, f"{PIPES.replace('prov', 'comp5')}.take")
        await callee.listen()
        with pytest.raises(ProviderError, match="nobody has taken the call"):
            await Pipes.at(target, timeout=0.2).take(trickle())
        await callee.accept()
        await callee.until(lambda: ("params.0", b"") in callee.told)
        assert callee.told[1:] == [("params", b""), ("params.0", b"\x80"), ("params.0", b"")]
        await until(lambda: not target.client.inbox._calls)  # noqa: SLF001 # nothing else shows it


async def test_large_parameters_of_a_call_that_is_given_up_end(server: NatsServer) -> None:
    async with a_cable(server) as cable, asking(cable.end, "comp6") as target, a_transport(server) as transport:
        callee = Callee(transport, f"{PIPES.replace('prov', 'comp6')}.echo")
        await callee.listen()
        call = asyncio.create_task(Pipes.at(target, timeout=20).echo("x" * (32 << 20)))
        await callee.until(lambda: callee.reply)
        cable.stop_up()
        await callee.accept()
        await asyncio.sleep(0.5)
        call.cancel()
        cable.go_on()
        await callee.until(lambda: ("params", b"") in callee.told)
        assert sum(len(data) for _, data in callee.told) < 32 << 20


async def test_a_stream_in_a_stream_ends_also_where_it_was_about_to_begin(server: NatsServer) -> None:
    async def inner(limit: int) -> AsyncGenerator[bytes, None]:
        yield b"\x00"

    async def outer(limit: int) -> AsyncGenerator[bytes, None]:
        pending.append(Pending("0.0", inner, None, b"\x80"))
        sending.cancel()
        yield b"\x01\x00"

    async with a_transport(server) as ours, a_transport(server) as theirs:
        caller = Caller(theirs)
        await caller.listen()
        pending = [Pending("0", outer, None, b"\x80")]
        sending = asyncio.create_task(send_pending(ours, f"{caller.reply}.results", pending))
        await asyncio.wait([sending])
        await caller.until(lambda: ("results.0.0", b"") in caller.told)
        assert ("results.0.0", b"\x80") in caller.told


async def test_a_stream_of_a_provider_that_stops_ends_inside_a_number(server: NatsServer) -> None:
    async with a_transport(server) as transport:
        caller = Caller(transport)

        class Slow(Working):
            async def give(self, pieces: int) -> AsyncIterator[bytes]:
                return trickle()

        async with serving(server, Slow()):
            await caller.call(f"{PIPES}.give", b"\x05")
            await caller.accepted()
            await caller.send("params", b"")
            await caller.until(lambda: sum(path == "results.0" for path, _ in caller.told) > 3)
        await caller.until(lambda: ("results.0", b"") in caller.told)
        assert [data for path, data in caller.told if path == "results.0"][-2:] == [b"\x80", b""]


async def test_a_stream_does_not_go_on_behind_the_gap_that_a_lost_connection_left(server: NatsServer) -> None:
    class Slow(Working):
        async def give(self, pieces: int) -> AsyncIterator[bytes]:
            return trickle(100)

    async with serving(server, Slow()) as found, a_transport(server) as transport:
        caller = Caller(transport)
        await caller.call(f"{PIPES}.give", b"\x05")
        await caller.accepted()
        await caller.send("params", b"")
        await caller.until(lambda: sum(path == "results.0" for path, _ in caller.told) > 3)
        cut_the_connection(found)
        await caller.until(lambda: ("results.0", b"") in caller.told)
        assert [data for path, data in caller.told if path == "results.0"][-2:] == [b"\x80", b""]


async def test_a_large_answer_does_not_go_on_behind_a_gap(server: NatsServer) -> None:
    class Losing(Working):
        async def echo(self, text: str) -> str:
            return text * 20_000_000

    async with serving(server, Losing()) as found, a_transport(server) as transport:
        caller = Caller(transport)
        await caller.call(f"{PIPES}.echo", b"\x01x")
        await caller.accepted()
        await caller.send("params", b"")
        async with asyncio.timeout(5):
            while client_of(found.transport).unsent < AHEAD // 2:
                await asyncio.sleep(0)
        cut_the_connection(found)
        await caller.until(lambda: ("results", b"") in caller.told)
        assert sum(len(data) for path, data in caller.told if path == "results") < 20_000_000


def client_of(transport: Transport) -> NatsClient:
    client: NatsClient = transport._client  # type: ignore[attr-defined]  # noqa: SLF001 # nothing else leads there
    return client


def cut_the_connection(found: Server) -> None:
    """As a network does: only this side's, and not told to the other."""
    socket: Any = client_of(found.transport)._transport  # noqa: SLF001 # the NATS server has no command for it
    socket._io_writer.transport.abort()  # noqa: SLF001


# Nonsense on the wire below the messages.


async def raw(server: NatsServer, *lines: bytes) -> None:
    """What another client of the NATS server may send."""
    parts = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n' + b"".join(lines) + b"PING\r\n")
    async with asyncio.timeout(5):
        while (line := await reader.readline()) != b"PONG\r\n":
            assert line.startswith(b"INFO"), line
    writer.close()


@pytest.mark.parametrize(
    "line",
    [
        b"PUB %b.\xff _INBOX.x 0\r\n\r\n",
        b"PUB %b.echo _INBOX.\xff 0\r\n\r\n",
        b"HPUB %b.echo _INBOX.x 12 12\r\nNATS/1.0\r\n\r\n\r\n",
        b"HPUB %b.echo _INBOX.x 8 8\r\nNATS/1.0\r\n",
        b"HPUB %b.echo _INBOX.x 16 16\r\nNATS/1.0 \xff\xff\xff\r\n\r\n\r\n",
        b"HPUB %b.echo _INBOX.x 20 20\r\nNATS/1.0\r\na: \xff\xff\xff\r\n\r\n\r\n",
        b"HPUB %b.\xff _INBOX.x 24 24\r\nNATS/1.0\r\na: b\r\na: c\r\n\r\n\r\n",
        b"HPUB %b.echo _INBOX.x 4 4\r\nabcd\r\n",
    ],
)
async def test_bytes_that_are_no_text_cost_no_connection(server: NatsServer, line: bytes) -> None:
    async with serving(server, Working()), asking(server, "prov") as target:
        pipes = Pipes.at(target, timeout=2)
        assert await pipes.echo("before") == "before"
        slow = asyncio.create_task(pipes.sleep(300))
        await asyncio.sleep(0.05)
        await raw(server, line.replace(b"%b", PIPES.encode()))
        assert await pipes.echo("after") == "after"
        await slow


# Callers who listen late, or not at all.


async def test_a_caller_who_listens_late_is_told_again(server: NatsServer) -> None:
    async with serving(server, Working()), a_transport(server) as transport:
        caller = Caller(transport)
        await transport.publish(f"{PIPES}.echo", b"\x01x", reply=caller.reply)
        await transport.flush()
        await asyncio.sleep(0.05)
        await caller.listen()
        await caller.accepted()
        await caller.send("params", b"")
        await caller.until(lambda: ("results", b"") in caller.told)
        assert ("results", b"\x00\x01x") in caller.told


async def test_a_provider_does_not_wait_for_callers_who_have_left_when_it_stops(server: NatsServer) -> None:
    async with a_transport(server) as transport:
        async with serving(server, Working()) as found:
            await transport.publish(f"{PIPES}.echo", b"", reply="_INBOX.nobody")
            await until(lambda: found.acceptances.repeats)
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 2.0


# The answer comes with the accept.


async def test_sources_of_a_call_that_is_answered_at_once_are_let_go_of(server: NatsServer) -> None:
    source = Source()
    async with asking(server, "comp3") as target, a_transport(server) as transport:
        callee = Callee(transport, f"{PIPES.replace('prov', 'comp3')}.ignore")
        await callee.listen()
        call = asyncio.create_task(Pipes.at(target, timeout=5).ignore(source))
        await callee.until(lambda: bool(callee.reply))
        await callee.send("results", b"\x00")
        await callee.send("results", b"")
        await callee.accept()
        await call
        assert source.closed == 1
        await callee.until(lambda: ("params.0", b"") in callee.told)


async def test_the_streams_of_items_that_are_not_sent_are_let_go_of(server: NatsServer) -> None:
    source = Source()

    async def items() -> AsyncIterator[tuple[object, object]]:
        yield source, "x"
        yield trickle(), 7

    encoded = codec_of(AsyncIterator[tuple[AsyncIterator[bytes], str]]).encode_arguments((items(),))
    async with a_transport(server) as ours:
        with pytest.raises(InvalidArgument, match="expected a string"):
            await send_pending(ours, "nobody.params", encoded.pending)
    assert source.closed


async def test_a_call_ends_in_time_also_while_there_is_no_connection() -> None:
    async with NatsServer.start(url="") as own, asking(own, "prov") as target:
        await own.stop()
        await until(lambda: not target.client.transport.connected)
        async with asyncio.timeout(5):
            with pytest.raises(ProviderError):
                await Pipes.at(target, timeout=0.2).echo("x")


async def test_an_answer_in_pieces_needs_no_end(server: NatsServer) -> None:
    async with asking(server, "comp4") as target, a_transport(server) as transport:
        callee = Callee(transport, f"{PIPES.replace('prov', 'comp4')}.echo")
        await callee.listen()
        call = asyncio.create_task(Pipes.at(target, timeout=5).echo("x"))
        await callee.accept()
        for piece in (b"\x00", b"\x05", b"hel", b"lo"):
            await callee.send("results", piece)
            await asyncio.sleep(0.01)
        assert await call == "hello"


# Nothing is kept of a call that is over.


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def nothing_is_left(found: Server, target: WrpcTarget) -> bool:
    budgets = (found.budget, target.client.budget)
    return (
        not found.inbox._calls  # noqa: SLF001 # nothing else shows any of these
        and not target.client.inbox._calls  # noqa: SLF001
        and not found.acceptances._open  # noqa: SLF001
        and not target.client._sending  # noqa: SLF001
        and all((budget.memory, budget.spooled) == (0, 0) for budget in budgets)
    )


async def test_nothing_is_left_of_calls_that_end_in_every_way(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "GIVE_UP", 1.0)
    generator = random.Random(12)
    limits = StreamLimits(memory=64 << 10, spool=8 << 20, idle=1.0)
    async with (
        serving(server, Working(), limits=limits) as found,
        asking(server, "prov", limits=limits) as target,
        a_transport(server) as transport,
    ):
        pipes = Pipes.at(target, timeout=3)
        await pipes.echo("warm")
        before, files = len(asyncio.all_tasks()), descriptors()

        async def leave_a_stream() -> None:
            async for _ in await pipes.give(200):
                if generator.random() < 0.02:
                    break

        async def fall_silent() -> None:
            caller = Caller(transport)
            await caller.call(f"{PIPES}.take", b"")
            if generator.random() < 0.5:
                await caller.accepted()
                await caller.send("params.0", bytes(2000))
                await caller.send("params", generator.choice((b"\x80", b"")))

        async def upload(pieces: int, pause: float) -> None:
            await (await pipes.take(trickle(pieces, pause)))

        async def download_slowly() -> None:
            async for _ in await pipes.give(500):
                await asyncio.sleep(0.001)

        async def one() -> None:
            pause = generator.random() * 0.02
            ways: tuple[Callable[[], Awaitable[object]], ...] = (
                lambda: pipes.echo("x"),
                lambda: pipes.echo("missing"),
                lambda: Pipes.at(target, timeout=pause).sleep(1000),
                lambda: asyncio.wait_for(upload(10, 0.001), pause),
                lambda: upload(5, 0),
                leave_a_stream,
                lambda: pipes.ignore(trickle(50, 0)),
                lambda: asyncio.wait_for(download_slowly(), pause),
                fall_silent,
            )
            await generator.choice(ways)()

        for _ in range(scale(test=8, ci=40, soak=2000)):
            await asyncio.gather(*(one() for _ in range(20)), return_exceptions=True)
        gc.collect()
        await until(lambda: gc.collect() >= 0 and nothing_is_left(found, target), 20)
        await until(lambda: len(asyncio.all_tasks()) <= before, 5)
        assert descriptors() <= files + 1
