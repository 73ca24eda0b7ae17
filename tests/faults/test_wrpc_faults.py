"""Providers under faults on a 1.x lattice: servers that go, processes that are killed, streams that break, peers that talk nonsense."""

from __future__ import annotations

import asyncio
import os
import random
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from provider_sdk import Config, Interface, Link, Provider, ProviderError, ResourceExhausted, fails
from provider_sdk.hosts.wrpc.client import WrpcTarget
from provider_sdk.hosts.wrpc.names import invocation_subject
from provider_sdk.testing import WrpcTestLattice, a_wrpc_lattice
from provider_sdk.types import U64
from tests.faults.echo import Echo
from tests.faults.restarted import restarted_under_load
from tests.integration.wrpc_peer import Caller
from tests.tiers import scale
from tests.waiting import alive, until

PROGRAM = Path(__file__).with_name("echo.py")


class Sink(Interface, wit="test:sink/sink@0.1.0"):
    @abstractmethod
    @fails(str)
    async def take(self, data: AsyncIterator[bytes]) -> Awaitable[U64]: ...

    @abstractmethod
    @fails(str)
    async def give(self, size: U64) -> AsyncIterator[bytes]: ...


class SinkProvider(Provider[Config], serves=(Sink,)):
    ends: asyncio.Queue[str]

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        type(self).ends = asyncio.Queue()
        yield

    @asynccontextmanager
    async def link(self, link: Link[Config]) -> AsyncIterator[Sink]:
        yield Counting(self.ends)


class Counting(Sink):
    def __init__(self, ends: asyncio.Queue[str]) -> None:
        self._ends = ends

    async def take(self, data: AsyncIterator[bytes]) -> Awaitable[int]:
        async def count() -> int:
            size = 0
            try:
                async for piece in data:
                    size += len(piece)
            except ProviderError as error:
                self._ends.put_nowait(error.code.value)
                raise
            self._ends.put_nowait(str(size))
            return size

        return count()

    async def give(self, size: int) -> AsyncIterator[bytes]:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(0, size, 65536):
                yield bytes(65536)

        return pieces()


async def slowly(pieces: int, pause: float = 0.05) -> AsyncIterator[bytes]:
    for _ in range(pieces):
        yield bytes(1024)
        await asyncio.sleep(pause)


async def linked(lattice: WrpcTestLattice, stream_timeout: str = "1") -> tuple[Sink, WrpcTarget]:
    provider = await lattice.in_process(SinkProvider, configuration={"stream_timeout": stream_timeout})
    target = await lattice.link(provider)
    assert isinstance(target, WrpcTarget)
    return Sink.at(target, timeout=5), target


async def test_calls_go_on_after_the_server_was_killed_and_restarted_under_load() -> None:
    async with a_wrpc_lattice() as lattice:
        provider = await lattice.process(PROGRAM, serves=(Echo,))
        outcomes = await restarted_under_load(lattice.server, Echo.at(await lattice.link(provider), timeout=5.0))
        assert all(good for moment, good in outcomes if moment > 2.0)


async def test_a_stream_that_lost_its_connection_is_an_error_on_both_sides_and_not_a_short_one() -> None:
    async with a_wrpc_lattice() as lattice:
        sink, target = await linked(lattice)
        taken = await sink.take(slowly(200))
        await asyncio.sleep(0.3)
        await lattice.server.restart()
        with pytest.raises(ProviderError):
            await taken
        assert await asyncio.wait_for(SinkProvider.ends.get(), 20) == "unavailable"
        await until(lambda: (target.client.budget.memory, target.client.budget.spooled) == (0, 0))


async def test_a_caller_that_falls_silent_in_the_middle_is_given_up() -> None:
    async with a_wrpc_lattice() as lattice:
        sink, _ = await linked(lattice)
        taken = asyncio.ensure_future(await sink.take(slowly(3, pause=30)))
        assert await asyncio.wait_for(SinkProvider.ends.get(), 20) == "deadline_exceeded"
        taken.cancel()


async def test_a_link_that_is_deleted_ends_its_streams() -> None:
    async with a_wrpc_lattice() as lattice:
        provider = await lattice.in_process(SinkProvider, configuration={"stream_timeout": "60", "drain_timeout": "0.3"})
        target = await lattice.link(provider)
        taken = asyncio.ensure_future(await Sink.at(target, timeout=5).take(slowly(1000)))
        await asyncio.sleep(0.2)
        await lattice.unlink(provider, target)
        with pytest.raises(ProviderError):
            await asyncio.wait_for(taken, 20)


async def test_a_link_that_is_deleted_ends_streams_that_were_begun_before_it_was_changed() -> None:
    async with a_wrpc_lattice() as lattice:
        provider = await lattice.in_process(SinkProvider, configuration={"stream_timeout": "60", "drain_timeout": "0.3"})
        target = await lattice.link(provider)
        assert isinstance(target, WrpcTarget)
        taken = asyncio.ensure_future(await Sink.at(target, timeout=5).take(slowly(1000)))
        await lattice.link(provider, {"word": "new"}, component=target.client.origin)
        await asyncio.sleep(1.0)
        assert not taken.done()
        await lattice.unlink(provider, target)
        with pytest.raises(ProviderError):
            await asyncio.wait_for(taken, 20)


