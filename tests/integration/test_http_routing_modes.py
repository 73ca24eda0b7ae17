"""Which component answers on a 1.x host: the three routing modes, and links that wait for one another (wrpc-1x.md §5.2)."""

from __future__ import annotations

import asyncio

from provider_sdk.contracts.wasi_http import Request, Response
from tests.integration.http_component import Component, Handle, Running, answer, running
from tests.integration.http_front import Answer, ask
from tests.integration.http_wire import connected
from tests.servers.ports import free_port


def named(name: str) -> Handle:
    async def handle(request: Request) -> Response:
        return answer(200, [], name.encode())

    return handle


async def a_link(it: Running, name: str, **values: str) -> Component:
    """A component that says its name, over a link of that name: a host lets one name lead to one component only (§2.1)."""
    component = await it.component(named(name))
    await it.link(component, name, **values)
    return component


async def comes_to_say(port: int, body: bytes, head: str = "GET / HTTP/1.1") -> None:
    """Returns when the answer is `body`."""
    async with asyncio.timeout(10):
        while True:
            try:
                if (await ask(port, head)).body == body:
                    return
            except (ConnectionError, IndexError):  # nobody listens, or not any more
                pass
            await asyncio.sleep(0.02)


async def raw(port: int, *lines: str) -> Answer:
    async with connected(port) as wire:
        await wire.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        return await wire.answer()


# Mode address


async def test_of_components_at_one_address_the_first_is_served_and_the_next_takes_over() -> None:
    port = free_port()
    async with running() as it:
        one = await a_link(it, "one", address=f"127.0.0.1:{port}")
        await comes_to_say(port, b"one")
        two = await a_link(it, "two", address=f"127.0.0.1:{port}")
        await it.said(f"link up.*{two.id}")
        assert (await ask(port)).body == b"one"
        await it.unlink(one, "one")
        await comes_to_say(port, b"two")


async def test_a_provider_may_say_where_links_without_an_address_listen() -> None:
    port = free_port()
    async with running({"default_address": f"127.0.0.1:{port}"}) as it:
        await a_link(it, "one")
        await comes_to_say(port, b"one")


# Modes path and host


async def test_by_path_each_component_answers_its_own_and_no_other() -> None:
    port = free_port()
    async with running({"routing_mode": "path", "default_address": f"127.0.0.1:{port}", "readonly_mode": "true"}) as it:
        one = await a_link(it, "one", path="/one")
        await a_link(it, "two", path="/two")
        await comes_to_say(port, b"one", "GET /one?x=1 HTTP/1.1")
        await comes_to_say(port, b"two", "GET /two HTTP/1.1")
        missing = await ask(port, "GET /one/more HTTP/1.1")
        assert (missing.status, b"path not found" in missing.body) == (404, True)
        assert (await ask(port, "POST /one HTTP/1.1\ncontent-length: 0")).status == 405
        await it.unlink(one, "one")
        async with asyncio.timeout(5):
            while (await ask(port, "GET /one HTTP/1.1")).status != 404:
                await asyncio.sleep(0.02)


async def test_an_address_of_the_provider_s_own_comes_before_its_default() -> None:
    port = free_port()
    own = {"address": f"127.0.0.1:{port}", "default_address": f"127.0.0.1:{free_port()}"}
    async with running({"routing_mode": "path", **own}) as it:
        await a_link(it, "one", path="/one")
        await comes_to_say(port, b"one", "GET /one HTTP/1.1")


async def test_a_path_that_is_taken_is_refused_until_it_is_free() -> None:
    port = free_port()
    async with running({"routing_mode": "path", "default_address": f"127.0.0.1:{port}"}) as it:
        one = await a_link(it, "one", path="/same")
        await comes_to_say(port, b"one", "GET /same HTTP/1.1")
        await a_link(it, "two", path="/same")
        await it.health("path /same is taken by the link")
        await it.unlink(one, "one")
        await comes_to_say(port, b"two", "GET /same HTTP/1.1")


async def test_a_link_without_its_route_is_refused_and_its_other_settings_do_not_count() -> None:
    port = free_port()
    async with running({"routing_mode": "path", "default_address": f"127.0.0.1:{port}"}) as it:
        await a_link(it, "none")
        await it.health("path: the link gives none, and routing_mode is path")
        await a_link(it, "one", path="/one", address=f"127.0.0.1:{free_port()}")
        await it.said("routing_mode path: of a link's settings only path counts")
        await comes_to_say(port, b"one", "GET /one HTTP/1.1")


async def test_by_host_the_whole_value_of_the_header_decides() -> None:
    port = free_port()
    async with running({"routing_mode": "host", "default_address": f"127.0.0.1:{port}"}) as it:
        await a_link(it, "one", host="one.example:81")
        await a_link(it, "two", host="two.example")
        await it.said("link up.*/one")
        await it.said("link up.*/two")
        assert (await raw(port, "GET / HTTP/1.1", "host: one.example:81")).body == b"one"
        assert (await raw(port, "GET / HTTP/1.1", "host: two.example")).body == b"two"
        for lines, status, reason in (
            (("GET / HTTP/1.1", "host: one.example"), 404, b"host not found"),
            (("GET / HTTP/1.0",), 400, b"missing host header"),
        ):
            refused = await raw(port, *lines)
            assert (refused.status, reason in refused.body) == (status, True)


async def test_another_header_may_decide() -> None:
    port = free_port()
    async with running({"routing_mode": "host", "header": "X-Tenant", "default_address": f"127.0.0.1:{port}"}) as it:
        await a_link(it, "one", host="blue")
        await comes_to_say(port, b"one", "GET / HTTP/1.1\nx-tenant: blue")
        assert (await ask(port)).status == 400


async def test_the_mode_may_change_at_run_time() -> None:
    port = free_port()
    own = {"default_address": f"127.0.0.1:{port}"}
    async with running({"routing_mode": "path", **own}) as it:
        await a_link(it, "one", path="/one", host="one")
        await a_link(it, "two", path="/two", host="two")
        await comes_to_say(port, b"two", "GET /two HTTP/1.1")
        await it.lattice.configure(it.provider, {"routing_mode": "host", **own})
        for name in ("one", "two"):
            async with asyncio.timeout(10):
                while (await raw(port, "GET /other HTTP/1.1", f"host: {name}")).body != name.encode():
                    await asyncio.sleep(0.02)


async def test_our_own_routes_still_count_on_1_x() -> None:
    port = free_port()
    async with running() as it:
        await a_link(it, "any", address=f"127.0.0.1:{port}")
        await a_link(it, "shop", address=f"127.0.0.1:{port}", path_prefix="/shop")
        await comes_to_say(port, b"shop", "GET /shop/x HTTP/1.1")
        await comes_to_say(port, b"any", "GET /other HTTP/1.1")
