"""Many links at one address: which of them answers, and what their coming, changing and going does to connections."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from provider_sdk.contracts.httpserver import HttpRequest, HttpResponse
from tests.integration.http_front import Actor, Handle, Running, refused, running
from tests.integration.http_wire import Wire, complaints, connected
from tests.servers.ports import free_port


def says(word: str) -> Handle:
    async def handle(request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, {}, word.encode())

    return handle


async def up(it: Running, word: str, **values: str) -> Actor:
    """An actor that answers `word`, and its link, which is up."""
    actor = await it.actor(says(word))
    await it.link(actor.key, **values)
    await it.said(f"link up.*{actor.key}")
    return actor


async def eventually(wire: Wire, line: str, body: bytes, status: int = 200) -> None:
    """Ask over a connection until the answer is this one."""
    async with asyncio.timeout(10):
        while True:
            answer = await wire.ask(line)
            if (answer.status, answer.body) == (status, body) or (status != 200 and answer.status == status):
                return
            await asyncio.sleep(0.01)


async def test_links_share_a_port_and_are_told_apart_by_host_and_path_over_one_connection() -> None:
    async with running() as it:
        port = str(free_port())
        await up(it, "any", port=port)
        await up(it, "exact", port=port, hosts="www.example.com")
        await up(it, "below", port=port, hosts="*.example.com")
        await up(it, "shop", port=port, hosts="www.example.com", path_prefix="/shop/")
        await up(it, "six", port=port, hosts='["[2001:db8:0::1]"]')
        asked = [
            ("www.example.com", "/", b"exact"),
            ("WWW.EXAMPLE.COM:8080", "/", b"exact"),
            ("www.example.com.", "/shop", b"shop"),
            ("www.example.com", "/shop/1?x=/", b"shop"),
            ("www.example.com", "/shopping", b"exact"),
            ("a.b.example.com", "/shop", b"below"),
            ("example.com", "/", b"any"),
            ("[2001:DB8::1]:80", "/", b"six"),
            ("127.0.0.1", "/", b"any"),
        ]
        async with connected(int(port)) as wire:
            for host, path, body in asked:
                assert (await wire.ask(f"GET {path} HTTP/1.1", f"host: {host}")).body == body, (host, path)
            absolute = await wire.ask("GET http://www.example.com/shop HTTP/1.1", "host: other.example")
            assert absolute.body == b"shop"
        assert len([line for line in it.lines if "listening" in line]) == 1


async def test_where_no_link_answers_it_is_404_and_the_connection_stays() -> None:
    async with running() as it:
        port = free_port()
        await up(it, "one", port=str(port), hosts="a.example", path_prefix="/x")
        async with connected(port) as wire:
            for line, host in [("GET / HTTP/1.1", "a.example"), ("GET /x HTTP/1.1", "b.example"), ("OPTIONS * HTTP/1.1", "a.example")]:
                assert (await wire.ask(line, f"host: {host}")).status == 404
            assert (await wire.ask("POST /y HTTP/1.1", "host: a.example", "content-length: 5", body=b"GET /")).status == 404
            assert (await wire.ask("GET /x HTTP/1.1", "host: a.example")).body == b"one"


async def test_a_second_link_on_a_route_fails_with_the_first_ones_name_and_comes_up_when_that_goes() -> None:
    async with running() as it:
        port = free_port()
        first = await up(it, "first", port=str(port), hosts="a.example,b.example")
        await up(it, "beside", port=str(port))
        second = await it.actor(says("second"))
        await it.link(second.key, port=str(port), hosts="B.example")
        await it.said(rf"link failed.*route b\.example/ of address 127\.0\.0\.1:{port} is taken by the link {first.key}/")
        await it.health(f"link {second.key}.*failed: route b")
        async with connected(port) as wire:
            assert (await wire.ask("GET / HTTP/1.1", "host: b.example")).body == b"first"
            await it.unlink(first.key)
            await it.said(f"link up.*{second.key}")
            assert (await wire.ask("GET / HTTP/1.1", "host: b.example")).body == b"second"
            assert (await wire.ask("GET / HTTP/1.1", "host: a.example")).body == b"beside"
        await it.health("^$")


async def test_a_change_that_would_take_anothers_route_is_refused_and_the_link_goes_on_as_before() -> None:
    async with running() as it:
        port = free_port()
        await up(it, "first", port=str(port), hosts="a.example")
        second = await up(it, "second", port=str(port), hosts="b.example")
        await it.link(second.key, port=str(port), hosts="a.example,c.example")
        await it.said("link change refused, serving as before: route a.example/")
        async with connected(port) as wire:
            bodies = [(await wire.ask("GET / HTTP/1.1", f"host: {name}.example")).body for name in "abc"]
            assert (bodies[:2], bodies[2][:3]) == ([b"first", b"second"], b"404")


async def test_a_link_takes_and_leaves_routes_at_run_time_and_kept_connections_go_on() -> None:
    async with running() as it:
        port = str(free_port())
        await up(it, "any", port=port)
        actor = await up(it, "moving", port=port, path_prefix="/a")
        async with connected(int(port)) as wire:
            assert (await wire.ask("GET /a HTTP/1.1")).body == b"moving"
            await it.link(actor.key, port=port, path_prefix="/b")
            await eventually(wire, "GET /b HTTP/1.1", b"moving")
            await eventually(wire, "GET /a HTTP/1.1", b"any")
            await it.link(actor.key, port=port, path_prefix="/b", max_content_len="3")
            async with asyncio.timeout(10):
                while (await wire.ask("POST /b HTTP/1.1", "content-length: 4", "expect: 100-continue")).status != 413:
                    await wire.write(b"body")
                    assert (await wire.answer()).status == 200
                    await asyncio.sleep(0.01)
        assert complaints(it) == []


async def test_a_link_that_moves_to_another_address_finishes_the_requests_at_the_old_one() -> None:
    may_answer = asyncio.Event()

    async def handle(request: HttpRequest) -> HttpResponse:
        if request.path == "/slow":
            await may_answer.wait()
        return HttpResponse(200, {}, request.path.encode())

    async with running() as it:
        actor, old = await it.serve(handle)
        async with connected(old) as wire, connected(old) as idle:
            assert (await idle.ask("GET / HTTP/1.1")).status == 200
            await wire.send("GET /slow HTTP/1.1")
            async with asyncio.timeout(10):
                while len(actor.asked) < 2:
                    await asyncio.sleep(0.01)
            new = free_port()
            await it.link(actor.key, port=str(new))
            await it.said(f"listening on http://127.0.0.1:{new}")
            await refused(old)
            assert await idle.rest() == b""
            may_answer.set()
            answer = await wire.answer()
            assert (answer.body, answer.values("connection"), await wire.rest()) == (b"/slow", ["close"], b"")
        async with connected(new) as wire:
            assert (await wire.ask("GET /new HTTP/1.1")).body == b"/new"


async def test_the_deletion_of_one_link_leaves_the_connections_of_the_others() -> None:
    async with running() as it:
        port = free_port()
        gone = await up(it, "gone", port=str(port), hosts="a.example")
        await up(it, "stays", port=str(port), hosts="b.example")
        async with AsyncExitStack() as stack:
            wires = [await stack.enter_async_context(connected(port)) for _ in range(8)]
            for wire in wires:
                assert (await wire.ask("GET / HTTP/1.1", "host: a.example")).body == b"gone"
            await it.unlink(gone.key)
            await it.said(f"link down.*{gone.key}")
            for wire in wires:
                assert (await wire.ask("GET / HTTP/1.1", "host: a.example")).status == 404
                assert (await wire.ask("GET / HTTP/1.1", "host: b.example")).body == b"stays"


async def test_a_deleted_links_requests_in_progress_are_answered_over_an_address_that_stays() -> None:
    may_answer = asyncio.Event()

    async def slow(request: HttpRequest) -> HttpResponse:
        if len(actor.asked) == 1:
            await may_answer.wait()
        return HttpResponse(200, {}, b"late")

    async with running() as it:
        port = free_port()
        await up(it, "stays", port=str(port))
        actor = await it.actor(slow)
        await it.link(actor.key, port=str(port), path_prefix="/slow")
        await it.said(f"link up.*{actor.key}")
        async with connected(port) as wire:
            await wire.send("GET /slow HTTP/1.1")
            async with asyncio.timeout(10):
                while not actor.asked:
                    await asyncio.sleep(0.01)
            await it.unlink(actor.key)
            async with connected(port) as other:
                await eventually(other, "GET /slow HTTP/1.1", b"stays")
            may_answer.set()
            assert (await wire.answer()).body == b"late"
            assert (await wire.ask("GET /slow HTTP/1.1")).body == b"stays"


async def test_a_link_that_changes_twenty_times_under_load_costs_no_connection_and_no_request() -> None:
    async with running() as it:
        actor, port = await it.serve(says("here"), port=str(free_port()))
        seen: set[str] = set()
        stop = asyncio.Event()

        async def load() -> int:
            done = 0
            async with connected(port) as wire:
                while not stop.is_set():
                    answer = await wire.ask("POST /x HTTP/1.1", "content-length: 3", body=b"abc")
                    assert (answer.status, answer.values("connection")) == (200, [])
                    seen.update(answer.values("cache-control"))
                    done += 1
            return done

        clients = [asyncio.create_task(load()) for _ in range(8)]
        for number in range(20):
            values = {"cache_control": f"max-age={number}", "idle_timeout": str(10 + number), "max_requests": str(100 + number)}
            await it.link(actor.key, port=str(port), path_prefix="/" if number % 2 else "/x", **values)
            async with asyncio.timeout(10):
                while f"max-age={number}" not in seen:
                    await asyncio.sleep(0.005)
        stop.set()
        assert all(done > 0 for done in await asyncio.gather(*clients))
        assert (complaints(it), [line for line in it.lines if "listening" in line]) == ([], [])


async def test_port_0_is_a_port_of_its_own_for_each_link_and_the_same_one_for_a_changed_link() -> None:
    async with running() as it:
        _, one = await it.serve(says("one"))
        actor, two = await it.serve(says("two"))
        assert one != two
        async with connected(two) as wire:
            assert (await wire.ask("GET / HTTP/1.1")).body == b"two"
            await it.link(actor.key, address="127.0.0.1:0", path_prefix="/only")
            await eventually(wire, "GET / HTTP/1.1", b"", status=404)
            assert (await wire.ask("GET /only HTTP/1.1")).body == b"two"
        async with connected(one) as wire:
            assert (await wire.ask("GET / HTTP/1.1")).body == b"one"


@pytest.mark.parametrize("host", ["a b", "a/b", "user@a", "[::1", "a:x"])
async def test_a_host_header_that_names_no_host_is_400(host: str) -> None:
    async with running() as it:
        actor, port = await it.serve(says("here"))
        async with connected(port) as wire:
            answer = await wire.ask("GET / HTTP/1.1", f"host: {host}")
            assert (answer.status, answer.values("connection"), await wire.rest(), actor.asked) == (400, ["close"], b"", [])


async def test_http_1_0_needs_no_host_and_http_1_1_does() -> None:
    async with running() as it:
        actor, port = await it.serve(says("here"))
        async with connected(port) as wire:
            await wire.write(b"GET /old HTTP/1.0\r\n\r\n")
            assert (await wire.answer()).body == b"here"
        async with connected(port) as wire:
            await wire.write(b"GET /new HTTP/1.1\r\n\r\n")
            assert (await wire.answer()).status == 400
        assert [asked.path for asked in actor.asked] == ["/old"]
