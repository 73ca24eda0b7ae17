"""Local files: what they add to the semantics that all backends of the blobstore share, which the conformance suite looks at."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provider_sdk import NotFound, PermissionDenied, ProviderError, Unavailable
from providers.blobstore.backend import Backend, Details, Reading, Writing
from providers.blobstore.backends import local
from providers.blobstore.backends.local.aside import ASIDE
from providers.blobstore.backends.local.store import LocalStore
from providers.blobstore.backends.memory import MemoryBackend
from providers.blobstore.config import BlobstoreConfig
from tests.tiers import scale

ACTOR = "MB4OLDIC3TCZ4Q4TGGOVAZC43VXFE2JQVRAXQMQFXUCREOOFEKOKZTY2"
ROOT = Path(__file__).parents[2]
TEXT, GZIP = Details("text/plain"), Details("application/json", "gzip")


@contextlib.asynccontextmanager
async def a_store(root: Path, durability: str = "normal", connections: int = 16) -> AsyncIterator[LocalStore]:
    store = local.open_store(BlobstoreConfig(root=root, durability=durability, connections=connections), root.parent)
    assert isinstance(store, LocalStore)
    try:
        yield store
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def a_backend(root: Path, scope: str = "", durability: str = "normal") -> AsyncIterator[Backend]:
    async with a_store(root, durability) as store:
        yield store.view(scope)


@contextlib.asynccontextmanager
async def a_container(root: Path, durability: str = "normal") -> AsyncIterator[Backend]:
    async with a_backend(root, durability=durability) as backend:
        await backend.create_container("box")
        yield backend


async def content(backend: Backend, name: str, container: str = "box") -> bytes:
    reading = await backend.open(container, name, 0, None, lambda length: length)
    await reading.close()
    return reading.first


async def names(backend: Backend, container: str = "box", most: int = 1000, **kwargs: str) -> list[str]:
    return [info.name for info in (await backend.objects(container, most=most, **kwargs)).objects]


def files(folder: Path) -> list[str]:
    """Everything below a folder, hidden files too, but for what stores that are open keep aside."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if ASIDE not in path.relative_to(folder).parts)


def write(path: Path, data: bytes = b"official") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def descriptors() -> int:
    return len(os.listdir("/dev/fd"))  # noqa: PTH208 # the listing's own descriptor is counted each time


