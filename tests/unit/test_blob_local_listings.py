"""Local files: containers, and the listings of what is in them."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.blobstore.backend import Backend, Details
from providers.blobstore.backends.local.aside import ASIDE
from providers.blobstore.backends.local.store import LocalStore
from providers.blobstore.backends.memory import MemoryBackend
from tests.tiers import scale
from tests.unit.blob_folder import a_backend, a_container, below, content, names, write
from tests.waiting import until

# Containers


async def test_a_container_knows_when_it_was_made(tmp_path: Path) -> None:
    before = time.time_ns()
    async with a_container(tmp_path) as backend:
        created = (await backend.container("box")).created
        assert [info.created for info in await backend.containers()] == [created]
    # The clock of files goes in steps of some milliseconds.
    assert created is not None and before - 50_000_000 <= created <= time.time_ns()


async def test_names_of_containers_are_one_folder_each_whatever_is_in_them(tmp_path: Path) -> None:
    odd = ["a", "a/b", "..", ".", ".hidden", "A", "é", "x" * 255, "\x01" * 255, "a%file"]
    async with a_backend(tmp_path) as backend:
        for name in odd:
            await backend.create_container(name)
            await backend.create_container(name)
            await backend.put(name, "o", name.encode(), Details())
        assert [info.name for info in await backend.containers()] == sorted(odd, key=str.encode)
        assert [await content(backend, "o", name) for name in odd] == [name.encode() for name in odd]
        for name in odd:
            await backend.remove_container(name)
        assert await backend.containers() == []


async def test_a_container_of_many_objects_is_gone_at_once(tmp_path: Path) -> None:
    for folder in range(50):
        for file in range(40):
            write(tmp_path / "box" / f"{folder}" / f"{file}")
    async with a_backend(tmp_path) as backend:
        await backend.remove_container("box")
        assert await backend.containers() == []
        await backend.create_container("box")
        assert await names(backend) == []
        (own,) = below(tmp_path / ASIDE)
        await until(lambda: len(below(own)) == 1)


# Listing


SCANS = "providers.blobstore.backends.local.scans"


@pytest.fixture(params=[2000, 1], ids=["folders read for each page", "parts of folders kept"])
def kept_from(request: pytest.FixtureRequest) -> Iterator[int]:
    """Of how many entries on folders are kept, all of them as if they had not changed for long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{SCANS}._WORTH", request.param)
        patch.setattr(f"{SCANS}._WINDOW", 3)
        patch.setattr(f"{SCANS}._SETTLED", 0)
        yield request.param


@pytest.mark.usefixtures("kept_from")
@pytest.mark.parametrize("folding", [False, True])
@given(data=st.data())
@settings(max_examples=scale(test=25, ci=50, soak=2000), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_listing_has_the_names_in_the_order_of_their_bytes_page_by_page(folding: bool, data: st.DataObject) -> None:
    segment = st.one_of(st.text("ab.%A\u00e9\U00010000!0", max_size=3), st.sampled_from(["x" * 241, "x" * 240, "x" * 236, "x" * 237 + "!"]))
    name = st.lists(segment, min_size=1, max_size=4).map("/".join).filter(bool)
    stored = data.draw(st.lists(name, unique=True, max_size=15))
    prefix, start, after = (data.draw(st.one_of(st.just(""), name, st.sampled_from(stored or [""]))) for _ in range(3))
    most = data.draw(st.integers(1, 5))

    async def listed() -> list[str]:
        with tempfile.TemporaryDirectory() as root:
            store = LocalStore(Path(root), 2, full=False, folding=folding)
            backend, model = store.view(""), MemoryBackend({})
            try:
                for each in (backend, model):
                    await each.create_container("box")
                    for item in stored:
                        await each.put("box", item, item.encode(), Details())
                expected = await model.objects("box", prefix=prefix, start=start, after=after)
                for _ in range(2):
                    assert await names(backend, prefix=prefix, start=start, after=after) == [info.name for info in expected.objects]
                assert [await content(backend, item) for item in stored] == [item.encode() for item in stored]
                return await all_pages(backend, most)
            finally:
                await store.close()

    assert asyncio.run(listed()) == sorted(stored, key=str.encode)


async def test_what_is_kept_of_a_large_folder_ends_with_its_next_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{SCANS}._WORTH", 10)
    monkeypatch.setattr(f"{SCANS}._SETTLED", 0)
    stored = [f"{number:04}" for number in range(30)]
    for name in stored:
        write(tmp_path / "box" / name)
    async with a_backend(tmp_path) as backend:
        assert await names(backend, most=10) == stored[:10]
        await backend.put("box", "0009a", b"", Details())
        await backend.remove("box", ["0011"])
        assert await names(backend, after="0009", most=3) == ["0009a", "0010", "0012"]


@pytest.mark.usefixtures("kept_from")
async def test_a_listing_may_begin_at_any_name_whatever_is_kept(tmp_path: Path) -> None:
    stored = [f"{number}" for number in range(10)]
    for name in stored:
        write(tmp_path / "box" / name)
    async with a_backend(tmp_path) as backend:
        assert await all_pages(backend, 4) == stored
        for at, name in enumerate(stored):
            for _ in range(2):
                assert await names(backend) == stored
            assert await names(backend, start=name) == stored[at:]
            assert await names(backend, after=name) == stored[at + 1 :]


async def all_pages(backend: Backend, most: int) -> list[str]:
    found: list[str] = []
    more = True
    while more:
        page = await backend.objects("box", after=found[-1] if found else "", most=most)
        assert len(page.objects) <= most and (page.objects or not page.more)
        found += [info.name for info in page.objects]
        more = page.more
    return found
