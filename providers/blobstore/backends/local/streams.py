"""Objects on their way, up and down, as the provider sees them."""

from __future__ import annotations

import threading

from provider_sdk import NotFound
from providers.blobstore.backend import Details, ObjectInfo, Reading, Writing, shown
from providers.blobstore.backends.local.place import Place
from providers.blobstore.backends.local.putting import Draft, put
from providers.blobstore.backends.local.reading import Opened
from providers.blobstore.backends.local.threads import Threads


class LocalReading(Reading):
    """An open file: one version, also when another is put in its place or it is removed."""

    def __init__(self, threads: Threads, opened: Opened) -> None:
        self._threads = threads
        self._opened = opened
        self.info: ObjectInfo = opened.info
        self.start, self.length, self.first = opened.start, opened.length, opened.first

    async def read(self, size: int) -> bytes:
        if self._opened.ended:
            return b""
        return await self._threads.run(f"the object {shown(self.info.name)} cannot be read", lambda: self._opened.read(size))

    async def close(self) -> None:
        await self._threads.let_go(self._opened)


class Upload:
    """A draft of an object, for one thread at a time."""

    def __init__(self, place: Place, container: str, name: str, details: Details) -> None:
        self._place = place
        self._target = (container, name, details)
        self._mutex = threading.Lock()
        self._draft = Draft(place.aside(container), full=place.full)

    @property
    def ended(self) -> bool:
        """Whether nothing is left to be done."""
        return self._draft.file < 0

    def write(self, data: bytes) -> None:
        """Append."""
        with self._mutex:
            self._here().write(data)

    def commit(self) -> None:
        """Put it in place."""
        container, name, details = self._target
        with self._mutex:
            draft = self._here()
            draft.flush()
            with self._place.work(container) as work:
                put(work, name, draft, details)
            draft.close()

    def close(self) -> None:
        """Leave nothing, where it is not in place; may be done twice."""
        with self._mutex:
            self._draft.close()

    def _here(self) -> Draft:
        if self.ended:
            raise NotFound(f"the upload of {shown(self._target[1])} has ended")
        return self._draft


class LocalWriting(Writing):
    """A file aside that is moved into place."""

    def __init__(self, threads: Threads, what: str, upload: Upload) -> None:
        self._threads = threads
        self._what = what
        self._upload = upload

    async def write(self, data: bytes) -> None:
        await self._threads.run(self._what, lambda: self._upload.write(data))

    async def commit(self) -> None:
        await self._threads.run(self._what, self._upload.commit)

    async def abort(self) -> None:
        await self._threads.let_go(self._upload)
