"""Calls from Python: of what a component exports, with every kind of value, and of a provider (wrpc-1x.md §3.4, §4)."""

from __future__ import annotations

import asyncio
import math

import pytest

from greeter import Greeter
from provider_sdk import ProviderError
from provider_sdk.caller import connect
from provider_sdk.types import Char, Err, Ok, Some
from tests.interop.archives import Archive
from tests.interop.codec_interfaces import Circle, Color, Echo, Few, Named, Nothing, Pair, Rec, Shape, Ten, Twenty
from tests.interop.world import COMPONENT, World

pytestmark = pytest.mark.needs("host1x")

AT_ONCE = 32
CALLS = 1000


def record(shape: Shape) -> Rec:
    pairs = [(7, Color.BLUE), (255, Color.RED)]
    return Rec(300, "why", ["a", "", "bc"], shape, Few.A | Few.C, Char("😀"), [1, -1, 300, -(1 << 15)], Some(None), pairs)


async def test_a_component_gives_back_values_of_every_kind(world: World) -> None:
    async with connect(world.nats.url, lattice=world.control.lattice, identity="caller") as lattice:
        echo = Echo.at(lattice.actor(COMPONENT))
        lowest = (0, -128, 0, -(1 << 15), 0, -(1 << 31), 0, -(1 << 63))
        highest = (255, 127, (1 << 16) - 1, (1 << 15) - 1, (1 << 32) - 1, (1 << 31) - 1, (1 << 64) - 1, (1 << 63) - 1)
        assert await echo.ints(*lowest) == lowest
        assert await echo.ints(*highest) == highest
        assert await echo.floats(-2.5, math.inf) == (-2.5, math.inf)
        assert await echo.chars(Char("€"), True, "héllo\0") == ("€", True, "héllo\0")
        for shape in (Nothing(), Circle(300), Named("n"), Pair((-65, 0.5))):
            assert await echo.record_echo(record(shape)) == record(shape)
        assert await echo.flags_ten(Ten.F0 | Ten.F9) == Ten.F0 | Ten.F9
        assert await echo.flags_twenty(Twenty.T19) == Twenty.T19
        assert await echo.outcome(Ok(300)) == Ok(300)
        assert await echo.outcome(Err("no")) == Err("no")
        await echo.unit()
        assert await echo.unit_result() == Ok(None)
        assert await echo.bytes_(bytes(range(256))) == bytes(range(256))


async def test_values_above_the_message_limit_pass_both_ways(world: World) -> None:
    async with connect(world.nats.url, lattice=world.control.lattice, identity="caller", timeout=30.0) as lattice:
        large = bytes(range(250)) * 6000
        assert await Echo.at(lattice.actor(COMPONENT)).bytes_(large) == large


async def test_many_calls_of_a_component_at_once_are_all_answered(world: World) -> None:
    async with connect(world.nats.url, lattice=world.control.lattice, identity="caller", timeout=30.0) as lattice:
        echo = Echo.at(lattice.actor(COMPONENT))
        numbers = iter(range(CALLS))

        async def ask() -> int:
            return sum([await echo.outcome(Ok(number)) == Ok(number) for number in numbers])

        assert sum(await asyncio.gather(*(ask() for _ in range(AT_ONCE)))) == CALLS


async def test_a_program_that_is_linked_asks_a_provider(world: World, archive: Archive) -> None:
    await world.provide(archive("greeter"), "greeter")
    async with connect(world.nats.url, lattice=world.control.lattice, identity="caller") as lattice:
        greeter = Greeter.at(lattice.provider("greeter"))
        with pytest.raises(ProviderError):
            await greeter.greet("Ada")
        await world.control.put_link("caller", "greeter", "acme:greeter/greeter", target_config=await world.config({"greeting": "Hi"}))
        async with asyncio.timeout(10):
            while not await _greets(greeter):
                await asyncio.sleep(0.05)


async def _greets(greeter: Greeter) -> bool:
    try:
        return await greeter.greet("Ada") == "Hi, Ada!"
    except ProviderError:
        return False