def remove(path: Path) -> None:
    path.unlink()


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def below(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


# Where objects lie


async def test_objects_lie_where_the_official_provider_puts_them(tmp_path: Path) -> None:
    async with a_backend(tmp_path, ACTOR) as backend:
        await backend.create_container("box")
        await backend.put("box", "dir/a file.txt", b"ours", Details())
    assert files(tmp_path) == [ACTOR, f"{ACTOR}/box", f"{ACTOR}/box/dir", f"{ACTOR}/box/dir/a file.txt"]


async def test_what_the_official_provider_wrote_is_read_as_it_is(tmp_path: Path) -> None:
    odd = ["dir/file", "a:b", "CON", "trailing.", "sp ace ", "100%", "x" * 255, "dir:2/file?"]
    for name in odd:
        write(tmp_path / ACTOR / "box" / name, name.encode())
    write(tmp_path / ACTOR / "box: 2" / "file")
    async with a_backend(tmp_path, ACTOR) as backend:
        assert [info.name for info in await backend.containers()] == ["box", "box: 2"]
        assert await names(backend) == sorted(odd)
        for name in odd:
            assert await content(backend, name) == name.encode()
        assert await content(backend, "file", "box: 2") == b"official"


async def test_what_the_official_provider_wrote_is_written_over_and_removed_where_it_is(tmp_path: Path) -> None:
    odd = write(tmp_path / "box" / "a:b" / "c?d")
    async with a_backend(tmp_path) as backend:
        await backend.put("box", "a:b/c?d", b"ours", TEXT)
        await backend.put("box", "a:b/new:", b"ours", Details())
        assert odd.read_bytes() == b"ours"
        assert files(tmp_path) == ["box", "box/a:b", "box/a:b/.c?d.meta", "box/a:b/c?d", "box/a:b/new%3a"]
        assert await backend.remove("box", ["a:b/c?d", "a:b/new:"]) == {}
        assert files(tmp_path) == ["box"]


async def test_an_object_under_two_spellings_is_one_and_gone_with_both(tmp_path: Path) -> None:
    write(tmp_path / "box" / "a:b", b"behind")
    write(tmp_path / "box" / "a%3ab", b"first")
    write(tmp_path / "box" / "c" / "d", b"first")
    write(tmp_path / "box" / "c%folder" / "d", b"behind")
    async with a_backend(tmp_path) as backend:
        assert await names(backend) == ["a:b", "c/d"]
        assert [await content(backend, name) for name in ("a:b", "c/d")] == [b"first", b"first"]
        assert [info.size for info in (await backend.objects("box")).objects] == [5, 5]
        assert await backend.remove("box", ["a:b", "c/d"]) == {}
        assert files(tmp_path) == ["box"]


async def test_the_root_may_be_a_link_and_its_folders_are_made(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "disk")
    async with a_container(tmp_path / "root" / "some" / "folder", "full") as backend:
        await backend.put("box", "a", b"1", Details())
    assert (tmp_path / "disk" / "some" / "folder" / "box" / "a").read_bytes() == b"1"


async def test_a_root_that_is_not_there_holds_nothing_and_is_not_made_by_looking(tmp_path: Path) -> None:
    async with a_backend(tmp_path / "root") as backend:
        assert await backend.containers() == []
        with pytest.raises(NotFound):
            await backend.info("box", "a")
        await backend.remove_container("box")
    assert files(tmp_path) == []


def test_without_a_root_objects_are_in_the_data_folder(tmp_path: Path) -> None:
    def key(root: Path | None) -> object:
        return local.store_key(BlobstoreConfig(root=root), tmp_path)

    assert key(None) == key(Path("blobs")) == key(tmp_path / "blobs")
    assert key(None) != key(tmp_path)


# Side by side


async def test_an_object_and_others_below_its_name_are_side_by_side_whichever_came_first(tmp_path: Path) -> None:
    async with a_container(tmp_path) as backend:
        for name in ("a", "a/b", "a/b/c", "z/y/x", "z/y", "z", "e/", "e", "e//", "/", "//"):
            await backend.put("box", name, name.encode(), Details())
        listed = await names(backend)
        assert listed == sorted(["a", "a/b", "a/b/c", "z/y/x", "z/y", "z", "e/", "e", "e//", "/", "//"])
        for name in listed:
            assert await content(backend, name) == name.encode()
        await backend.remove("box", listed)
        assert files(tmp_path) == ["box"]


async def test_a_name_with_as_many_parts_as_it_can_have_is_one_like_others(tmp_path: Path) -> None:
    deep = ["/" * 1024, "." + "/.." * 340]
    async with a_container(tmp_path) as backend:
        for name in deep:
            await backend.put("box", name, name.encode(), TEXT)
        assert await names(backend) == sorted(deep)
        assert [await content(backend, name) for name in deep] == [name.encode() for name in deep]
        assert await backend.remove("box", deep[:1]) == {}
        await backend.remove_container("box")
    assert files(tmp_path) == []


# What is no object


async def test_hidden_files_are_no_objects(tmp_path: Path) -> None:
    write(tmp_path / "box" / ".hidden")
    write(tmp_path / "box" / ".folder" / "file")
    write(tmp_path / ".box" / "file")
    async with a_backend(tmp_path) as backend:
        assert [info.name for info in await backend.containers()] == ["box"]
        assert await names(backend) == []
        for name in (".hidden", ".folder/file", ".a.meta"):
            with pytest.raises(NotFound):
                await backend.info("box", name)
        await backend.put("box", ".hidden", b"ours", Details())
        assert await content(backend, ".hidden") == b"ours"
    assert (tmp_path / "box" / ".hidden").read_bytes() == b"official"


async def test_a_link_is_not_followed_and_not_written_over(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside" / "file")
    container = tmp_path / "root" / "box"
    container.mkdir(parents=True)
    (container / "link").symlink_to(outside)
    (container / "folder").symlink_to(outside.parent)
    (tmp_path / "root" / "container").symlink_to(outside.parent)
    async with a_backend(tmp_path / "root") as backend:
        assert [info.name for info in await backend.containers()] == ["box"]
        assert await names(backend) == []
        for name in ("link", "folder/file"):
            with pytest.raises(NotFound):
                await content(backend, name)
            with pytest.raises(PermissionDenied, match="is in the way"):
                await backend.put("box", name, b"ours", Details())
            assert await backend.remove("box", [name]) == {}
        with pytest.raises(NotFound):
            await backend.put("container", "file", b"ours", Details())
        await backend.remove_container("container")
        await backend.remove_container("box")
    assert outside.read_bytes() == b"official"
    assert (tmp_path / "root" / "container").is_symlink()


@contextlib.contextmanager
def on_and_on(change: Callable[[], None]) -> Iterator[None]:
    """Something that another program does at the same time."""
    ended = threading.Event()

    def go_on() -> None:
        while not ended.is_set():
            with contextlib.suppress(OSError):
                change()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


async def test_a_folder_that_becomes_a_link_while_an_object_is_read_leads_nowhere(tmp_path: Path) -> None:
    write(tmp_path / "outside" / "file", b"outside")
    folder = write(tmp_path / "root" / "box" / "folder" / "file", b"inside").parent

    def swap() -> None:
        folder.rename(folder.with_name(".away"))
        folder.symlink_to(tmp_path / "outside")
        folder.unlink()
        folder.with_name(".away").rename(folder)
        time.sleep(0.0005)

    found = set()
    async with a_backend(tmp_path / "root") as backend:
        with on_and_on(swap):
            for _ in range(scale(test=500, ci=1000, soak=50000)):
                with contextlib.suppress(NotFound):
                    found.add(await content(backend, "folder/file"))
    assert found == {b"inside"}


async def test_a_folder_that_becomes_a_link_while_an_object_is_written_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    folder = write(tmp_path / "root" / "box" / "folder" / "file").parent

    def swap() -> None:
        shutil.rmtree(folder)
        folder.symlink_to(tmp_path / "outside")
        folder.unlink()
        folder.mkdir()
        time.sleep(0.0005)

    async with a_backend(tmp_path / "root") as backend:
        with on_and_on(swap):
            for _ in range(scale(test=500, ci=1000, soak=50000)):
                with contextlib.suppress(ProviderError):
                    await backend.put("box", "folder/new", b"", TEXT)
    assert files(tmp_path / "outside") == []


async def test_a_link_in_the_place_of_the_root_of_an_actor_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "outside" / "box" / "file")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / ACTOR).symlink_to(tmp_path / "outside")
    async with a_backend(tmp_path / "root", ACTOR) as backend:
        assert await backend.containers() == []
        with pytest.raises(ProviderError):
            await backend.create_container("new")
    assert files(tmp_path / "outside") == ["box", "box/file"]


