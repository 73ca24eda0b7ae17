"""HTTP on 1.x hosts: requests to components and their answers, bodies in both directions as they come."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import ssl
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from provider_sdk.contracts import wasi_http_errors as codes
from provider_sdk.contracts.wasi_http import Get, Http, Https, NoTrailers, Other, Request, Response
from provider_sdk.contracts.wasi_http_errors import ErrorCode, HttpFailure
from provider_sdk.hosts.wrpc.era import Era
from tests.integration.certificates import Authority
from tests.integration.http_component import Running, answer, echo, greet, running, whole
from tests.integration.http_front import ask
from tests.integration.http_wire import Wire, comes_to, connected, resident
from tests.servers.ports import free_port
from tests.tiers import scale

MEMORY = 64 << 20
"""What a body of any length may cost the provider's process."""
MANY = 6 << 20  # more than both systems' buffers take


@asynccontextmanager
async def measured() -> AsyncIterator[tuple[Running, int]]:
    """A running httpserver and the port of its metrics; in the end nothing may be left of any request."""
    metrics = free_port()
    async with running({"metrics_address": f"127.0.0.1:{metrics}"}) as it:
        yield it, metrics
        for name in ("http_connections", "http_requests_in_progress", "http_body_bytes"):
            await comes_to(metrics, name, 0, within=10)
        assert [line for line in it.lines if "ERROR" in line or "Traceback" in line] == []


def reset(wire: Wire) -> None:
    """Have the client end the connection as an error."""
    wire.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.writer.transport.abort()


def streamed(*steps: bytes | asyncio.Event, length: int | None = None, fault: Exception | None = None) -> Response:
    """A response whose body waits at each event, and fails in the end."""

    async def body() -> AsyncIterator[bytes]:
        for step in steps:
            if isinstance(step, bytes):
                yield step
            else:
                await step.wait()
        if fault is not None:
            raise fault

    return Response(body(), NoTrailers(), 200, [] if length is None else [("content-length", [b"%d" % length])])


# Requests


async def test_a_component_gets_the_request_as_it_was_sent() -> None:
    trailers = []

    async def handle(request: Request) -> Response:
        trailers.append(await request.trailers)
        return await greet(request)

    async with running() as it:
        component, port = await it.serve(handle)
        head = "GET /a/../%2e?q=%zz& HTTP/1.1\nX-Many: 1\nx-many: 2\nX-Word: caf\xe9\nKeep-Alive: 1"
        assert (await ask(port, head)).body == b"hello"
        (asked,) = component.asked
        assert (asked.method, asked.path_with_query, asked.scheme, asked.authority) == (Get(), "/a/../%2e?q=%zz&", Http(), "here")
        fields = dict(asked.headers)
        assert len(fields) == len(asked.headers)
        assert (fields["x-many"], fields["x-word"], fields["host"]) == ([b"1", b"2"], [b"caf\xe9"], [b"here"])
        assert fields.keys() == {"x-many", "x-word", "host", "x-request-id"}
        assert trailers == [None]


async def test_methods_that_have_no_case_of_their_own_go_by_their_name_and_an_empty_query_stays() -> None:
    async with running() as it:
        component, port = await it.serve(greet)
        await ask(port, "PURGE /a? HTTP/1.1")
        assert (component.asked[0].method, component.asked[0].path_with_query) == (Other("PURGE"), "/a?")


async def test_there_is_an_authority_whatever_the_client_says() -> None:
    async with running() as it:
        component, port = await it.serve(greet)
        for sent in (
            b"GET / HTTP/1.0\r\n\r\n",
            b"GET http://a.example:81/x HTTP/1.1\r\nhost: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nhost:\r\n\r\n",
        ):
            async with connected(port) as wire:
                await wire.write(sent)
                assert (await wire.head()).status == 200
        assert [asked.authority for asked in component.asked] == [f"127.0.0.1:{port}", "a.example:81", f"127.0.0.1:{port}"]
        assert component.asked[1].path_with_query == "/x"


@pytest.mark.parametrize("era", list(Era))
async def test_bodies_of_any_size_go_there_and_back(era: Era) -> None:
    async with running(era=era) as it:
        _, port = await it.serve(echo)
        async with connected(port) as wire:
            for size in (0, 1, 100_000, 3_000_000):
                body = os.urandom(size)
                assert (await wire.ask("POST / HTTP/1.1", f"content-length: {size}", body=body)).body == body
        chunks = "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        assert (await ask(port, f"POST / HTTP/1.1\ntransfer-encoding: chunked\n\n{chunks}")).body == b"abcde"


async def test_a_component_gets_a_body_while_the_client_still_sends_it() -> None:
    first = asyncio.Event()

    async def handle(request: Request) -> Response:
        parts = [await anext(request.body)]
        first.set()
        return answer(200, [], b"".join(parts) + await whole(request.body))

    async with running() as it:
        _, port = await it.serve(handle)
        async with connected(port) as wire:
            await wire.send("POST / HTTP/1.1", "content-length: 6", body=b"abc")
            await asyncio.wait_for(first.wait(), 5)
            await wire.write(b"def")
            assert (await wire.answer()).body == b"abcdef"


