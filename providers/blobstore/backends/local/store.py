"""Objects in files below one folder."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from provider_sdk import ProviderError
from providers.blobstore.backend import Backend, ContainerInfo, Details, First, ObjectInfo, Page, Reading, Store, Writing, shown
from providers.blobstore.backends.local import reading
from providers.blobstore.backends.local.errors import failure
from providers.blobstore.backends.local.listing import Listing
from providers.blobstore.backends.local.place import Place
from providers.blobstore.backends.local.removing import remove
from providers.blobstore.backends.local.streams import LocalReading, LocalWriting, Upload
from providers.blobstore.backends.local.threads import Threads

_TROUBLE_WITHIN = 0.4


class LocalStore(Store):
    """A folder, below which each scope has its own. `folding`: names are spelled as where capitals and small letters are the same."""

    def __init__(self, root: Path, connections: int, *, full: bool, folding: bool = False) -> None:
        self.threads = Threads(connections)
        self._root = root
        self._kind = {"full": full, "folding": folding}
        self._places: dict[str, Place] = {}
        self._look: asyncio.Future[str] | None = None

    def view(self, scope: str) -> Backend:
        if scope not in self._places:
            self._places[scope] = Place(self._root, scope, self.threads.later, **self._kind)
        return LocalBackend(self.threads, self._places[scope])

    async def trouble(self) -> str:
        # A file server that is away holds the thread that looks: there is one at most.
        if self._look is None or self._look.done():
            self._look = asyncio.ensure_future(asyncio.to_thread(_trouble, self._root))
        done, _ = await asyncio.wait([self._look], timeout=_TROUBLE_WITHIN)
        return self._look.result() if done else f"the file system of {self._root} does not answer"

    async def close(self) -> None:
        for place in self._places.values():
            place.stop()
        await self.threads.close()
        for place in self._places.values():
            await asyncio.to_thread(place.close)


class LocalBackend(Backend):
    """One scope; each operation is one piece of work for a thread."""

    def __init__(self, threads: Threads, place: Place) -> None:
        self._threads = threads
        self._place = place

    async def containers(self) -> list[ContainerInfo]:
        return await self._threads.run("the containers cannot be listed", self._place.containers)

    async def container(self, name: str) -> ContainerInfo:
        return await self._threads.run(_of_container(name, "looked at"), lambda: self._place.info(name))

    async def create_container(self, name: str) -> None:
        await self._threads.run(_of_container(name, "made"), lambda: self._place.create_container(name))

    async def remove_container(self, name: str) -> None:
        await self._threads.run(_of_container(name, "removed"), lambda: self._place.remove_container(name))

    async def info(self, container: str, name: str) -> ObjectInfo:
        return await self._threads.run(_of_object(container, name, "looked at"), lambda: reading.info(self._place, container, name))

    async def objects(self, container: str, *, prefix: str = "", start: str = "", after: str = "", most: int = 1000) -> Page:
        def page() -> Page:
            with self._place.container(container) as base:
                return Listing(base, self._place.scans, folding=self._place.folding, prefix=prefix, start=start, after=after).page(most)

        return await self._threads.run(_of_container(container, "listed"), page)

    async def remove(self, container: str, names: Sequence[str]) -> dict[str, ProviderError]:
        def removed() -> dict[str, ProviderError]:
            failures: dict[str, ProviderError] = {}
            with self._place.work(container) as work:
                for name in names:
                    try:
                        remove(work, name)
                    except FileNotFoundError:
                        continue  # somebody else has
                    except OSError as error:
                        failures[name] = failure(error, _of_object(container, name, "removed"))
            return failures

        return await self._threads.run(_of_container(container, "changed"), removed)

    async def open(self, container: str, name: str, start: int, end: int | None, first: First) -> Reading:
        opened = await self._threads.run(
            _of_object(container, name, "read"),
            lambda: reading.open_object(self._place, container, name, start, end, first),
            reading.Opened.close,
        )
        return LocalReading(self._threads, opened)

    async def create(self, container: str, name: str, details: Details, size: int | None = None) -> Writing:
        what = _of_object(container, name, "written")
        upload = await self._threads.run(what, lambda: Upload(self._place, container, name, details), Upload.close)
        return LocalWriting(self._threads, what, upload)

    async def put(self, container: str, name: str, data: bytes, details: Details) -> None:
        def whole() -> None:
            upload = Upload(self._place, container, name, details)
            try:
                upload.write(data)
                upload.commit()
            finally:
                upload.close()

        await self._threads.run(_of_object(container, name, "written"), whole)


def _of_container(name: str, what: str) -> str:
    return f"the container {shown(name)} cannot be {what}"


def _of_object(container: str, name: str, what: str) -> str:
    return f"the object {shown(name)} in the container {shown(container)} cannot be {what}"


def _trouble(root: Path) -> str:
    """What keeps objects from being written below a folder, that is there or is to be made."""
    there = next(path for path in (root, *root.parents) if os.path.lexists(path))
    if not there.is_dir():
        return f"{there} is no folder: objects cannot be kept there"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"objects cannot be written below {root}: {there} may not be written by this user"
    system = os.statvfs(there)
    if system.f_flag & os.ST_RDONLY:
        return f"objects cannot be written below {root}: its file system may only be read"
    if system.f_blocks and not system.f_bavail:
        return f"objects cannot be written below {root}: its disk is full"
    return ""
