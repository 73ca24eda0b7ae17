"""Local files: where objects lie, and what is no object. The semantics of all backends are looked at by the conformance suite."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import time
from pathlib import Path

import pytest

from provider_sdk import NotFound, PermissionDenied, ProviderError
from providers.blobstore.backend import Details
from providers.blobstore.backends import local
from providers.blobstore.config import BlobstoreConfig
from tests.tiers import scale
from tests.unit.blob_folder import ACTOR, TEXT, a_backend, a_container, content, files, names, on_and_on, write

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