async def test_a_call_that_a_deleted_link_cuts_off_before_its_streams_says_so() -> None:
    async with a_wrpc_lattice() as lattice:
        provider = await lattice.in_process(SinkProvider, configuration={"drain_timeout": "0.1"})
        target = await lattice.link(provider)
        assert isinstance(target, WrpcTarget)
        assert await (await Sink.at(target, timeout=5).take(slowly(0))) == 0  # the link serves, and a caller has sent an end
        caller = Caller(lattice.transport)
        subject = invocation_subject(target.client.lattice, provider.id, "test:sink/sink@0.1.0", "give")
        await caller.call(subject, b"\x01", {"source-id": target.client.origin})
        await caller.accepted()
        await lattice.unlink(provider, target)
        await asyncio.sleep(1.0)
        await caller.send("params", b"")
        await caller.until(lambda: ("results", b"") in caller.told)
        assert any(b"its link was deleted, or the provider is stopping" in data for path, data in caller.told if path == "results")


async def test_a_killed_provider_is_back_with_its_links() -> None:
    async with a_wrpc_lattice() as lattice:
        provider = await lattice.process(PROGRAM, serves=(Echo,))
        echo = Echo.at(await lattice.link(provider, {"word": "a "}), timeout=5.0)
        assert await echo.echo("x") == "a x"
        await lattice.kill(provider)
        await until(lambda: not alive(provider.pid))

        async def answers() -> bool:
            try:
                return await echo.echo("x") == "a x"
            except ProviderError:
                return False

        async with asyncio.timeout(60):
            while not await answers():
                await asyncio.sleep(0.1)


async def test_a_changed_link_loses_no_call() -> None:
    async with a_wrpc_lattice(rpc_timeout=20.0) as lattice:
        provider = await lattice.process(PROGRAM, serves=(Echo,))
        target = await lattice.link(provider, {"word": "0 "})
        assert isinstance(target, WrpcTarget)
        echo = Echo.at(target, timeout=20.0)
        seen: set[str] = set()
        stop = False

        async def caller() -> None:
            while not stop:
                seen.add((await echo.echo("x")).split()[0])

        callers = [asyncio.create_task(caller()) for _ in range(8)]
        for number in range(1, 11):
            await lattice.link(provider, {"word": f"{number} "}, component=target.client.origin)
            await asyncio.sleep(0.05)
        await until(lambda: "10" in seen)
        stop = True
        await asyncio.gather(*callers)


async def test_slow_calls_hold_up_neither_health_nor_links_and_too_many_are_refused_at_once() -> None:
    async with a_wrpc_lattice() as lattice:
        provider = await lattice.process(PROGRAM, serves=(Echo,), configuration={"max_calls_per_link": "40", "call_timeout": "20"})
        echo = Echo.at(await lattice.link(provider), timeout=20.0)
        slow = [asyncio.create_task(echo.sleep(6000)) for _ in range(40)]
        await asyncio.sleep(1.0)
        with pytest.raises(ResourceExhausted):
            await echo.echo("x")
        assert b'"healthy": true' in (await lattice.health(provider)).replace(b'":t', b'": t')
        other = Echo.at(await lattice.link(provider, {"word": "new "}), timeout=10.0)
        assert await other.echo("x") == "new x"
        assert not any(task.done() for task in slow)
        await asyncio.gather(*slow)


async def test_a_call_ends_at_its_deadline_with_an_error_value() -> None:
    async with a_wrpc_lattice() as lattice:
        provider = await lattice.process(PROGRAM, serves=(Echo,), configuration={"call_timeout": "0.3"})
        echo = Echo.at(await lattice.link(provider), timeout=5.0)
        with pytest.raises(ProviderError, match="took longer than"):
            await echo.sleep(3000)


async def test_nonsense_on_every_subject_leaves_the_provider_serving() -> None:
    generator = random.Random(8)
    async with a_wrpc_lattice() as lattice:
        provider = await lattice.process(PROGRAM, serves=(Echo,))
        target = await lattice.link(provider)
        assert isinstance(target, WrpcTarget)
        lattice_name = target.client.lattice
        subject = f"{lattice_name}.{provider.id}.wrpc.0.0.1.test:echo/echo@0.1.0"
        transport = lattice.transport
        inboxes: list[str] = []
        await transport.subscribe("_INBOX.nonsense", lambda message: inboxes.append(message.reply) if message.reply else None)
        for _ in range(scale(test=300, ci=1000, soak=20_000)):
            data = generator.randbytes(generator.choice((0, 1, 3, 40, 5000)))
            function = generator.choice(("echo", "sleep", "nothing", "a.b.c"))
            headers = generator.choice(
                (None, {"source-id": target.client.origin}, {"source-id": "é", "link-name": "x", "traceparent": "00-zz"})
            )
            await transport.publish(f"{subject}.{function}", data, reply=generator.choice(("", "_INBOX.nonsense")), headers=headers)
            for name in ("linkdefs.put", "linkdefs.del", "config.update", "default.shutdown"):
                await transport.publish(f"wasmbus.rpc.{lattice_name}.{provider.id}.{name}", data)
            if inboxes:
                path = generator.choice(("params", "params.0", "params.4294967296.1", "params.a", "other", "params." + "1." * 40 + "1"))
                await transport.publish(f"{generator.choice(inboxes)}.{path}", data)
        await transport.flush()
        assert await Echo.at(target, timeout=10).echo("still") == "still"
        await until(lambda: alive(provider.pid))


@pytest.mark.parametrize("size", [scale(test=32, ci=64, soak=1024) << 20])
async def test_memory_does_not_grow_with_a_stream_that_nobody_reads(size: int) -> None:
    async with a_wrpc_lattice() as lattice:
        sink, target = await linked(lattice, stream_timeout="60")
        data = await sink.give(size)
        before = _resident()
        await until(lambda: target.client.budget.spooled > size // 2, 60)
        received = 0
        async for piece in data:
            received += len(piece)
        assert received == size
        assert _resident() - before < (128 << 20)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
