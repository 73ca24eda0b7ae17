"""The end of a process, or of a link: what had come is answered, nothing new is taken, and clients learn which is which."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from provider_sdk.contracts.httpserver import HttpRequest, HttpResponse
from provider_sdk.testing import Manner
from tests.integration.http_front import Actor, Handle, Running, refused, running
from tests.integration.http_wire import Wire, complaints, connected
from tests.servers.ports import free_port

PATIENT = {"timeout_ms": "60000"}
IDLE = "/idle"
ATTEMPTS = 3
"""Of what a machine with other work than the tests may miss once."""


def after(seconds: float) -> Handle:
    async def handle(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(seconds)
        return HttpResponse(200, {}, request.path.encode())

    return handle


def once(event: asyncio.Event) -> Handle:
    async def handle(request: HttpRequest) -> HttpResponse:
        if request.path != IDLE:
            await event.wait()
        return HttpResponse(200, {}, request.path.encode())

    return handle


async def never(request: HttpRequest) -> HttpResponse:
    return await asyncio.Future()


async def asked(actor: Actor, count: int) -> None:
    async with asyncio.timeout(60):
        while len(actor.asked) < count:
            await asyncio.sleep(0.005)


def terminate(it: Running) -> None:
    os.kill(it.provider.pid, signal.SIGTERM)


async def many(stack: AsyncExitStack, port: int, count: int) -> list[Wire]:
    return [await stack.enter_async_context(connected(port)) for _ in range(count)]


async def idle_at(stack: AsyncExitStack, port: int) -> Wire:
    """A connection that has had an answer: from when it is closed, no other is kept for a further request."""
    wire = await stack.enter_async_context(connected(port))
    assert (await wire.ask(f"GET {IDLE} HTTP/1.1")).status == 200
    return wire


async def outcome(wire: Wire) -> tuple[int, tuple[str, ...]]:
    """Status and Connection header of the next answer; status 0 where the connection ends instead."""
    try:
        answer = await wire.answer()
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        assert not getattr(error, "partial", b"")
        return 0, ()
    return answer.status, tuple(answer.values("connection"))


# SIGTERM


async def test_of_two_hundred_requests_in_flight_at_sigterm_none_is_lost_and_no_connection_is_taken_any_more() -> None:
    async with running(configuration={"drain_timeout": 30}) as it, AsyncExitStack() as stack:
        go_on = asyncio.Event()
        actor, port = await it.serve(once(go_on), **PATIENT)
        idle, wires = await idle_at(stack, port), await many(stack, port, 200)
        for wire in wires:
            await wire.send("POST / HTTP/1.1", "content-length: 3", body=b"abc")
        await asked(actor, 201)
        terminate(it)
        await refused(port)
        assert await idle.rest() == b""
        go_on.set()
        assert Counter(await asyncio.gather(*map(outcome, wires))) == {(200, ("close",)): 200}
        assert [await wire.rest() for wire in wires] == [b""] * 200
        assert complaints(it) == []


async def test_requests_whose_body_is_still_to_come_at_sigterm_are_answered_too() -> None:
    async with running(configuration={"drain_timeout": 30}) as it:
        _, port = await it.serve(after(0.1))
        async with connected(port) as wire, connected(port) as head:
            await wire.send("POST /body HTTP/1.1", "content-length: 6", body=b"abc")
            assert (await head.ask("GET / HTTP/1.1")).status == 200
            await head.write(b"GET /head HTTP/1.1\r\n")
            await asyncio.sleep(0.5)
            terminate(it)
            await refused(port)
            await asyncio.sleep(0.5)
            await wire.write(b"def")
            await head.write(b"host: here\r\n\r\n")
            assert (await outcome(wire), await outcome(head)) == ((200, ("close",)), (200, ("close",)))


async def test_what_waits_to_be_accepted_at_sigterm_is_served() -> None:
    async with running(configuration={"drain_timeout": 30}) as it:
        _, port = await it.serve(after(0.2))
        os.kill(it.provider.pid, signal.SIGSTOP)
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
        for number, client in enumerate(clients):
            client.sendall(f"GET /{number} HTTP/1.1\r\nhost: here\r\n\r\n".encode())
        terminate(it)
        os.kill(it.provider.pid, signal.SIGCONT)
        for number, client in enumerate(clients):
            client.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=client)
            answer = await Wire(reader, writer).answer()
            writer.close()
            assert (answer.status, answer.body, answer.values("connection")) == (200, f"/{number}".encode(), ["close"])


async def test_pipelined_requests_that_had_come_at_sigterm_are_all_answered() -> None:
    async with running(configuration={"drain_timeout": 30}) as it:
        actor, port = await it.serve(after(0.05))
        async with connected(port) as wire:
            await wire.write(b"".join(b"GET /%d HTTP/1.1\r\nhost: here\r\n\r\n" % number for number in range(50)))
            await asked(actor, 1)
            terminate(it)
            answers = [await wire.answer() for _ in range(50)]
            assert [answer.body for answer in answers] == [f"/{number}".encode() for number in range(50)]
            assert ([answer.values("connection") for answer in answers[-2:]], await wire.rest()) == ([[], ["close"]], b"")


@pytest.mark.parametrize("links", [1, 3])
async def test_clients_that_never_stop_asking_get_answers_until_one_says_close(links: int) -> None:
    """A request is answered, or its connection ends without a byte and nobody was asked: never anything between."""
    async with running(configuration={"drain_timeout": 30}) as it, AsyncExitStack() as stack:
        port = free_port()
        actors = []
        for number in range(links):
            actor = await it.actor(after(0))
            await it.link(actor.key, port=str(port), path_prefix=f"/{number}")
            await it.said(f"link up.*{actor.key}")
            actors.append(actor)

        async def client(wire: Wire, number: int) -> tuple[int, int]:
            answered = 0
            while True:
                try:
                    await wire.send(f"GET /{number} HTTP/1.1")
                except ConnectionError:
                    return answered, 0
                status, connection = await outcome(wire)
                answered += status == 200
                if status != 200 or connection:
                    return answered, status
                await asyncio.sleep(0.001 * (answered % 5))

        wires = await many(stack, port, 60)
        clients = [asyncio.create_task(client(wire, number % links)) for number, wire in enumerate(wires)]
        await asyncio.sleep(1)
        terminate(it)
        results = await asyncio.gather(*clients)
        assert {status for _, status in results} <= {0, 200}
        assert sum(answered for answered, _ in results) == sum(len(actor.asked) for actor in actors)
        assert complaints(it) == []


async def test_at_the_end_of_drain_timeout_what_is_unfinished_gets_a_503() -> None:
    async with running(configuration={"drain_timeout": 1}) as it, AsyncExitStack() as stack:
        actor, port = await it.serve(never, **PATIENT)
        wires = await many(stack, port, 20)
        for wire in wires:
            await wire.send("GET / HTTP/1.1")
        await asked(actor, 20)
        terminate(it)
        assert Counter(await asyncio.gather(*map(outcome, wires))) == {(503, ("close",)): 20}


# The host's request


async def ask_to_stop(it: Running) -> float:
    """Send the host's shutdown request; how many seconds its answer took."""
    core = it.lattice.host.core
    loop = asyncio.get_running_loop()
    since = loop.time()
    subject = f"wasmbus.rpc.{core.lattice}.{it.provider.key}.{it.provider.link_name}.shutdown"
    await it.lattice.transport.request(subject, json.dumps({"host_id": core.host_id}).encode(), timeout=30)
    return loop.time() - since


