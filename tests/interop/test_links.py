"""Links and configurations that come, change and go while everything runs (wrpc-1x.md §2.1)."""

from __future__ import annotations

import asyncio

import pytest

from tests.interop.archives import Archive
from tests.interop.world import COMPONENT, World

pytestmark = pytest.mark.needs("host1x")

ALL = "wasi:keyvalue/store,atomics,batch"


async def test_a_link_put_at_run_time_serves_until_it_is_deleted(world: World, archive: Archive) -> None:
    await world.provide(archive("keyvalue"), "kv")
    assert (await world.ask("get", key="a")).status != 200
    await world.link("kv", ALL)
    assert await world.told("get", key="a") == "none"
    await world.control.delete_link(COMPONENT, "wasi:keyvalue")
    async with asyncio.timeout(10):
        while (await world.ask("get", key="a")).status == 200:
            await asyncio.sleep(0.05)


async def test_links_that_are_there_before_the_provider_are_served(world: World, archive: Archive) -> None:
    await world.link("kv", ALL)
    await world.provide(archive("keyvalue"), "kv")
    assert await world.told("incr", key="n") == "1"


async def test_a_link_put_while_the_provider_is_starting_is_not_lost(world: World, archive: Archive) -> None:
    starting = asyncio.create_task(world.provide(archive("keyvalue"), "kv"))
    await world.control.event("provider_started", provider_id="kv")
    await world.link("kv", ALL)
    await starting
    assert await world.told("incr", key="n") == "1"


async def test_two_link_names_of_one_component_are_kept_apart(world: World, archive: Archive) -> None:
    await world.provide(archive("greeter"), "greeter")
    await world.link("greeter", "acme:greeter/greeter", values={"greeting": "Hello"})
    await world.link("greeter", "acme:greeter/greeter", name="french", values={"greeting": "Bonjour"})
    assert await world.told("greet", name="Ada") == "Hello, Ada!"
    assert await world.told("greet", name="Ada", link="french") == "Bonjour, Ada!"
    await world.control.delete_link(COMPONENT, "acme:greeter", name="french")
    assert await world.told("greet", name="Ada") == "Hello, Ada!"


async def test_a_link_put_anew_with_other_values_has_those(world: World, archive: Archive) -> None:
    await world.provide(archive("greeter"), "greeter")
    await world.link("greeter", "acme:greeter/greeter", values={"greeting": "Hello"})
    assert await world.told("greet", name="Ada") == "Hello, Ada!"
    await world.link("greeter", "acme:greeter/greeter", values={"greeting": "Salut"})
    await _greets(world, "Salut, Ada!")


async def test_a_link_follows_its_named_configuration_which_the_host_does_not_tell(world: World, archive: Archive) -> None:
    await world.provide(archive("greeter"), "greeter")
    await world.link("greeter", "acme:greeter/greeter", configs=await world.config({"greeting": "Hello"}, "manner"))
    await _greets(world, "Hello, Ada!")
    await world.config({"greeting": "Salut"}, "manner")
    await _greets(world, "Salut, Ada!")


async def test_a_providers_configuration_may_change_and_what_is_wrong_changes_nothing(world: World, archive: Archive) -> None:
    await world.provide(archive("confidant"), "confidant", config=await world.config({"times": "1"}, "manner"))
    await world.link("confidant", "acme:greeter/greeter")
    assert (await world.told("greet", name="Ada")).count("Ada") == 1
    await world.config({"times": "3"}, "manner")
    await _greets(world, " ".join([" Ada "] * 3))
    await world.config({"times": "many"}, "manner")
    async with asyncio.timeout(10):
        while "many" not in str(await world.health("confidant")):
            await asyncio.sleep(0.05)
    assert (await world.told("greet", name="Ada")).count("Ada") == 3


async def _greets(world: World, greeting: str) -> None:
    async with asyncio.timeout(10):
        while await world.told("greet", name="Ada") != greeting:
            await asyncio.sleep(0.05)
