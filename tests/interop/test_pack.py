"""The providers that need no more than a link: numbers, and the greeter, of which nothing was changed for 1.x."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.interop.archives import Archive
from tests.interop.world import World

pytestmark = pytest.mark.needs("host1x")


async def test_a_component_gets_numbers(world: World, archive: Archive) -> None:
    await world.provide(archive("numbergen"), "numbers")
    await world.link("numbers", "wasmcloud:numbergen/numbergen")
    assert UUID(await world.told("guid")).version == 4
    assert await world.told("range", min=7, max=7) == "7"
    refused = await world.ask("range", min=8, max=7)
    assert refused.status == 500 and refused.text.startswith("error: min 8 is above max 7")
    assert 0 <= int(await world.told("number")) < 1 << 32
    assert len({await world.told("guid") for _ in range(5)}) == 5


async def test_the_greeter_greets_a_component(world: World, archive: Archive) -> None:
    await world.provide(archive("greeter"), "greeter")
    await world.link("greeter", "acme:greeter/greeter")
    assert await world.told("greet", name="Ada") == "Hello, Ada!"
