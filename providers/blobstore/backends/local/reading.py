"""Objects are opened and looked at: data and what they carry, both of one version."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TypeVar

from provider_sdk import Unavailable
from providers.blobstore.backend import Details, First, ObjectInfo, no_object, shown, span
from providers.blobstore.backends.local import details
from providers.blobstore.backends.local.files import is_file, open_file, same, status
from providers.blobstore.backends.local.place import Place
from providers.blobstore.backends.local.search import Search, Spot

_TRIES = 20
_AT_ONCE = 16 << 20

T = TypeVar("T")


class Opened:
    """A version of an object, or a range of it; `first` are the bytes that were read along. Closed when all was read along."""

    def __init__(self, file: int, info: ObjectInfo, start: int, end: int | None, first: First) -> None:
        self.info, self.start = info, start
        self.length = span(start, end, info.size)
        self._file = file
        self._at, self._end = start, start + self.length
        self._mutex = threading.Lock()
        self.first = self._whole(first(self.length)) if self.length else b""
        if self._at == self._end:
            self.close()

    @property
    def ended(self) -> bool:
        """Whether the file is closed."""
        return self._file < 0

    def read(self, size: int) -> bytes:
        """The next bytes, fewer than `size` at the end alone."""
        with self._mutex:
            return self._whole(min(size, self._end - self._at))

    def close(self) -> None:
        """Let go of the file; may be done twice."""
        with self._mutex:
            file, self._file, self._at = self._file, -1, self._end
        if file >= 0:
            os.close(file)

    def _whole(self, size: int) -> bytes:
        pieces = []
        while size > 0:
            piece = os.pread(self._file, min(size, _AT_ONCE), self._at)
            if not piece:
                # Somebody has cut the file without this program.
                raise Unavailable(
                    f"the object {shown(self.info.name)} has lost its end while it was read: something else writes below root"
                )
            pieces.append(piece)
            self._at += len(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def open_object(place: Place, container: str, name: str, start: int, end: int | None, first: First) -> Opened:
    """Open an object for reading from `start` to `end`; NotFound."""

    def opened(spot: Spot) -> Opened:
        found = open_file(spot.folder, spot.file)
        if found is None:
            raise _Changed
        file, status_ = found
        try:
            return Opened(file, _info(name, spot, status_), start, end, first)
        except BaseException:
            os.close(file)
            raise

    return _steady(place, container, name, opened)


def info(place: Place, container: str, name: str) -> ObjectInfo:
    """What is known of an object; NotFound."""

    def looked(spot: Spot) -> ObjectInfo:
        found = status(spot.folder, spot.file)
        if found is None or not is_file(found):
            raise _Changed
        return _info(name, spot, found)

    return _steady(place, container, name, looked)


class _Changed(Exception):
    """Another version has come meanwhile."""


def _steady(place: Place, container: str, name: str, look: Callable[[Spot], T]) -> T:
    for _ in range(_TRIES):
        with place.container(container) as base, Search(base, name, folding=place.folding).first() as spot:
            if spot is None:
                raise no_object(container, name)
            try:
                return look(spot)
            except _Changed:
                continue
    raise Unavailable(f"the object {shown(name)} changes all the time: try again")


def _info(name: str, spot: Spot, found: os.stat_result) -> ObjectInfo:
    return ObjectInfo(name, found.st_size, found.st_mtime_ns, _carried(spot, found))


def _carried(spot: Spot, found: os.stat_result) -> Details:
    """What the version that was found carries."""
    records = details.read(spot.folder, spot.file)
    version = details.version(found)
    if records and version in records:
        return records[version]
    # What another version carried may have been read, if this is not the last.
    if not same(found, status(spot.folder, spot.file)):
        raise _Changed
    return details.of(records, version)
