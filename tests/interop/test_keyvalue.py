"""Keyvalue for a component: the store, atomic counting, batches, and the watcher (wrpc-1x.md §5.4, §6)."""

from __future__ import annotations

import asyncio

import pytest

from tests.interop.archives import Archive
from tests.interop.world import COMPONENT, World

pytestmark = pytest.mark.needs("host1x")

ALL = "wasi:keyvalue/store,atomics,batch"
LARGE = 3_000_000


async def test_a_component_stores_reads_counts_and_lists(world: World, archive: Archive) -> None:
    await world.provide(archive("keyvalue"), "kv")
    await world.link("kv", ALL)
    assert await world.told("get", key="a") == "none"
    assert await world.told("set", key="a", value="tëxt") == "()"
    assert await world.told("get", key="a") == "some tëxt"
    assert await world.told("exists", key="a") == "true"
    assert await world.told("incr", key="n", delta=300) == "300"
    assert await world.told("incr", key="n") == "301"
    assert await world.told("get", key="n") == "some 301"
    assert await world.told("keys") == 'KeyResponse { keys: ["a", "n"], cursor: None }'
    assert await world.told("delete", key="a") == "()"
    assert await world.told("exists", key="a") == "false"


async def test_a_component_reads_and_writes_many_keys_at_once(world: World, archive: Archive) -> None:
    await world.provide(archive("keyvalue"), "kv")
    await world.link("kv", ALL)
    assert await world.told("setmany", keys="a,b", value="v") == "()"
    assert await world.told("getmany", keys="b,none,a") == '[Some(("b", [118])), None, Some(("a", [118]))]'
    assert await world.told("delmany", keys="a,none") == "()"
    assert await world.told("keys") == 'KeyResponse { keys: ["b"], cursor: None }'


async def test_values_above_the_message_limit_pass_both_ways(world: World, archive: Archive) -> None:
    await world.provide(archive("keyvalue"), "kv")
    await world.link("kv", ALL)
    assert await world.told("set", key="large", size=LARGE) == "()"
    assert await world.told("get", key="large") == f"some {LARGE} bytes sum {LARGE * ord('v')}"


async def test_what_cannot_be_done_is_the_components_to_handle(world: World, archive: Archive) -> None:
    await world.provide(archive("keyvalue"), "kv")
    await world.link("kv", ALL)
    await world.told("set", key="word", value="no number")
    answer = await world.ask("incr", key="word")
    assert answer.status == 500 and "Error::Other" in answer.text
    assert await world.told("get", key="word") == "some no number"


async def test_buckets_are_apart(world: World, archive: Archive) -> None:
    await world.provide(archive("keyvalue"), "kv")
    await world.link("kv", ALL)
    await world.told("set", key="a", value="first", bucket="one")
    assert await world.told("get", key="a", bucket="two") == "none"
    assert await world.told("get", key="a", bucket="one") == "some first"


async def test_a_component_is_told_of_the_changes_that_it_watches(world: World, archive: Archive) -> None:
    await world.provide(archive("keyvalue"), "kv")
    await world.link("kv", ALL)
    watch = await world.config({"watch": "SET@a,DEL@a"})
    await world.control.put_link("kv", COMPONENT, "wasi:keyvalue/watcher", source_config=watch)
    assert await world.told("get", key="a", bucket="seen") == "none"
    async with asyncio.timeout(10):
        # What changes before the link has arrived is told to nobody.
        while await world.told("get", key="a", bucket="seen") != "some new":
            await world.told("set", key="a", value="new")
            await asyncio.sleep(0.2)
    await world.told("delete", key="a")
    async with asyncio.timeout(10):
        while await world.told("get", key="a", bucket="seen") != "some (deleted)":
            await asyncio.sleep(0.05)
