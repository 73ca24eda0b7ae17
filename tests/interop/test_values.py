"""Every kind of value between a component and a provider, by two interfaces of which the host knows nothing (wrpc-1x.md §4)."""

from __future__ import annotations

import pytest

from tests.interop.archives import Archive
from tests.interop.world import World

pytestmark = pytest.mark.needs("host1x")

TOLD = {
    "cints": "(255, -1, 65535, -32768, 300, -2147483648, 18446744073709551615, -9223372036854775808)",
    "cfloats": "(-2.5, 1.0)",
    "cchars": "('€', true, \"héllo\")",
    "cten": "Ten { bits: 513 }",
    "ctwenty": "Twenty { bits: 524288 }",
    "cok": "Ok(300)",
    "cerr": 'Err("no")',
    "cunit": "()",
    "cunitres": "Ok(())",
    "cbytes": "10 bytes, same true",
    # 5 + 3, the total of that and of a thing of 7, and the 7 when it is given away.
    "rnew": "8 15 7",
}
SHAPES = ("Shape::Nothing", "Shape::Circle(300)", 'Shape::Named("n")', "Shape::Pair((-65, 0.5))")


async def test_values_of_every_kind_come_back_as_they_went(world: World, archive: Archive) -> None:
    await world.provide(archive("codec"), "codec")
    await world.link("codec", "probe:codec/echo,things")
    assert {op: await world.told(op) for op in TOLD} == TOLD
    for number, shape in enumerate(SHAPES):
        told = await world.told("crec", shape=number)
        assert shape in told and 'y: Some("why"), tags: ["a", "bc"]' in told and "nested: Some(None), pairs: [(7, Color::Blue)]" in told


async def test_an_error_of_the_provider_reaches_the_component_as_its_text(world: World, archive: Archive) -> None:
    await world.provide(archive("codec"), "codec")
    await world.link("codec", "probe:codec/echo,things")
    assert await world.told("rmake", start=8) == "8"
    answer = await world.ask("rmake", start=2**63)
    assert answer.status == 500 and answer.text.startswith(f"error: {2**63}: too large")


async def test_bytes_above_the_message_limit_pass_both_ways(world: World, archive: Archive) -> None:
    await world.provide(archive("codec"), "codec")
    await world.link("codec", "probe:codec/echo,things")
    assert await world.told("cbytes", size=2_000_000, within=30.0) == "2000000 bytes, same true"
