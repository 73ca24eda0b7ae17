"""HTTP from outside through the httpserver provider to a component, which answers, fails or calls on (wrpc-1x.md §5.1, §5.2)."""

from __future__ import annotations

import asyncio

import pytest

from tests.interop.archives import Archive
from tests.interop.world import World, request

pytestmark = pytest.mark.needs("host1x")

PATTERN = bytes(range(251)) * 20_000


async def test_a_component_answers_requests_from_outside(world: World, archive: Archive) -> None:
    port = await world.front(archive("httpserver"))
    assert (await request(port, "/?op=ping")).text == "pong"


async def test_method_path_headers_and_body_reach_the_component(world: World, archive: Archive) -> None:
    port = await world.front(archive("httpserver"))
    answer = await request(port, "/some/path?op=echo&x=1", body=b"\x01\x02", headers={"X-Own": "value"})
    first, *headers = answer.text.splitlines()
    assert first == f'Method::Post Some("127.0.0.1:{port}") /some/path?op=echo&x=1 2 bytes sum 3'
    assert "x-own: value" in headers


async def test_a_large_body_is_streamed_in(world: World, archive: Archive) -> None:
    port = await world.front(archive("httpserver"))
    answer = await request(port, "/?op=echo", body=PATTERN, within=60.0)
    assert f" {len(PATTERN)} bytes sum {sum(PATTERN)}\n" in answer.text


async def test_a_component_that_fails_or_traps_is_an_answer_of_500(world: World, archive: Archive) -> None:
    port = await world.front(archive("httpserver"))
    assert (await request(port, "/?op=fail")).status == 500
    # Nothing is linked there: the call traps.
    assert (await request(port, "/?op=guid")).status == 500
    assert (await request(port, "/?op=ping")).text == "pong"


async def test_a_request_passes_through_two_providers(world: World, archive: Archive) -> None:
    port = await world.front(archive("httpserver"))
    await world.provide(archive("keyvalue"), "kv")
    await world.link("kv", "wasi:keyvalue/store,atomics,batch")
    await world.told("incr", key="n")
    assert (await request(port, "/?op=incr&key=n")).text == "2"


async def test_a_deleted_link_closes_the_door(world: World, archive: Archive) -> None:
    port = await world.front(archive("httpserver"))
    await world.control.delete_link("web", "wasi:http")
    async with asyncio.timeout(10):
        while (await request(port, "/?op=ping")).status == 200:
            await asyncio.sleep(0.05)
