"""Httpserver as a process that a host started: HTTP in, calls to actors, HTTP out."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from provider_sdk import NotFound, Unavailable
from provider_sdk.contracts.httpserver import HttpRequest, HttpResponse
from provider_sdk.nkeys import KeyPair, Prefix
from provider_sdk.testing import Manner
from tests.integration.http_front import ask, greet, refused, running
from tests.servers.ports import free_port

HELLO = Path(__file__).parents[2] / "examples" / "hello" / "hello.wasm"
BOTH = pytest.mark.parametrize("manner", list(Manner))


# Requests and responses


@BOTH
async def test_a_request_reaches_a_webassembly_actor_and_its_answer_comes_back(manner: Manner) -> None:
    async with running(manner) as it:
        actor = await it.lattice.host.start_actor(HELLO.read_bytes(), "hello:1")
        await it.link(actor.id, Address="127.0.0.1:0")
        port = await it.listening()
        assert (await ask(port, "POST /echo HTTP/1.1\ncontent-length: 3\ncontent-type: text/x\n\nabc")).body == b"abc"
        page = await ask(port)
        assert (page.status, page.values("content-type"), page.body[:5]) == (200, ["text/plain; charset=utf-8"], b"Hello")
        failed = await ask(port, "GET /error HTTP/1.1")
        assert (failed.status, b"asked to fail" in failed.body) == (500, False)


async def test_the_actor_gets_method_path_query_headers_and_body_as_they_were_sent() -> None:
    async with running() as it:
        actor, port = await it.serve(greet)
        head = "PUT /a/../%2e%2E/c%20d;x=1//?q=%zz&y=a+b? HTTP/1.1\nX-Many: 1\nx-many: 2\nX-Bad: caf\xe9"
        assert (await ask(port, f"{head}\ncontent-encoding: gzip\ncontent-length: 4\n\n\x00\xff\r\n")).status == 200
        asked = actor.asked[0]
        assert (asked.method, asked.path, asked.query_string) == ("PUT", "/a/../%2e%2E/c%20d;x=1//", "q=%zz&y=a+b?")
        assert asked.header == {
            "x-many": ["1", "2"],
            "content-encoding": ["gzip"],
            "content-length": ["4"],
            "host": ["here"],
            "x-request-id": asked.header["x-request-id"],
        }
        assert asked.body == b"\x00\xff\r\n"


async def test_a_chunked_body_arrives_whole() -> None:
    async with running() as it:
        actor, port = await it.serve(greet)
        await ask(port, "POST / HTTP/1.1\ntransfer-encoding: chunked\n\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert (actor.asked[0].body, actor.asked[0].query_string) == (b"abcde", "")


async def test_the_response_has_the_headers_of_the_actor_and_no_others_but_length_and_date() -> None:
    async def handle(request: HttpRequest) -> HttpResponse:
        bad = {"bad name": ["x"], "x-bad": ["a\r\nset-cookie: b"], "": ["x"]}
        ours = {"connection": ["keep-alive"], "transfer-encoding": ["chunked"], "content-length": ["999"], "Upgrade": ["h2c"]}
        return HttpResponse(201, {"Set-Cookie": ["a=1", "b=2"], "X-Word": ["caf\xe9"]} | bad | ours, b"body")

    async with running() as it:
        _, port = await it.serve(handle)
        answer = await ask(port)
        assert (answer.status, answer.body) == (201, b"body")
        assert answer.values("set-cookie") == ["a=1", "b=2"]
        assert answer.values("x-word") == ["caf\xe9".encode().decode("latin-1")]
        assert answer.values("content-length") == ["4"]
        assert {name.lower() for name, _ in answer.header} == {
            "set-cookie",
            "x-word",
            "content-length",
            "date",
            "connection",
            "x-request-id",
        }
        assert (await it.said("response headers left out.*"))[0].count("'") == 6


@pytest.mark.parametrize("status", [0, 101, 199, 1000, 65535])
async def test_a_status_that_http_does_not_have_becomes_502(status: int) -> None:
    async def handle(request: HttpRequest) -> HttpResponse:
        return HttpResponse(status, {}, b"body")

    async with running() as it:
        _, port = await it.serve(handle)
        answer = await ask(port)
        assert (answer.status, answer.body[:4]) == (502, b"502 ")


async def test_responses_to_head_and_those_of_204_and_304_have_no_body() -> None:
    async def handle(request: HttpRequest) -> HttpResponse:
        return HttpResponse(int(request.path[1:]), {}, b"body")

    async with running() as it:
        _, port = await it.serve(handle)
        head = await ask(port, "HEAD /200 HTTP/1.1")
        assert (head.status, head.body, head.values("content-length")) == (200, b"", ["4"])
        for status in (204, 304):
            answer = await ask(port, f"GET /{status} HTTP/1.1")
            assert (answer.status, answer.body, answer.values("transfer-encoding")) == (status, b"", [])


# Failures


async def test_an_actors_error_is_500_and_what_it_says_is_told_in_the_log_only() -> None:
    async def handle(request: HttpRequest) -> HttpResponse:
        raise NotFound("the cat ate it")

    async with running() as it:
        _, port = await it.serve(handle)
        answer = await ask(port)
        assert (answer.status, b"cat" in answer.body) == (500, False)
        await it.said("GET /: 500: the cat ate it")


@pytest.mark.parametrize(("values", "status"), [({}, 504), ({"timeout_status": "503"}, 503)])
async def test_a_silent_actor_is_504_after_the_links_time_out_or_503_as_the_official_provider_has_it(
    values: dict[str, str], status: int
) -> None:
    async def handle(request: HttpRequest) -> HttpResponse:
        return await asyncio.Future()

    async with running() as it:
        _, port = await it.serve(handle, timeout_ms="100", **values)
        assert (await ask(port)).status == status


async def test_an_actor_that_nobody_runs_is_503_with_a_time_to_try_again() -> None:
    async with running() as it:
        await it.link(KeyPair.generate(Prefix.MODULE).public, address="127.0.0.1:0")
        answer = await ask(await it.listening())
        assert (answer.status, answer.values("retry-after")) == (503, ["1"])


async def test_an_actors_error_that_ends_in_a_code_is_still_the_actors_error() -> None:
    async def handle(request: HttpRequest) -> HttpResponse:
        raise Unavailable("its own database is away")

    async with running() as it:
        _, port = await it.serve(handle)
        assert (await ask(port)).status == 500


async def test_a_client_that_leaves_in_the_middle_of_its_body_does_no_harm() -> None:
    async with running() as it:
        actor, port = await it.serve(greet)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 10\r\n\r\nabc")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert (await ask(port)).status == 200
        assert len(actor.asked) == 1
        assert not [line for line in it.lines if "ERROR" in line]


@pytest.mark.parametrize("head", ["garbage", "GET /\xe9 HTTP/1.1", "GET / HTTP/1.1\nno colon"])
async def test_what_is_not_http_is_400_and_no_error_in_the_log(head: str) -> None:
    async with running() as it:
        actor, port = await it.serve(greet)
        assert (await ask(port, head)).status == 400
        assert (await ask(port)).status == 200
        assert (len(actor.asked), [line for line in it.lines if "ERROR" in line or "Traceback" in line]) == (1, [])


# Settings


@pytest.mark.parametrize("framing", ["content-length: 5\n\nabcde", "transfer-encoding: chunked\n\n5\r\nabcde\r\n0\r\n\r\n"])
async def test_a_body_that_is_too_long_is_413_and_never_reaches_the_actor(framing: str) -> None:
    async with running() as it:
        actor, port = await it.serve(greet, max_content_len="4")
        answer = await ask(port, f"POST / HTTP/1.1\n{framing}")
        assert (answer.status, actor.asked) == (413, [])
        assert (await ask(port, "POST / HTTP/1.1\ncontent-length: 4\n\nabcd")).status == 200


async def test_readonly_mode_lets_get_and_head_through_only() -> None:
    async with running() as it:
        actor, port = await it.serve(greet, readonly_mode="true")
        methods = ("GET", "HEAD", "POST", "DELETE", "PATCH")
        statuses = [(await ask(port, f"{method} / HTTP/1.1\ncontent-length: 0")).status for method in methods]
        assert statuses == [200, 200, 405, 405, 405]
        assert [asked.method for asked in actor.asked] == ["GET", "HEAD"]


async def test_cache_control_is_added_where_the_actor_gives_none() -> None:
    async def handle(request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, {"Cache-Control": ["no-store"]} if request.path == "/own" else {}, b"")

    async with running() as it:
        _, port = await it.serve(handle, cache_control="max-age=60")
        assert (await ask(port)).values("cache-control") == ["max-age=60"]
        assert (await ask(port, "GET /own HTTP/1.1")).values("cache-control") == ["no-store"]


# Listeners


async def test_a_second_link_on_an_address_fails_and_names_the_first() -> None:
    async with running() as it:
        port = free_port()
        first, _ = await it.serve(greet, port=str(port))
        second = await it.actor(greet)
        await it.link(second.key, port=str(port))
        await it.said(rf"link failed.*address 127\.0\.0\.1:{port} is taken by the link {first.key}")
        await it.health(f"link {second.key}.*failed: address")
        assert ((await ask(port)).body, len(first.asked), second.asked) == (b"hello", 1, [])
        await it.unlink(first.key)
        await it.listening()
        assert ((await ask(port)).body, len(second.asked)) == (b"hello", 1)


async def test_a_port_in_use_fails_the_link_until_it_is_free() -> None:
    async with running() as it:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            actor = await it.actor(greet)
            await it.link(actor.key, address=f"127.0.0.1:{port}")
            await it.said(rf"link failed, will be retried: address 127\.0\.0\.1:{port} is in use")
        assert await it.listening() == port
        assert (await ask(port)).body == b"hello"
        await it.health("^$")


async def test_changed_values_on_the_same_address_take_effect_without_a_refused_connection() -> None:
    async with running() as it:
        actor, port = await it.serve(greet, port=str(free_port()))
        seen: list[list[str]] = []
        for number in range(5):
            await it.link(actor.key, address=f"127.0.0.1:{port}", cache_control=f"max-age={number}")
            while not seen or seen[-1] != [f"max-age={number}"]:
                answer = await ask(port)
                assert answer.status == 200
                seen.append(answer.values("cache-control"))
        assert not [line for line in it.lines if "listening" in line or "ERROR" in line]


async def test_a_link_moved_to_another_address_leaves_the_old_one() -> None:
    async with running() as it:
        actor, old = await it.serve(greet)
        new = free_port()
        await it.link(actor.key, port=str(new))
        assert await it.listening() == new
        assert (await ask(new)).status == 200
        await refused(old)


async def test_a_deleted_link_finishes_its_requests_and_closes_its_port() -> None:
    may_answer = asyncio.Event()

    async def handle(request: HttpRequest) -> HttpResponse:
        await may_answer.wait()
        return HttpResponse(200, {}, b"late")

    async with running() as it:
        actor, port = await it.serve(handle)
        pending = asyncio.create_task(ask(port))
        async with asyncio.timeout(10):
            while not actor.asked:
                await asyncio.sleep(0.01)
        await it.unlink(actor.key)
        await refused(port)
        may_answer.set()
        assert (await pending).body == b"late"
        await it.said("link down")


async def test_two_links_with_port_0_get_a_port_each() -> None:
    async with running() as it:
        first, one = await it.serve(greet)
        second, other = await it.serve(greet)
        assert one != other
        await ask(one)
        await ask(other)
        assert (len(first.asked), len(second.asked)) == (1, 1)


@BOTH
async def test_a_wrong_address_fails_the_link_with_one_line(manner: Manner) -> None:
    async with running(manner) as it:
        await it.link(KeyPair.generate(Prefix.MODULE).public, address="nowhere")
        await it.said("link failed, will be retried: address: 'nowhere' is not ip:port")
        assert not [line for line in it.lines if "Traceback" in line]
