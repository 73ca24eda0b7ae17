"""Clients that are slow, stand still or go away: each deadline ends what it is about, and nothing is left of it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from provider_sdk.contracts.httpserver import HttpRequest, HttpResponse
from tests.integration.http_front import Running, running
from tests.integration.http_wire import MANY, Wire, comes_to, complaints, connected, metric, resident
from tests.servers.ports import free_port

ROUNDS = 12


@asynccontextmanager
async def measured() -> AsyncIterator[tuple[Running, int]]:
    """A running httpserver and the port of its metrics; in the end nothing may be left of any client."""
    metrics = free_port()
    async with running(configuration={"metrics_address": f"127.0.0.1:{metrics}"}) as it:
        yield it, metrics
        for name in ("http_connections", "http_requests_in_progress", "http_body_bytes"):
            await comes_to(metrics, name, 0)
        assert complaints(it) == []


async def tell(request: HttpRequest) -> HttpResponse:
    size = request.path[1:]
    return HttpResponse(200, {}, b"x" * int(size) if size.isdecimal() else f"{request.path} {len(request.body)}".encode())


async def drip(wire: Wire, data: bytes, every: float) -> None:
    """Write a byte at a time until the server closes."""
    for byte in data:
        if wire.reader.at_eof():
            return
        await wire.write(bytes([byte]))
        await asyncio.sleep(every)


# Heads


async def test_headers_that_take_longer_than_header_timeout_are_408_however_steadily_they_come() -> None:
    async with measured() as (it, _):
        actor, port = await it.serve(tell, header_timeout="2")
        async with connected(port) as wire, asyncio.TaskGroup() as both:
            dripping = both.create_task(drip(wire, b"GET / HTTP/1.1\r\nhost: here\r\n" + b"x: y\r\n" * 1000, 0.02))
            assert (await wire.answer()).status == 408
            assert await wire.rest() == b""
            dripping.cancel()
        async with connected(port) as wire:
            assert (await wire.ask("GET /first HTTP/1.1")).status == 200
            await wire.write(b"GET / HT")
            assert (await wire.answer()).status == 408
        assert [asked.path for asked in actor.asked] == ["/first"]


async def test_a_connection_without_a_first_request_is_closed_without_a_word() -> None:
    async with measured() as (it, _):
        _, port = await it.serve(tell, header_timeout="0.3")
        async with connected(port) as wire:
            assert await wire.rest() == b""


async def test_a_connection_that_stands_idle_is_closed_without_a_word() -> None:
    async with measured() as (it, _):
        _, port = await it.serve(tell, idle_timeout="1.2")
        async with connected(port) as wire:
            for _ in range(2):
                assert (await wire.ask("GET / HTTP/1.1")).status == 200
            assert await wire.rest() == b""


async def test_the_idle_timeout_does_not_count_while_a_head_arrives() -> None:
    async with measured() as (it, _):
        _, port = await it.serve(tell, idle_timeout="1.6", header_timeout="20")
        async with connected(port) as wire:
            for _ in range(2):
                await wire.write(b"GET / HTTP/1.1\r\n")
                await asyncio.sleep(3.2)
                await wire.write(b"host: here\r\n\r\n")
                assert (await wire.answer()).status == 200


async def test_a_slow_actor_does_not_count_against_the_client() -> None:
    async def handle(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(4)
        return HttpResponse(200, {}, b"")

    async with measured() as (it, _):
        limits = dict.fromkeys(("header_timeout", "body_timeout", "idle_timeout", "send_timeout"), "1.2")
        _, port = await it.serve(handle, timeout_ms="60000", **limits)
        async with connected(port) as wire:
            await wire.send("POST / HTTP/1.1", "content-length: 3", body=b"abcGET / HTTP/1.1\r\nho")
            assert (await wire.answer()).status == 200
            await wire.write(b"st: here\r\n\r\n")
            assert (await wire.answer()).status == 200


# Bodies


@pytest.mark.parametrize("framing", ["content-length: 1000000", "transfer-encoding: chunked"])
async def test_a_body_that_is_slower_than_min_rate_or_stands_still_is_408_whatever_came_before(framing: str) -> None:
    async with measured() as (it, metrics):
        actor, port = await it.serve(tell, body_timeout="2", min_rate="1000")
        start = b"186a0\r\n" + b"x" * 100_000 + b"\r\n186a0\r\n" if "chunked" in framing else b"x" * 100_000
        for every in (0.02, 5):
            async with connected(port) as wire, asyncio.TaskGroup() as both:
                await wire.send("POST / HTTP/1.1", framing, body=start)
                await comes_to(metrics, "http_body_bytes", 100_000)
                dripping = both.create_task(drip(wire, b"x" * 100, every))
                assert ((await wire.answer()).status, await wire.rest()) == (408, b"")
                dripping.cancel()
        assert actor.asked == []


async def test_a_body_that_keeps_min_rate_may_take_as_long_as_it_likes() -> None:
    async with measured() as (it, _):
        _, port = await it.serve(tell, body_timeout="2", min_rate="1000")
        async with connected(port) as wire:
            await wire.send("POST / HTTP/1.1", "content-length: 40000")
            for _ in range(40):
                await wire.write(b"x" * 1000)
                await asyncio.sleep(0.2)
            assert (await wire.answer()).body == b"/ 40000"


# Responses


async def standing_still(port: int, buffer: int = 0) -> socket.socket:
    """A connection whose client takes nothing but what its system does by itself."""
    client = socket.socket()
    if buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
    return client


async def has_begun(client: socket.socket) -> None:
    """Returns when the first byte of an answer has come."""
    async with asyncio.timeout(30):
        assert await asyncio.get_running_loop().sock_recv(client, 1) == b"H"


async def test_a_late_head_behind_a_response_that_is_still_being_written_does_not_break_into_it() -> None:
    async with measured() as (it, metrics):
        _, port = await it.serve(tell, header_timeout="1.2", send_timeout="60")
        client = await standing_still(port)
        head = f"GET /{MANY} HTTP/1.1\r\nhost: here\r\n\r\n"
        await asyncio.get_running_loop().sock_sendall(client, head.encode())
        await comes_to(metrics, "http_body_bytes", MANY)
        await asyncio.get_running_loop().sock_sendall(client, b"GET / HTTP/1.1\r\n")
        await asyncio.sleep(4)
        wire = Wire(*await asyncio.open_connection(sock=client, limit=2 * MANY))
        answer = await wire.answer()
        assert (answer.status, answer.body.strip(b"x"), len(answer.body)) == (200, b"", MANY)
        assert ((await wire.answer()).status, await wire.rest()) == (408, b"")
        wire.writer.close()


def assert_kept_nothing(after: list[int], round_size: int) -> None:
    """What stays of rounds that passed `round_size` bytes each goes up and down, as the system takes it back, and does not add up."""
    half = len(after) // 2
    assert min(after[half:]) - min(after[1:half]) < half * round_size / 2, after


async def test_clients_that_ask_and_do_not_take_the_answer_are_cut_off_and_their_memory_comes_back() -> None:
    async with measured() as (it, metrics):
        _, port = await it.serve(tell, send_timeout="0.3", timeout_ms="60000")
        loop = asyncio.get_running_loop()
        after = []
        for _ in range(ROUNDS):
            clients = [await standing_still(port) for _ in range(8)]
            for client in clients:
                await loop.sock_sendall(client, f"GET /{MANY} HTTP/1.1\r\nhost: here\r\n\r\n".encode())
            await asyncio.gather(*map(has_begun, clients))
            await comes_to(metrics, "http_body_bytes", 0)
            await comes_to(metrics, "http_connections", 0)
            for client in clients:
                client.close()
            after.append(resident(it.provider.pid))
        assert_kept_nothing(after, 8 * MANY)


async def test_bodies_of_clients_that_go_before_the_end_are_given_back() -> None:
    async with measured() as (it, metrics):
        _, port = await it.serve(tell)
        after = []
        for _ in range(ROUNDS):
            for _ in range(8):
                async with connected(port) as wire:
                    await wire.send("POST / HTTP/1.1", f"content-length: {MANY + 1}", body=bytes(MANY))
                    await comes_to(metrics, "http_body_bytes", MANY)
                    await leave(wire, "reset")
                await comes_to(metrics, "http_body_bytes", 0)
            after.append(resident(it.provider.pid))
        assert_kept_nothing(after, 8 * MANY)


async def test_bodies_of_requests_that_no_actor_answers_are_given_back() -> None:
    async def handle(request: HttpRequest) -> HttpResponse:
        return await asyncio.Future()

    async with measured() as (it, _):
        _, port = await it.serve(handle, timeout_ms="500")

        async def client() -> int:
            async with connected(port) as wire:
                return (await wire.ask("POST / HTTP/1.1", f"content-length: {MANY}", body=bytes(MANY))).status

        after = []
        for _ in range(ROUNDS):
            assert await asyncio.gather(*[client() for _ in range(6)]) == [504] * 6
            after.append(resident(it.provider.pid))
        assert_kept_nothing(after, 6 * MANY)


async def test_a_client_that_pipelines_and_never_reads_is_cut_off() -> None:
    async with measured() as (it, metrics):
        _, port = await it.serve(tell, send_timeout="4", idle_timeout="60")
        client = await standing_still(port, 4096)
        request = b"GET /60000 HTTP/1.1\r\nhost: here\r\n\r\n"
        sending = asyncio.create_task(asyncio.get_running_loop().sock_sendall(client, request * 2000))
        await comes_to(metrics, "http_connections", 1)
        await comes_to(metrics, "http_connections", 0)
        sending.cancel()
        await asyncio.wait([sending])
        client.close()


async def test_a_client_that_takes_less_than_min_rate_is_cut_off_and_one_that_keeps_it_is_not() -> None:
    async with measured() as (it, metrics):
        _, port = await it.serve(tell, send_timeout="2", min_rate="8000")
        loop = asyncio.get_running_loop()

        async def read(client: socket.socket, rate: int) -> None:
            while await loop.sock_recv(client, rate // 20):
                await asyncio.sleep(0.05)

        clients = [await standing_still(port, 4096) for _ in range(2)]
        for client in clients:
            await loop.sock_sendall(client, f"GET /{MANY} HTTP/1.1\r\nhost: here\r\n\r\n".encode())
        await asyncio.gather(*map(has_begun, clients))
        reading = [asyncio.create_task(read(client, rate)) for client, rate in zip(clients, (1_000, 100_000), strict=True)]
        await comes_to(metrics, "http_connections", 1)
        await asyncio.sleep(6)
        assert await metric(metrics, "http_connections") == 1
        for task, client in zip(reading, clients, strict=True):
            task.cancel()
            client.close()


# Clients that go


RESET = struct.pack("ii", 1, 0)


async def leave(wire: Wire, how: str) -> None:
    if how == "reset":
        wire.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    wire.writer.close()
    await asyncio.wait([asyncio.ensure_future(wire.writer.wait_closed())])


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_client_that_goes_in_any_phase_leaves_nothing_behind(how: str) -> None:
    async def handle(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0.2)
        return await tell(request)

    phases = {
        "before a head": [],
        "in a head": [b"GET / HT"],
        "in the head of a second request": [b"GET / HTTP/1.1\r\nhost: here\r\n\r\n", b"GET"],
        "in a body": [b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 100000\r\n\r\n" + b"x" * 5000],
        "in a chunk": [b"POST / HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\nffff\r\nabc"],
        "before it is told to continue": [b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 10\r\nexpect: 100-continue\r\n\r\n"],
        "with a body that nobody reads": [b"POST /nowhere HTTP/1.1\r\nhost: other\r\ncontent-length: 100\r\n\r\nabc"],
        "while the actor works": [b"GET / HTTP/1.1\r\nhost: here\r\n\r\n"],
        "with more behind": [b"GET / HTTP/1.1\r\nhost: here\r\n\r\n" * 100],
        "with a body behind": [b"GET / HTTP/1.1\r\nhost: here\r\n\r\nPOST / HTTP/1.1\r\nhost: here\r\ncontent-length: 10\r\n\r\nabc"],
        "while the response is written": [f"GET /{MANY} HTTP/1.1\r\nhost: here\r\n\r\n".encode()],
        "while a refusal lingers": [b"garbage\r\n\r\n"],
    }
    async with measured() as (it, metrics):
        _, port = await it.serve(handle, hosts="here")
        for waits in (0, 0.02, 0.4):
            for phase, pieces in phases.items():
                async with connected(port) as wire:
                    for piece in pieces:
                        await wire.write(piece)
                        await asyncio.sleep(waits)
                    if phase == "while the response is written" and waits > 0.2:
                        assert await wire.reader.read(1000)
                    await leave(wire, how)
        async with connected(port) as wire:
            assert (await wire.ask("GET / HTTP/1.1")).status == 200
        await comes_to(metrics, "http_connections", 0)
