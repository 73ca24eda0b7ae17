"""HTTP on 1.x hosts: bodies in both directions within bounds of memory, length and time, to the end of the provider."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import struct

import pytest

from provider_sdk.contracts.wasi_http import Request, Response
from tests.integration.http_component import answer, echo, measured, running, streamed, whole
from tests.integration.http_front import ask
from tests.integration.http_wire import MANY, Wire, comes_to, connected, resident
from tests.tiers import scale

MEMORY = 64 << 20
"""What a body of any length may cost the provider's process."""


def reset(wire: Wire) -> None:
    """Have the client end the connection as an error."""
    wire.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.writer.transport.abort()


async def test_bodies_of_any_length_go_there_and_back_within_a_bounded_memory() -> None:
    size = scale(test=64, ci=256, soak=1024)
    piece = os.urandom(1 << 20)

    async def send(wire: Wire) -> None:
        await wire.send("POST / HTTP/1.1", f"content-length: {size << 20}")
        for _ in range(size):
            await wire.write(piece)

    async with measured() as (it, _):
        _, port = await it.serve(echo, max_content_len="1g")
        assert (await ask(port, f"POST / HTTP/1.1\ncontent-length: 100000\n\n{'x' * 100_000}")).status == 200
        before = most = resident(it.provider.pid)
        async with connected(port) as wire, asyncio.TaskGroup() as both:
            both.create_task(send(wire))
            assert (await wire.head()).status == 200
            sent, got = hashlib.sha256(piece * 16), hashlib.sha256()
            received = 0
            async for chunk in wire.chunks():
                received += len(chunk)
                got.update(chunk[: max(0, (16 << 20) - received + len(chunk))])
                most = max(most, resident(it.provider.pid))
        assert (received, got.digest()) == (size << 20, sent.digest())
        assert most - before < MEMORY


async def test_a_client_that_is_slower_than_the_component_does_not_cost_memory() -> None:
    async def handle(request: Request) -> Response:
        return streamed(*[bytes(1 << 20)] * 128, length=128 << 20)

    async with measured() as (it, _):
        _, port = await it.serve(handle)
        assert (await ask(port, "HEAD / HTTP/1.1")).status == 200
        before = most = resident(it.provider.pid)
        async with connected(port) as wire:
            await wire.send("GET / HTTP/1.1")
            assert (await wire.head()).status == 200
            for _ in range(128):
                await wire.reader.readexactly(1 << 20)
                await asyncio.sleep(0.02)
                most = max(most, resident(it.provider.pid))
        assert most - before < MEMORY


async def test_a_body_that_is_too_long_too_slow_or_broken_ends_the_call_and_the_component_sees_that() -> None:
    broken = []

    async def handle(request: Request) -> Response:
        try:
            await whole(request.body)
        except Exception as error:
            broken.append(error)
            raise
        return answer()

    async with measured() as (it, metrics):
        _, port = await it.serve(handle, max_content_len="100k", body_timeout="2", min_rate="1000")
        async with connected(port) as wire:
            assert (await wire.ask("POST / HTTP/1.1", "content-length: 200000")).status == 413
        async with connected(port) as wire:
            await wire.send("POST / HTTP/1.1", "transfer-encoding: chunked", body=b"30d40\r\n" + bytes(200_000) + b"\r\n")
            assert (await wire.answer()).status == 413
        async with connected(port) as wire:
            await wire.send("POST / HTTP/1.1", "content-length: 100", body=b"abc")
            assert (await wire.answer()).status == 408
        async with connected(port) as wire:
            await wire.send("POST / HTTP/1.1", "transfer-encoding: chunked", body=b"3\r\nabc\r\n")
            await comes_to(metrics, "http_requests_in_progress", 1)
            await wire.write(b"no chunk\r\n")
            assert (await wire.answer()).status == 400
        async with asyncio.timeout(30):
            while len(broken) < 3:
                await asyncio.sleep(0.02)


async def test_the_time_that_a_component_takes_to_read_does_not_count_against_the_client() -> None:
    async def handle(request: Request) -> Response:
        await asyncio.sleep(3)
        return answer(200, [], b"%d" % len(await whole(request.body)))

    async with measured() as (it, _):
        _, port = await it.serve(handle, body_timeout="1", header_timeout="1", send_timeout="1", idle_timeout="1")
        async with connected(port) as wire:
            await wire.send("POST / HTTP/1.1", f"content-length: {MANY}", body=bytes(MANY))
            assert (await wire.answer()).body == b"%d" % MANY


async def test_a_client_that_does_not_take_the_response_is_cut_off_and_nothing_is_left() -> None:
    async def handle(request: Request) -> Response:
        return streamed(*[bytes(1 << 16)] * 400)

    async with measured() as (it, metrics):
        _, port = await it.serve(handle, send_timeout="2")
        async with connected(port) as wire:
            wire.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of a socket has it
            await wire.send("GET / HTTP/1.1")
            await comes_to(metrics, "http_requests_in_progress", 1)
            await comes_to(metrics, "http_connections", 0)


async def test_of_a_client_that_has_gone_nothing_is_left_although_the_component_says_nothing_more() -> None:
    never = asyncio.Event()

    async def handle(request: Request) -> Response:
        return streamed(b"one", never)

    async with measured() as (it, metrics):
        _, port = await it.serve(handle)
        async with connected(port) as wire:
            await wire.send("GET / HTTP/1.1")
            assert (await wire.head()).status == 200
            assert await anext(wire.chunks()) == b"one"
            reset(wire)
        await comes_to(metrics, "http_requests_in_progress", 0)


async def test_a_response_that_is_still_sent_counts_as_a_request_in_progress() -> None:
    go_on = asyncio.Event()

    async def handle(request: Request) -> Response:
        return streamed(b"one", go_on)

    async with measured() as (it, _):
        _, port = await it.serve(handle, max_requests="1")
        async with connected(port) as wire:
            await wire.send("GET / HTTP/1.1")
            assert (await wire.head()).status == 200
            assert (await ask(port)).status == 503
            go_on.set()
            assert [chunk async for chunk in wire.chunks()] == [b"one"]
        go_on.set()
        assert (await ask(port)).status == 200


async def test_a_stop_lets_responses_end_and_cuts_off_those_that_do_not() -> None:
    go_on, never = asyncio.Event(), asyncio.Event()

    async def handle(request: Request) -> Response:
        return streamed(b"one", go_on if request.path_with_query == "/ends" else never, b"two")

    async with running() as it:
        component, port = await it.serve(handle)
        async with connected(port) as ends, connected(port) as stays:
            await ends.send("GET /ends HTTP/1.1")
            await stays.send("GET /stays HTTP/1.1")
            assert ((await ends.head()).status, (await stays.head()).status) == (200, 200)
            await it.unlink(component)
            go_on.set()
            assert [chunk async for chunk in ends.chunks()] == [b"one", b"two"]
            assert await anext(stays.chunks()) == b"one"
            await it.lattice.host.stop_provider(it.provider.id)
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                _ = [chunk async for chunk in stays.chunks()]
