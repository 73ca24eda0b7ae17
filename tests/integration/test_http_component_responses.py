"""HTTP on 1.x hosts: what components answer, bodies as they are made, and what becomes of their failures."""

from __future__ import annotations

import asyncio
import zlib

import pytest

from provider_sdk.contracts import wasi_http_errors as codes
from provider_sdk.contracts.wasi_http import Request, Response
from provider_sdk.contracts.wasi_http_errors import ErrorCode, HttpFailure
from tests.integration.http_component import answer, measured, running, streamed
from tests.integration.http_front import ask
from tests.integration.http_wire import comes_to, connected


async def test_a_client_gets_a_response_while_the_component_still_makes_it() -> None:
    first, second = asyncio.Event(), asyncio.Event()

    async def handle(request: Request) -> Response:
        return streamed(first, b"one", second, b"two")

    async with measured() as (it, metrics):
        _, port = await it.serve(handle)
        async with connected(port) as wire:
            await wire.send("GET / HTTP/1.1")
            head = await wire.head()
            assert (head.status, head.values("transfer-encoding"), head.values("content-length")) == (200, ["chunked"], [])
            await comes_to(metrics, "http_requests_in_progress", 1)
            chunks = wire.chunks()
            first.set()
            assert await anext(chunks) == b"one"
            second.set()
            assert [chunk async for chunk in chunks] == [b"two"]
            assert (await wire.ask("GET / HTTP/1.1")).body == b"onetwo"


async def test_a_length_that_the_component_gives_is_kept() -> None:
    async def handle(request: Request) -> Response:
        return streamed(b"he", b"llo", length=5)

    async with running() as it:
        _, port = await it.serve(handle)
        async with connected(port) as wire:
            for _ in range(2):
                got = await wire.ask("GET / HTTP/1.1")
                assert (got.body, got.values("content-length"), got.values("transfer-encoding")) == (b"hello", ["5"], [])


@pytest.mark.parametrize("said", [4, 6])
async def test_a_body_of_another_length_than_was_said_ends_the_connection_as_an_error(said: int) -> None:
    async def handle(request: Request) -> Response:
        return streamed(b"hello", length=said)

    async with running() as it:
        _, port = await it.serve(handle)
        async with connected(port) as wire:
            await wire.send("GET / HTTP/1.1")
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await wire.answer()
        await it.said(f"broke off after .*: it was to be {said} bytes long")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_body_that_breaks_off_ends_the_connection_as_an_error(version: str) -> None:
    go_on = asyncio.Event()

    async def handle(request: Request) -> Response:
        return streamed(b"one", go_on, fault=HttpFailure(codes.InternalError("the disk is gone")))

    async with measured() as (it, _):
        _, port = await it.serve(handle)
        async with connected(port) as wire:
            await wire.send(f"GET / HTTP/{version}")
            assert (await wire.head()).status == 200
            if version == "1.0":
                assert await wire.reader.readexactly(3) == b"one"
            else:
                assert await anext(wire.chunks()) == b"one"
            go_on.set()
            with pytest.raises(ConnectionResetError):
                await wire.rest()
        await it.said("broke off after 3 bytes")


async def test_http_1_0_gets_the_body_up_to_the_end_of_the_connection() -> None:
    async def handle(request: Request) -> Response:
        return streamed(b"one", b"two")

    async with running() as it:
        _, port = await it.serve(handle)
        async with connected(port) as wire:
            await wire.send("GET / HTTP/1.0", "connection: keep-alive")
            head = await wire.head()
            assert (head.values("transfer-encoding"), head.values("connection")) == ([], ["close"])
            assert await wire.rest() == b"onetwo"


async def test_responses_to_head_and_those_of_204_and_304_have_no_body() -> None:
    async def handle(request: Request) -> Response:
        return answer(int((request.path_with_query or "")[1:]), [("content-length", [b"4"])], b"body")

    async with measured() as (it, _):
        _, port = await it.serve(handle)
        async with connected(port) as wire:
            head = await wire.ask("HEAD /200 HTTP/1.1")
            assert (head.status, head.values("content-length")) == (200, ["4"])
            for status, length in ((204, []), (304, ["4"])):
                await wire.send(f"GET /{status} HTTP/1.1")
                head = await wire.head()
                assert (head.status, head.values("content-length"), head.values("transfer-encoding")) == (status, length, [])
            assert (await wire.ask("GET /200 HTTP/1.1")).body == b"body"


