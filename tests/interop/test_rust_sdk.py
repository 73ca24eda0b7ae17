"""A provider on the official Rust SDK in the world of these tests: what works with it is not the fault of the world."""

from __future__ import annotations

import pytest

from tests.interop.archives import Archive
from tests.interop.world import World

pytestmark = pytest.mark.needs("host1x")


async def test_the_component_calls_a_provider_of_the_official_sdk(world: World, archive: Archive) -> None:
    await world.provide(archive("kvmem"), "kv")
    await world.link("kv", "wasi:keyvalue/store,atomics")
    assert await world.told("incr", key="n", delta=5) == "5"
    assert await world.told("set", key="a", value="text") == "()"
    assert await world.told("get", key="a") == "some text"
    assert await world.told("get", key="b") == "none"
