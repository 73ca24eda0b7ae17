"""Local files: an object and its details are one version, whoever reads, writes or dies meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from provider_sdk import NotFound, ProviderError
from providers.blobstore.backend import Backend, Details, Reading, Writing
from providers.blobstore.backends.local.aside import ASIDE
from tests.tiers import scale
from tests.unit.blob_folder import GZIP, TEXT, a_backend, a_container, a_store, below, content, descriptors, files, names, on_and_on, write
from tests.waiting import until

# Details


async def test_details_are_kept_beside_the_object_where_there_are_any(tmp_path: Path) -> None:
    async with a_container(tmp_path) as backend:
        await backend.put("box", "a", b"1", GZIP)
        await backend.put("box", "b", b"1", Details())
        assert (await backend.info("box", "a")).details == GZIP
        assert files(tmp_path) == ["box", "box/.a.meta", "box/a", "box/b"]
        await backend.put("box", "a", b"2", Details())
        assert (await backend.info("box", "a")).details == Details()
        assert files(tmp_path) == ["box", "box/a", "box/b"]


async def test_details_do_not_pass_from_one_version_to_the_next_of_the_same_moment_and_size(tmp_path: Path) -> None:
    async with a_container(tmp_path) as backend:
        for turn in range(50):
            details = (TEXT, GZIP, Details())[turn % 3]
            await backend.put("box", "a", b"same", details)
            assert (await backend.info("box", "a")).details == details


async def test_details_survive_a_copy_that_drops_fractions_of_seconds(tmp_path: Path) -> None:
    async with a_container(tmp_path) as backend:
        await backend.put("box", "a", b"1", TEXT)
        file = tmp_path / "box" / "a"
        os.utime(file, (int(file.stat().st_mtime),) * 2)
        assert (await backend.info("box", "a")).details == TEXT


async def test_details_of_what_another_program_wrote_over_are_not_taken_for_its_own(tmp_path: Path) -> None:
    async with a_container(tmp_path) as backend:
        await backend.put("box", "a", b"1", TEXT)
        (tmp_path / "box" / "a").write_bytes(b"other")
        assert (await backend.info("box", "a")).details == Details()


@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b'{"versions": [{"modified": "1"}]}', b'{"versions": 5}', b"\xff"])
async def test_a_file_for_details_that_is_not_ours_says_nothing(tmp_path: Path, junk: bytes) -> None:
    write(tmp_path / "box" / "a")
    write(tmp_path / "box" / ".a.meta", junk)
    async with a_backend(tmp_path) as backend:
        assert (await backend.info("box", "a")).details == Details()
        await backend.put("box", "a", b"1", TEXT)
        assert (await backend.info("box", "a")).details == TEXT


async def test_details_of_names_up_to_the_limit_of_the_file_system(tmp_path: Path) -> None:
    odd = ["x" * 240, "x" * 255, "%~a", "é" * 120]
    for name in odd:
        write(tmp_path / "box" / name)
    async with a_backend(tmp_path) as backend:
        for name in odd:
            await backend.put("box", name, b"1", Details(name))
        assert [(await backend.info("box", name)).details for name in odd] == [Details(name) for name in odd]
        await backend.remove("box", odd)
    assert files(tmp_path) == ["box"]


async def test_readers_meanwhile_see_data_and_details_of_one_version(tmp_path: Path) -> None:
    versions = [(b"text", TEXT), (b"gzipped", GZIP), (b"none", Details()), (b"gzip", GZIP)]
    async with a_container(tmp_path) as backend:
        await backend.put("box", "a", *versions[0])
        ended = False

        async def write_on() -> None:
            for turn in range(scale(test=150, ci=300, soak=20000)):
                await backend.put("box", "a", *versions[turn % len(versions)])

        async def read_on() -> int:
            count = 0
            while not ended:
                reading = await backend.open("box", "a", 0, None, lambda length: length)
                assert (reading.first, reading.info.details) in versions
                count += 1
            return count

        readers = [asyncio.create_task(read_on()) for _ in range(4)]
        await write_on()
        ended = True
        assert sum(await asyncio.gather(*readers)) > 0


# Reading and writing


async def test_a_reading_sees_one_version_whatever_becomes_of_the_object(tmp_path: Path) -> None:
    async with a_container(tmp_path) as backend:
        old = bytes(range(256)) * 4096
        for change in ("over", "removed", "container"):
            await backend.create_container("box")
            await backend.put("box", "a", old, Details())
            reading = await backend.open("box", "a", 0, None, lambda length: 10)
            match change:
                case "over":
                    await backend.put("box", "a", b"new" * 1_000_000, Details())
                case "removed":
                    await backend.remove("box", ["a"])
                case _:
                    await backend.remove_container("box")
            rest = b""
            while block := await reading.read(100_000):
                rest += block
            assert reading.first + rest == old
            await reading.close()


async def test_a_file_that_is_cut_while_it_is_read_is_an_error_and_not_an_end(tmp_path: Path) -> None:
    async with a_container(tmp_path) as backend:
        await backend.put("box", "a", bytes(100), Details())
        reading = await backend.open("box", "a", 0, None, lambda length: 10)
        os.truncate(tmp_path / "box" / "a", 50)
        with pytest.raises(ProviderError, match="has lost its end"):
            while await reading.read(40):
                pass
        await reading.close()


async def test_an_object_on_its_way_is_seen_by_nobody(tmp_path: Path) -> None:
    async with a_container(tmp_path) as backend:
        writing = await backend.create("box", "dir/a", TEXT)
        await writing.write(b"12")
        assert files(tmp_path) == ["box"]
        assert await names(backend) == []
        await writing.write(b"34")
        await writing.commit()
        await writing.abort()
        assert await content(backend, "dir/a") == b"1234"


async def test_an_upload_whose_container_is_removed_ends_as_not_found_and_leaves_nothing(tmp_path: Path) -> None:
    async with a_container(tmp_path) as backend:
        writing = await backend.create("box", "a", TEXT)
        await writing.write(b"12")
        await backend.remove_container("box")
        with pytest.raises(NotFound):
            await writing.commit()
        await writing.abort()
    assert below(tmp_path) == []


async def test_a_store_that_is_closed_leaves_nothing_aside(tmp_path: Path) -> None:
    async with a_container(tmp_path) as backend:
        writing = await backend.create("box", "a", TEXT)
        await writing.write(b"12")
        assert (tmp_path / ASIDE).is_dir()
    assert [path.name for path in below(tmp_path)] == ["box"]
    await writing.abort()


async def test_a_caller_that_gives_up_leaves_nothing_open_and_nothing_behind(tmp_path: Path) -> None:
    async with a_container(tmp_path) as backend:
        await backend.put("box", "a", bytes(1 << 20), Details())
        await content(backend, "a")
        before = descriptors()
        calls: list[Callable[[], Coroutine[Any, Any, Reading | Writing]]] = [
            lambda: backend.open("box", "a", 0, None, lambda length: 10),
            lambda: backend.create("box", "b", Details()),
        ]
        for turn in range(200):
            task = asyncio.create_task(calls[turn % 2]())
            await asyncio.sleep(turn % 7 * 0.0001)
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            else:
                result = task.result()
                await (result.close() if isinstance(result, Reading) else result.abort())
        await until(lambda: descriptors() == before)
        (own,) = below(tmp_path / ASIDE)
        assert [path.name for path in below(own)] == [".lock"]


async def test_an_aside_folder_that_somebody_removed_is_made_again(tmp_path: Path) -> None:
    async with a_container(tmp_path) as backend:
        await backend.put("box", "a", b"1", TEXT)
        shutil.rmtree(tmp_path / ASIDE)
        await backend.put("box", "a", b"2", TEXT)
        assert await content(backend, "a") == b"2"


@pytest.mark.parametrize("durability", ["full", "normal"])
async def test_writers_at_once_leave_one_whole_version(tmp_path: Path, durability: str) -> None:
    async with a_container(tmp_path, durability) as backend:
        versions = [(bytes([turn]) * 100_000, Details(f"type/{turn}")) for turn in range(20)]
        await asyncio.gather(*(backend.put("box", "deep/folder/a", *version) for version in versions))
        assert (await content(backend, "deep/folder/a"), (await backend.info("box", "deep/folder/a")).details) in versions


async def test_what_is_put_and_removed_at_once_in_folders_that_come_and_go_is_there_or_not_but_no_error(tmp_path: Path) -> None:
    rounds = scale(test=40, ci=60, soak=3000)
    async with a_store(tmp_path) as store, a_store(tmp_path, connections=2) as other:
        backends = [store.view(""), other.view("")]
        await backends[0].create_container("box")

        async def come_and_go(backend: Backend, name: str) -> None:
            for turn in range(rounds):
                await backend.put("box", name, name.encode() * turn, TEXT if turn % 2 else Details())
                assert await backend.remove("box", [name]) == {}

        mine = ["x", "x/y", "x/y/z", "x/y/w"]
        await asyncio.gather(*(come_and_go(backends[at % 2], name) for at, name in enumerate(mine)))
        assert await names(backends[0]) == []
    assert files(tmp_path) == ["box"]


async def test_a_foreign_program_that_comes_between_changes_where_an_object_goes_and_not_whether(tmp_path: Path) -> None:
    def meddle() -> None:
        with contextlib.suppress(OSError):
            (tmp_path / "box" / "a").mkdir()
            (tmp_path / "box" / "a" / "keep").touch()
        shutil.rmtree(tmp_path / "box" / "a")

    async with a_container(tmp_path) as backend:
        with on_and_on(meddle):
            for turn in range(scale(test=200, ci=300, soak=10000)):
                await backend.put("box", "a", b"%d" % turn, Details())
        shutil.rmtree(tmp_path / "box" / "a", ignore_errors=True)
        assert "a" in await names(backend)