async def test_a_client_that_waits_for_100_continue_is_told_to_go_on() -> None:
    async with running() as it:
        _, port = await it.serve(echo)
        async with connected(port) as wire:
            await wire.send("POST / HTTP/1.1", "expect: 100-continue", "content-length: 3")
            assert (await wire.answer()).status == 100
            await wire.write(b"abc")
            assert (await wire.answer()).body == b"abc"


async def test_a_component_may_answer_without_reading_the_body_and_the_connection_goes_on() -> None:
    async with measured() as (it, _):
        _, port = await it.serve(greet)
        async with connected(port) as wire:
            for _ in range(3):
                assert (await wire.ask("POST / HTTP/1.1", f"content-length: {MANY}", body=bytes(MANY))).body == b"hello"


async def test_a_component_that_has_answered_still_gets_the_rest_of_the_body() -> None:
    rest: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    reading = set()

    async def handle(request: Request) -> Response:
        async def read() -> None:
            rest.set_result(await whole(request.body))

        async def body() -> AsyncIterator[bytes]:
            yield b"taken"
            reading.add(asyncio.create_task(read()))

        return Response(body(), asyncio.ensure_future(ended(rest)), 202, [])

    async def ended(reading: asyncio.Future[bytes]) -> None:
        await reading

    async with measured() as (it, _):
        _, port = await it.serve(handle)
        async with connected(port) as wire:
            await wire.send("POST / HTTP/1.1", "content-length: 6", body=b"abc")
            assert (await wire.answer()).body == b"taken"
            await wire.write(b"def")
            assert await asyncio.wait_for(rest, 5) == b"abcdef"
            await wire.send("POST / HTTP/1.1", "content-length: 0")


async def test_over_tls_the_scheme_is_https_and_bodies_stream_as_well(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "server")
    pair = authority.issue("a.test")
    async with measured() as (it, _):
        component, port = await it.serve(echo, tls_cert_file=str(pair.cert), tls_priv_key_file=str(pair.key))
        context = ssl.create_default_context(cafile=authority.cert)
        body = os.urandom(3_000_000)
        async with connected(port, ssl=context, server_hostname="a.test") as wire:
            assert (await wire.ask("POST / HTTP/1.1", f"content-length: {len(body)}", body=body)).body == body
        assert component.asked[0].scheme == Https()


async def test_a_trusted_proxy_says_scheme_and_authority_and_nobody_else_does() -> None:
    async with running() as it:
        trusting, port = await it.serve(greet, trusted_proxies="127.0.0.1")
        careful, other = await it.serve(greet, name="other")
        for to in (port, other):
            await ask(to, "GET / HTTP/1.1\nx-forwarded-host: shop.example\nx-forwarded-proto: https\nx-forwarded-for: 192.0.2.7")
        asked, told = trusting.asked[0], dict(trusting.asked[0].headers)
        assert (asked.scheme, asked.authority, told["x-forwarded-for"]) == (Https(), "shop.example", [b"192.0.2.7, 127.0.0.1"])
        asked, told = careful.asked[0], dict(careful.asked[0].headers)
        assert (asked.scheme, asked.authority, told["x-forwarded-host"]) == (Http(), "here", [b"shop.example"])


async def test_a_target_that_is_no_text_is_refused() -> None:
    async with running() as it:
        _, port = await it.serve(greet)
        async with connected(port) as wire:
            await wire.write(b"GET /caf\xe9 HTTP/1.1\r\nhost: here\r\n\r\n")
            assert (await wire.answer()).status == 400


# Responses


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


# Limits


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
        _, port = await it.serve(handle, max_content_len="100k", body_timeout="0.5", min_rate="1000")
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
        async with asyncio.timeout(5):
            while len(broken) < 3:
                await asyncio.sleep(0.02)


async def test_the_time_that_a_component_takes_to_read_does_not_count_against_the_client() -> None:
    async def handle(request: Request) -> Response:
        await asyncio.sleep(1)
        return answer(200, [], b"%d" % len(await whole(request.body)))

    async with measured() as (it, _):
        _, port = await it.serve(handle, body_timeout="0.3", header_timeout="0.3", send_timeout="0.3", idle_timeout="0.3")
        async with connected(port) as wire:
            await wire.send("POST / HTTP/1.1", f"content-length: {MANY}", body=bytes(MANY))
            assert (await wire.answer()).body == b"%d" % MANY


async def test_a_client_that_does_not_take_the_response_is_cut_off_and_nothing_is_left() -> None:
    async def handle(request: Request) -> Response:
        return streamed(*[bytes(1 << 16)] * 400)

    async with measured() as (it, metrics):
        _, port = await it.serve(handle, send_timeout="0.3")
        async with connected(port) as wire:
            wire.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of a socket has it
            await wire.send("GET / HTTP/1.1")
            await comes_to(metrics, "http_requests_in_progress", 1)
            await comes_to(metrics, "http_connections", 0, within=10)


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