async def answered_within(seconds: float, stopped: Callable[[], Awaitable[float]]) -> None:
    """`stopped` gives how long the answer to the host took, inf where something else was late."""
    took: list[float] = []
    while not took or (took[-1] >= seconds and len(took) < ATTEMPTS):
        took.append(await stopped())
    assert took[-1] < seconds, took


@pytest.mark.parametrize(("manner", "within"), [(Manner.RUST, 0.3), (Manner.OTP, 2.0)])
async def test_at_a_hosts_shutdown_what_is_unfinished_gets_a_503_within_the_time_that_the_host_waits(manner: Manner, within: float) -> None:
    await answered_within(within, lambda: _stopped_with_200_requests(manner))


async def _stopped_with_200_requests(manner: Manner) -> float:
    """Each request has got its 503."""
    async with running(manner) as it, AsyncExitStack() as stack:
        wires = []
        for _ in range(4):
            actor, port = await it.serve(never, **PATIENT)
            wires += await many(stack, port, 50)
            for wire in wires[-50:]:
                await wire.send("GET / HTTP/1.1")
            await asked(actor, 50)
        took = await ask_to_stop(it)
        assert Counter(await asyncio.gather(*map(outcome, wires))) == {(503, ("close",)): 200}
        assert complaints(it) == []
        return took


