"""HTTP on 1.x hosts: requests to components, whose bodies come as they are sent."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from provider_sdk.contracts.wasi_http import Get, Http, Https, Other, Request, Response
from provider_sdk.hosts.wrpc.era import Era
from tests.integration.certificates import Authority
from tests.integration.http_component import answer, echo, greet, measured, running, whole
from tests.integration.http_front import ask
from tests.integration.http_wire import MANY, connected


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