async def test_pipes_and_sockets_are_no_objects_and_nobody_waits_for_them(tmp_path: Path) -> None:
    (tmp_path / "box").mkdir()
    os.mkfifo(tmp_path / "box" / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "box" / "socket"))
        async with a_backend(tmp_path) as backend:
            assert await names(backend) == []
            for name in ("pipe", "socket"):
                with pytest.raises(NotFound):
                    await content(backend, name)
                with pytest.raises(PermissionDenied):
                    await backend.put("box", name, b"ours", Details())


async def test_files_whose_names_are_no_text_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / "box" / os.fsdecode(b"\xff"))
    async with a_backend(tmp_path) as backend:
        assert await names(backend) == []


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


# What is left by those that died


CHILD = """
import asyncio, sys
from pathlib import Path
from providers.blobstore.backend import Details
from providers.blobstore.backends import local
from providers.blobstore.config import BlobstoreConfig

async def main():
    backend = local.open_store(BlobstoreConfig(root=Path(sys.argv[1])), Path("/")).view("")
    await backend.create_container("box")
    writing = await backend.create("box", "a", Details())
    await writing.write(b"half" * 300_000)
    print("ready", flush=True)
    sys.stdin.read()
    await writing.commit()

asyncio.run(main())
"""


@contextlib.contextmanager
def a_child(root: Path) -> Iterator[subprocess.Popen[str]]:
    command = (sys.executable, "-c", CHILD, str(root))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(ROOT)}) as child:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        try:
            yield child
        finally:
            child.kill()


