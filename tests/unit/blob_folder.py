"""Stores on a folder of the test, and what is in it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from providers.blobstore.backend import Backend, Details
from providers.blobstore.backends import local
from providers.blobstore.backends.local.aside import ASIDE
from providers.blobstore.backends.local.store import LocalStore
from providers.blobstore.config import BlobstoreConfig

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