async def test_at_a_hosts_shutdown_what_finishes_in_time_is_answered_and_idle_connections_do_not_prolong_it() -> None:
    await answered_within(0.3, _stopped_with_10_requests_that_finish)


async def _stopped_with_10_requests_that_finish() -> float:
    async with running() as it, AsyncExitStack() as stack:
        actor, port = await it.serve(after(0.1))
        idle, fresh, wires = await many(stack, port, 10), await many(stack, port, 10), await many(stack, port, 10)
        for wire in idle:
            assert (await wire.ask("GET / HTTP/1.1")).status == 200
        for wire in wires:
            await wire.send("GET / HTTP/1.1")
        await asked(actor, 20)
        took = await ask_to_stop(it)
        outcomes = Counter(await asyncio.gather(*map(outcome, wires)))
        assert outcomes.total() == outcomes[200, ("close",)] + outcomes[503, ("close",)] == 10
        assert [await wire.rest() for wire in idle + fresh] == [b""] * 20
        return math.inf if outcomes[503, ("close",)] else took


async def test_links_of_one_address_answer_their_own_503_at_a_hosts_shutdown() -> None:
    await answered_within(0.3, _stopped_with_two_links)


async def _stopped_with_two_links() -> float:
    async with running() as it, AsyncExitStack() as stack:
        port = free_port()
        wires = []
        for path, handle in (("/quick", after(0)), ("/slow", never)):
            actor = await it.actor(handle)
            await it.link(actor.key, port=str(port), path_prefix=path, **PATIENT)
            await it.said(f"link up.*{actor.key}")
            wire = await stack.enter_async_context(connected(port))
            wires.append(wire)
            await wire.send(f"GET {path} HTTP/1.1")
            await asked(actor, 1)
        quick, slow = wires
        assert (await quick.answer()).status == 200
        took = await ask_to_stop(it)
        assert (await outcome(quick), await outcome(slow)) == ((0, ()), (503, ("close",)))
        return took


# The end of a link


async def test_a_deleted_link_answers_what_is_in_flight_and_then_closes_its_connections() -> None:
    async with running() as it, AsyncExitStack() as stack:
        go_on = asyncio.Event()
        actor, port = await it.serve(once(go_on), **PATIENT)
        _, other = await it.serve(after(0))
        wires, idle, kept = await many(stack, port, 20), await idle_at(stack, port), await idle_at(stack, other)
        for wire in wires:
            await wire.send("GET / HTTP/1.1")
        await asked(actor, 21)
        await it.unlink(actor.key)
        await refused(port)
        assert await idle.rest() == b""
        go_on.set()
        assert Counter(await asyncio.gather(*map(outcome, wires))) == {(200, ("close",)): 20}
        assert [await wire.rest() for wire in wires] == [b""] * 20
        await it.said(f"link down.*{actor.key}")
        assert (await kept.ask("GET / HTTP/1.1")).status == 200


async def test_a_deleted_links_requests_that_outlast_link_timeout_get_a_503() -> None:
    async with running(configuration={"link_timeout": 1}) as it:
        actor, port = await it.serve(after(30), **PATIENT)
        async with connected(port) as wire:
            await wire.send("GET / HTTP/1.1")
            await asked(actor, 1)
            await it.unlink(actor.key)
            assert await outcome(wire) == (503, ("close",))
        await it.said("still not left after 1.0 s")
        assert complaints(it) == []


async def test_a_link_that_comes_back_at_once_listens_again_while_the_old_ones_requests_finish() -> None:
    async with running() as it:
        go_on = asyncio.Event()
        actor, port = await it.serve(once(go_on), port=str(free_port()), **PATIENT)
        async with connected(port) as wire:
            await wire.send("GET /old HTTP/1.1")
            await asked(actor, 1)
            await it.unlink(actor.key)
            await refused(port)
            again = await it.actor(after(0))
            await it.link(again.key, port=str(port))
            await it.listening()
            async with connected(port) as other:
                assert (await other.ask("GET /new HTTP/1.1")).body == b"/new"
            go_on.set()
            assert await outcome(wire) == (200, ("close",))
