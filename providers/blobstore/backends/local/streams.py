"""Objects on their way, up and down, as the provider sees them."""

from __future__ import annotations

import threading

from provider_sdk import NotFound
from providers.blobstore.backend import Details, ObjectInfo, Reading, Writing, shown
from providers.blobstore.backends.local.place import Place
from providers.blobstore.backends.local.putting import Draft, put
from providers.blobstore.backends.local.reading import Opened
from providers.blobstore.backends.local.threads import Threads

_AT_ONCE = 1 << 20
"""Bytes that are moved for each change to a thread and back, which costs as much as copying them."""
_MOST_PIECES = 256


class LocalReading(Reading):
    """An open file: one version, also when another is put in its place or it is removed."""

    def __init__(self, threads: Threads, opened: Opened) -> None:
        self._threads = threads
        self._opened = opened
        self.info: ObjectInfo = opened.info
        self.start, self.length, self.first = opened.start, opened.length, opened.first
        self._ahead = memoryview(b"")

    async def read(self, size: int) -> bytes:
        if not self._ahead:
            if self._opened.ended:
                return b""
            most = max(size, _AT_ONCE)
            block = await self._threads.run(f"the object {shown(self.info.name)} cannot be read", lambda: self._opened.read(most))
            if len(block) <= size:
                return block
            self._ahead = memoryview(block)
        piece, self._ahead = bytes(self._ahead[:size]), self._ahead[size:]
        return piece

    async def close(self) -> None:
        self._ahead = memoryview(b"")
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
        self._pieces: list[bytes] = []
        self._waiting = 0

    async def write(self, data: bytes) -> None:
        self._pieces.append(data)
        self._waiting += len(data)
        if self._waiting >= _AT_ONCE or len(self._pieces) >= _MOST_PIECES:
            pieces = self._taken()
            await self._threads.run(self._what, lambda: self._write(pieces))

    async def commit(self) -> None:
        pieces = self._taken()

        def work() -> None:
            self._write(pieces)
            self._upload.commit()

        await self._threads.run(self._what, work)

    async def abort(self) -> None:
        self._taken()
        await self._threads.let_go(self._upload)

    def _taken(self) -> list[bytes]:
        pieces, self._pieces, self._waiting = self._pieces, [], 0
        return pieces

    def _write(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self._upload.write(piece)
