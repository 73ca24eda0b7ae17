"""Local files: what several stores on one folder leave each other, and how a store feels."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from provider_sdk import PermissionDenied, Unavailable
from providers.blobstore.backend import Details
from providers.blobstore.backends.local.aside import ASIDE
from tests.unit.blob_folder import ROOT, a_backend, a_container, a_store, below, content, everything, names, remove, write

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