async def test_headers_are_those_of_the_component_byte_for_byte() -> None:
    async def handle(request: Request) -> Response:
        bad = [("bad name", [b"x"]), ("x-bad", [b"a\r\nset-cookie: b"]), ("connection", [b"close"])]
        return answer(201, [("set-cookie", [b"a=1", b"b=2"]), ("x-word", [b"caf\xe9"]), *bad], b"x")

    async with running() as it:
        _, port = await it.serve(handle, cache_control="no-cache")
        got = await ask(port)
        assert (got.values("set-cookie"), got.values("x-word"), got.values("cache-control")) == (["a=1", "b=2"], ["caf\xe9"], ["no-cache"])
        names = {name for name, _ in got.header}
        assert names == {"set-cookie", "x-word", "cache-control", "transfer-encoding", "date", "connection", "x-request-id"}
        await it.said("response headers left out.*'bad name', 'x-bad'")


async def test_what_holds_for_every_generation_holds_here_other_origins_ids_and_the_access_log() -> None:
    async def handle(request: Request) -> Response:
        return streamed(b"one", b"two")

    async with running() as it:
        component, port = await it.serve(handle, access_log="common", readonly_mode="true")
        got = await ask(port, "GET /a HTTP/1.1\norigin: https://a.example\nx-request-id: mine")
        assert (got.values("access-control-allow-origin"), got.values("x-request-id")) == (["*"], ["mine"])
        assert dict(component.asked[0].headers)["x-request-id"] == [b"mine"]
        await it.said('"GET /a HTTP/1.1" 200 6$')
        preflight = await ask(port, "OPTIONS / HTTP/1.1\norigin: https://a.example\naccess-control-request-method: PUT")
        assert (preflight.status, preflight.values("access-control-allow-methods")) == (200, ["GET, POST, PUT, DELETE, HEAD, OPTIONS"])
        assert (await ask(port, "POST / HTTP/1.1\ncontent-length: 0")).status == 405
        assert len(component.asked) == 1


async def test_compressed_parts_do_not_wait_for_the_next() -> None:
    go_on = asyncio.Event()

    async def handle(request: Request) -> Response:
        response = streamed(b"one" * 100, go_on, b"two")
        response.headers = [("content-type", [b"text/plain"])]
        return response

    async with running() as it:
        _, port = await it.serve(handle, gzip="true")
        async with connected(port) as wire:
            await wire.send("GET / HTTP/1.1", "accept-encoding: gzip")
            head = await wire.head()
            assert (head.values("content-encoding"), head.values("vary")) == (["gzip"], ["accept-encoding"])
            unpacked, chunks = zlib.decompressobj(16 + zlib.MAX_WBITS), wire.chunks()
            assert unpacked.decompress(await anext(chunks)) == b"one" * 100
            go_on.set()
            assert b"".join([unpacked.decompress(chunk) async for chunk in chunks]) == b"two"
            assert unpacked.eof


# Failures


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (codes.InternalError("boom"), 500),
        (codes.HttpProtocolError(), 500),
        (codes.HttpRequestDenied(), 403),
        (codes.HttpRequestBodySize(7), 413),
        (codes.HttpRequestHeaderSize(codes.FieldSize("cookie", 9)), 431),
        (codes.ConnectionRefused(), 502),
        (codes.DnsError("NXDOMAIN", 3), 502),
        (codes.HttpResponseTimeout(), 504),
    ],
)
async def test_an_error_code_becomes_a_status_and_is_told_in_the_log_only(error: ErrorCode, status: int) -> None:
    async def handle(request: Request) -> Response:
        raise HttpFailure(error)

    async with running() as it:
        _, port = await it.serve(handle)
        got = await ask(port)
        assert (got.status, type(error).__name__.encode() in got.body) == (status, False)
        await it.said(f"GET /: {status}: {type(error).__name__}")


async def test_a_component_that_traps_is_500_and_one_that_is_not_there_503() -> None:
    async def handle(request: Request) -> Response:
        raise RuntimeError("trapped")

    async with running() as it:
        component, port = await it.serve(handle)
        assert (await ask(port)).status == 500
        await it.lattice.host.stop_component(component.id)
        assert (await ask(port)).status == 503
        assert (await ask(port, "POST / HTTP/1.1\ncontent-length: 3\n\nabc")).status == 503


@pytest.mark.parametrize("status", [0, 101, 1000])
async def test_a_status_that_http_does_not_have_becomes_502(status: int) -> None:
    async def handle(request: Request) -> Response:
        return answer(status, [], b"body")

    async with measured() as (it, _):
        _, port = await it.serve(handle)
        assert (await ask(port)).status == 502


@pytest.mark.parametrize("status", [408, 503, 504])
async def test_a_component_that_takes_longer_than_timeout_ms_gets_the_status_that_is_set(status: int) -> None:
    async def handle(request: Request) -> Response:
        await asyncio.sleep(5)
        return answer()

    async with measured() as (it, _):
        _, port = await it.serve(handle, timeout_ms="200", timeout_status=str(status))
        assert (await ask(port)).status == status
        assert (await ask(port, "POST / HTTP/1.1\ncontent-length: 3\n\nabc")).status == status