async def test_what_another_store_is_writing_is_left_to_it_and_what_a_dead_one_wrote_is_removed(tmp_path: Path) -> None:
    with a_child(tmp_path) as child:
        async with a_backend(tmp_path) as backend:
            await backend.containers()
        (folder,) = below(tmp_path / ASIDE)
        assert {path.read_bytes() for path in below(folder)} == {b"", b"half" * 300_000}
        child.kill()
        child.wait()
    async with a_backend(tmp_path) as backend:
        await backend.containers()
    assert everything(tmp_path) == ["box"]


async def test_an_upload_goes_on_after_another_store_has_swept(tmp_path: Path) -> None:
    with a_child(tmp_path) as child:
        async with a_backend(tmp_path) as backend:
            await backend.containers()
            child.communicate("")
            assert child.returncode == 0
            assert await content(backend, "a") == b"half" * 300_000


@pytest.mark.parametrize("left", [[], ["1"], ["1/deep/er", ".lock"], ["note-1", ".lock"]])
async def test_any_state_of_a_folder_that_a_dead_store_left_is_removed(tmp_path: Path, left: list[str]) -> None:
    (tmp_path / "box").mkdir()
    (tmp_path / ASIDE / "0123").mkdir(parents=True)
    for name in left:
        write(tmp_path / ASIDE / "0123" / name, b"[1, 2")
    async with a_backend(tmp_path) as backend:
        await backend.containers()
    assert everything(tmp_path) == ["box"]


async def test_a_store_waits_for_whoever_changes_the_container(tmp_path: Path) -> None:
    async with a_container(tmp_path) as backend:
        folder = os.open(tmp_path / "box", os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            putting = asyncio.create_task(backend.put("box", "a", b"1", Details()))
            await asyncio.sleep(0.1)
            assert not putting.done() and await names(backend) == []
        finally:
            os.close(folder)
        await putting
        assert await content(backend, "a") == b"1"


async def test_whoever_keeps_a_container_locked_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("providers.blobstore.backends.local.leftovers.LOCK_WAIT", 0.1)
    async with a_container(tmp_path) as backend:
        folder = os.open(tmp_path / "box", os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            with pytest.raises(Unavailable, match="another process"):
                await backend.put("box", "a", b"1", Details())
        finally:
            os.close(folder)
        assert await names(backend) == []
        await backend.put("box", "a", b"1", Details())


# Health


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(0o700)


async def test_a_root_that_cannot_be_written_is_trouble_and_its_recovery_is_none(tmp_path: Path) -> None:
    root = tmp_path / "root"
    async with a_store(root) as store:
        assert await store.trouble() == ""
        write(root)
        assert str(root) in await store.trouble()
        remove(root)
        assert await store.trouble() == ""


@pytest.mark.needs("unprivileged")
async def test_a_root_that_this_user_may_not_write_is_trouble(tmp_path: Path) -> None:
    async with a_container(tmp_path) as backend, a_store(tmp_path) as store:
        with read_only(tmp_path):
            assert "may not be written" in await store.trouble()
            with pytest.raises(PermissionDenied):
                await backend.create_container("new")
        assert await store.trouble() == ""
