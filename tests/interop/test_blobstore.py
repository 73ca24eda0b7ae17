"""Blobstore for a component, whose host asks for version 0.2.0, and for 0.1.0 where that is not served (wrpc-1x.md §5.3)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.archives import Archive
from tests.interop.world import World

pytestmark = pytest.mark.needs("host1x")

LARGE = 5_000_000
EARLY = 400_000
"""What the host keeps of a stream that nobody reads yet."""


def total(size: int) -> int:
    """The sum of the bytes that the component writes into an object of that size."""
    rounds, rest = divmod(size, 251)
    return rounds * sum(range(251)) + sum(range(rest))


@dataclass(frozen=True)
class Stored:
    """A world with a blobstore that is linked, and the container `box`. `early`: to be written before it is given away."""

    world: World
    early: bool

    async def put(self, key: str, size: int = 10) -> str:
        return await self.told("bput", key=key, size=size, **({"early": "yes"} if self.early else {}))

    async def told(self, op: str, **query: object) -> str:
        for _ in range(2 if self.early else 0):
            # The host asks for version 0.2.0 first, and now and then loses the NATS server's word that nobody has it: nothing was done yet.
            with suppress(TimeoutError):
                return await self.world.told(op, within=10.0, **query)
        return await self.world.told(op, within=30.0, **query)


@pytest.fixture(params=["blobstore", "blobstore-0.1"])
async def stored(request: pytest.FixtureRequest, world: World, archive: Archive, tmp_path: Path) -> Stored:
    await world.provide(archive(request.param), "blobs")
    await world.link("blobs", "wasi:blobstore/blobstore", values={"ROOT": str(tmp_path / "blobs")})
    assert await world.told("bmake") == "box"
    return Stored(world, request.param != "blobstore")


async def test_a_component_makes_and_drops_containers(stored: Stored) -> None:
    assert await stored.told("bexists") == "true"
    assert await stored.told("bexists", bucket="other") == "false"
    assert (await stored.told("binfo")).startswith('ContainerMetadata { name: "box", created-at: ')
    assert await stored.told("bdrop") == "()"
    assert await stored.told("bexists") == "false"


@pytest.mark.parametrize("size", [0, 10, LARGE])
async def test_a_component_writes_and_reads_objects(stored: Stored, size: int) -> None:
    size = min(size, EARLY) if stored.early else size
    written = f"{size} bytes sum {total(size)}"
    assert await stored.put("o", size) == written
    assert await stored.told("bget", key="o") == written
    assert await stored.told("bget", key="o", **{"async": 1}) == written
    assert f"size: {size} " in await stored.told("bstat", key="o")


async def test_a_component_reads_a_part(stored: Stored) -> None:
    await stored.put("o", 100)
    assert await stored.told("bget", key="o", start=10, end=13) == f"3 bytes sum {10 + 11 + 12}"


async def test_a_component_lists_copies_moves_and_deletes(stored: Stored) -> None:
    names = [f"o{number}" for number in range(8)]
    for name in names:
        await stored.put(name)
    assert await stored.told("blist") == str(names).replace("'", '"')
    await stored.told("bcopy", key="o0", bucket2="box", key2="copy")
    await stored.told("bmove", key="o1", bucket2="box", key2="moved")
    assert [await stored.told("bhas", key=key) for key in ("o0", "copy", "o1", "moved")] == ["true", "true", "false", "true"]
    await stored.told("bdel", key="copy")
    await stored.told("bdels", keys="moved,o0")
    assert await stored.told("blist") == str(names[2:]).replace("'", '"')
    await stored.told("bclear")
    assert await stored.told("blist") == "[]"


async def test_what_is_not_there_is_the_components_to_handle(stored: Stored) -> None:
    answer = await stored.world.ask("bget", key="nothing")
    assert answer.status == 500 and answer.text.startswith("error: ")
    assert await stored.told("bexists") == "true"
