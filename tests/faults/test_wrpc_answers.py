"""What a 1.x provider owes a caller: its call ends, though its connection was lost or it listens late (wrpc-1x.md §3.2, §3.7)."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from provider_sdk import Interface, ProviderError, fails
from provider_sdk.errors import NotFound
from provider_sdk.hosts.wrpc import acceptance
from provider_sdk.hosts.wrpc.server import Server
from provider_sdk.lattice.nats_server import NatsServer
from provider_sdk.transport.nats import NatsTransport
from provider_sdk.transport.nats_client import Received
from tests.faults.test_wrpc_hostile import PIPES, Working, raw
from tests.integration.wrpc_driver import OBSERVER, a_driver
from tests.integration.wrpc_peer import HOST_HEADERS, Caller, Told, a_transport, serving
from tests.waiting import until

ANSWER = b"\x00\x01x"
REPLY = "_INBOX.caller.1"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[NatsServer]:
    async with NatsServer.start(url="") as running:
        yield running


class Held(Working):
    """Answers when it is let."""

    def __init__(self) -> None:
        self.begun = 0
        self.release = asyncio.Event()

    async def echo(self, text: str) -> str:
        self.begun += 1
        await self.release.wait()
        return await super().echo(text)


def waiting(found: Server) -> list[acceptance.Acceptance]:
    """Of calls whose parameters are not at an end."""
    return list(found.acceptances._open)  # noqa: SLF001 # nothing else shows it


# NATS is away for longer than a message waits for it by itself.


@asynccontextmanager
async def away(server: NatsServer, found: Server) -> AsyncIterator[None]:
    """What is done while there is no NATS server."""
    await server.stop()
    await until(lambda: not found.transport.connected)
    yield
    await asyncio.sleep(2.5)
    await server.launch()


async def test_an_answer_of_that_time_reaches_its_caller() -> None:
    held = Held()
    async with NatsServer.start(url="") as own, serving(own, held) as found, a_transport(own) as transport:
        caller = Caller(transport)
        await caller.call(f"{PIPES}.echo", b"\x01x")
        await caller.accepted()
        await caller.send("params", b"")
        await until(lambda: not waiting(found))
        async with away(own, found):
            held.release.set()
        await caller.until(lambda: ("results", b"") in caller.told)
        assert ("results", ANSWER) in caller.told


async def test_an_answer_reaches_a_caller_who_is_back_later() -> None:
    held = Held()
    async with NatsServer.start(url="") as own, serving(own, held) as found:
        async with a_transport(own) as transport:
            caller = Caller(transport)
            await caller.call(f"{PIPES}.echo", b"\x01x")
            await caller.accepted()
            await caller.send("params", b"")
            await until(lambda: held.begun and not waiting(found))
        async with away(own, found):
            held.release.set()
        await until(lambda: found.transport.connected)
        await asyncio.sleep(0.5)
        async with a_transport(own) as transport:
            back = Caller(transport, caller.reply)
            await back.listen()
            await back.until(lambda: ("results", b"") in back.told)
        assert back.told == [("results", ANSWER), ("results", b"")]


async def test_a_call_whose_accept_was_lost_is_accepted_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "GIVE_UP", 2.0)
    held = Held()
    async with NatsServer.start(url="") as own, serving(own, held) as found:
        async with a_transport(own) as transport:
            await transport.publish(f"{PIPES}.echo", b"\x01x", reply=REPLY)
        await until(lambda: held.begun)
        async with away(own, found):
            held.release.set()
        async with a_transport(own) as transport:
            assert (await heard(transport))[0] == ("results", ANSWER)


@pytest.mark.parametrize("full", [False, True])
async def test_a_call_that_could_not_be_accepted_is_refused_when_nats_is_back(full: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "GIVE_UP", 2.0)
    async with NatsServer.start(url="") as own, serving(own, Working()) as found:
        found.control.full = full  # type: ignore[misc]  # a plain attribute here
        async with away(own, found):
            found.receive(Received(f"{PIPES}.echo", REPLY, b"\x01x", HOST_HEADERS))
        async with a_transport(own) as transport:
            assert (await heard(transport))[0][1].startswith(b"\x01")


async def heard(transport: NatsTransport) -> list[Told]:
    """The answer to a caller who listens only now."""
    caller = Caller(transport, REPLY)
    await caller.listen()
    await caller.accepted()
    await caller.send("params", b"")
    await caller.until(lambda: ("results", b"") in caller.told)
    return [item for item in caller.told if item[0]]


# A caller who is not heard may not have listened yet, or may never send an end.


@asynccontextmanager
async def unheard(server: NatsServer, implementation: Working) -> AsyncIterator[Caller]:
    """A caller who listens, and says nothing by itself."""
    async with serving(server, implementation), a_transport(server) as transport:
        caller = Caller(transport)
        await caller.call(f"{PIPES}.echo", b"\x01x")
        await caller.accepted()
        yield caller


async def test_a_late_answer_comes_behind_the_third_repeat_and_without_an_end_that_could_come_alone(server: NatsServer) -> None:
    async with unheard(server, Working()) as caller:
        await caller.until(lambda: ("results", ANSWER) in caller.told)
        assert caller.told[:5] == [("", b"")] * 4 + [("results", ANSWER)]
        await caller.until(lambda: caller.accepts == 5)
        await caller.send("params", b"")
        await caller.until(lambda: ("results", b"") in caller.told)
        assert [item for item in caller.told if item[0]] == [("results", ANSWER), ("results", ANSWER), ("results", b"")]


async def test_a_late_answer_gets_its_end_when_the_caller_is_given_up(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "GIVE_UP", 1.0)
    async with unheard(server, Working()) as caller:
        await caller.until(lambda: ("results", b"") in caller.told)
        assert [item for item in caller.told if item[0]] == [("results", ANSWER), ("results", b"")]


async def test_an_answer_in_several_messages_is_not_sent_late(server: NatsServer) -> None:
    class Larger(Working):
        async def echo(self, text: str) -> str:
            return text * 3_000_000

    async with unheard(server, Larger()) as caller:
        await caller.until(lambda: caller.accepts == 5)
        assert {path for path, _ in caller.told} == {""}
        await caller.send("params", b"")
        await caller.until(lambda: ("results", b"") in caller.told)
        assert sum(len(data) for path, data in caller.told if path == "results") == 3_000_005


async def test_a_reply_subject_that_is_no_text_costs_others_no_accept(server: NatsServer) -> None:
    async with serving(server, Working()), a_transport(server) as transport:
        caller = Caller(transport)
        await caller.listen()
        calls = [b"PUB %b.echo %b 2\r\n\x01x\r\n" % (PIPES.encode(), reply) for reply in (b"_INBOX.\xc2\xa0", caller.reply.encode())]
        await raw(server, *calls)
        await caller.until(lambda: caller.accepts == 4, 5)


async def ask_for_a_stream(transport: NatsTransport) -> Caller:
    """A caller who is heard, and sends no end."""
    caller = Caller(transport)
    await caller.call(f"{PIPES}.give", b"\x05")
    await caller.accepted()
    await caller.send("params.9", b"")
    return caller


async def test_streams_go_soon_to_a_caller_without_an_end_where_nobody_sends_any(server: NatsServer) -> None:
    async with serving(server, Working()), a_transport(server) as transport:
        caller = await ask_for_a_stream(transport)
        await caller.until(lambda: ("results.0", b"") in caller.told, 5)


async def test_streams_wait_for_the_end_where_others_have_sent_one(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "GIVE_UP", 5.0)
    async with serving(server, Working()), a_transport(server) as transport:
        await Caller(transport).unary(f"{PIPES}.echo", b"\x01x")
        caller = await ask_for_a_stream(transport)
        await asyncio.sleep(1.0)
        assert {path for path, _ in caller.told} == {""}
        await caller.until(lambda: ("results.0", b"") in caller.told)


# A call that is over, and whose answer waits for the end of its parameters.


async def held_answer(server: NatsServer, found: Server, transport: NatsTransport) -> Caller:
    """A caller that was accepted and answered, and has said nothing."""
    caller = Caller(transport)
    await caller.call(f"{PIPES}.echo", b"\x01x")
    await caller.accepted()
    await until(lambda: [one.holds for one in waiting(found)] == [True])
    return caller


async def test_streams_that_come_to_it_are_not_kept(server: NatsServer) -> None:
    async with serving(server, Working()) as found, a_transport(server) as transport:
        caller = await held_answer(server, found, transport)
        for _ in range(4):
            await caller.send("params.0", bytes(500_000))
        await caller.send("params", b"")
        await caller.until(lambda: ("results", b"") in caller.told)
        assert (found.budget.memory, found.budget.spooled) == (0, 0)


async def test_streams_that_come_to_it_do_not_keep_it(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "GIVE_UP", 1.0)
    async with serving(server, Working()) as found, a_transport(server) as transport:
        caller = await held_answer(server, found, transport)
        async with asyncio.timeout(10):
            while ("results", b"") not in caller.told:
                await caller.send("params.0", bytes(100))
                await asyncio.sleep(0.05)
        assert ("results", ANSWER) in caller.told
        await until(lambda: not found.inbox._calls)  # noqa: SLF001 # nothing else shows it


class Large(Working):
    async def echo(self, text: str) -> str:
        return text * 200_000


async def test_answers_that_wait_take_no_more_room_than_there_is(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "MOST_HELD", 1_000_000, raising=False)
    async with serving(server, Large()) as found, a_transport(server) as transport:
        callers = [Caller(transport) for _ in range(8)]
        for caller in callers:
            await caller.call(f"{PIPES}.echo", b"\x01x")
            await caller.accepted()
            await caller.send("params.0", b"")  # heard, and not at an end
        await until(lambda: sum(("results", b"") in caller.told for caller in callers) == 4, 5)
        for caller in callers:
            await caller.send("params", b"")
            await caller.until(lambda caller=caller: ("results", b"") in caller.told)
            assert sum(len(data) for path, data in caller.told if path == "results") == 200_004
        assert found.acceptances.held == 0


# An error that cannot be told.


def unspeakable(error: ProviderError) -> str:
    raise KeyError(error.code)


class Mute(Interface, wit="test:mute/mute@0.1.0"):
    @abstractmethod
    @fails(str, encode=unspeakable)
    async def refuse(self) -> None: ...


class Refusing(Mute):
    async def refuse(self) -> None:
        raise NotFound("there is none")


@pytest.mark.parametrize("full", [False, True])
async def test_an_error_that_its_own_type_cannot_hold_is_an_early_end(
    full: bool, server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(server, Refusing()) as found, a_transport(server) as transport:
        found.control.full = full  # type: ignore[misc]  # a plain attribute here
        assert await Caller(transport).unary("lattice.prov.wrpc.0.0.1.test:mute/mute@0.1.0.refuse", b"") == [("results", b"")]
    told = [item.getMessage() for item in caplog.records if "has no form as its error type" in item.getMessage()]
    assert len(told) == 1
    assert "KeyError" in told[0]


# The provider stops.


async def test_an_answer_that_waits_goes_before_the_shutdown_request_is_answered(server: NatsServer, tmp_path: Path) -> None:
    async with a_driver(server.url, tmp_path) as driver:
        provider = await driver.spawn()
        caller = Caller(driver.transport)
        await caller.call("lattice.teller.wrpc.0.0.1.acme:told/told@0.1.0.own", b"", {"source-id": OBSERVER})
        await caller.accepted()
        assert await provider.shut_down() == b"shutting down"
        assert caller.told[-1] == ("results", b"")


async def test_a_large_answer_that_is_being_sent_is_finished(server: NatsServer) -> None:
    class Largest(Working):
        async def echo(self, text: str) -> str:
            return text * 40_000_000

    async with a_transport(server) as transport:
        caller = Caller(transport)
        async with serving(server, Largest()) as found:
            await caller.call(f"{PIPES}.echo", b"\x01x")
            await caller.accepted()
            await caller.send("params", b"")
            await caller.until(lambda: len(caller.told) > 1)
            await found.acceptances.settle(20.0)
        await caller.until(lambda: ("results", b"") in caller.told)
        assert sum(len(data) for path, data in caller.told if path == "results") == 40_000_005


async def test_an_answer_that_waits_for_nats_delays_no_stop() -> None:
    held = Held()
    async with NatsServer.start(url="") as own, serving(own, held) as found, a_transport(own) as transport:
        caller = Caller(transport)
        await caller.call(f"{PIPES}.echo", b"\x01x")
        await caller.accepted()
        await caller.send("params", b"")
        await until(lambda: not waiting(found))
        await own.stop()
        await until(lambda: not found.transport.connected)
        held.release.set()
        await until(lambda: found.acceptances.held)
        async with asyncio.timeout(5):
            await found.acceptances.settle(0.1)
        await until(lambda: not found.acceptances.held)
