"""Objects in the order of their whole names, of which only the folders are read that a page needs."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from typing import NamedTuple

from providers.blobstore.backend import ObjectInfo, Page
from providers.blobstore.backends.local.files import enter, entered, is_file, status
from providers.blobstore.backends.local.names import Meaning, Parts, meaning


class _Item(NamedTuple):
    """A file, or a folder that has not been read. `key`: the file's whole name, or what all names in the folder begin with, in bytes.

    `way`: the names that lead to it, the ranks of which decide between two files for one name. A folder with a beginning of a part has what
    was before the part in `head`, and in `more` its own names.
    """

    key: bytes
    is_file: bool
    ranks: tuple[int, ...]
    way: Parts
    head: bytes
    more: Parts


class Listing:
    """One page; the folders that are left to read are in a heap by the first name that can be in them, so that all comes in order."""

    def __init__(self, base: int, *, folding: bool, prefix: str, start: str, after: str) -> None:
        self._folding = folding
        self._prefix, self._start, self._after = prefix.encode(), start.encode(), after.encode()
        self._floor = max(self._start, self._after)
        self._base = base
        self._here, self._at = os.dup(base), Parts()
        self._heap = [_Item(b"", False, (), (), b"", ())]

    def page(self, most: int) -> Page:
        """The first `most`."""
        found: list[ObjectInfo] = []
        try:
            for info in self._objects():
                if len(found) == most:
                    return Page(found, more=True)
                found.append(info)
        finally:
            os.close(self._here)
        return Page(found, more=False)

    def _objects(self) -> Iterator[ObjectInfo]:
        last = None
        while self._heap:
            item = heapq.heappop(self._heap)
            if not item.is_file:
                self._read(item)
            elif item.key != last:
                status_ = self._status(item.way)
                if status_ is not None and is_file(status_):
                    last = item.key
                    yield ObjectInfo(item.key.decode(), status_.st_size, status_.st_mtime_ns)

    def _status(self, way: Parts) -> os.stat_result | None:
        return status(self._here, way[-1]) if self._enter(way[:-1]) else None

    def _enter(self, way: Parts) -> bool:
        """Be in that folder, if it is there."""
        if way == self._at:
            return True
        known = len(self._at)
        below_here = way[:known] == self._at
        try:
            there = enter(self._here, *way[known:]) if below_here else enter(self._base, *way)
        except FileNotFoundError:
            return False
        os.close(self._here)
        self._here, self._at = there, way
        return True

    def _read(self, item: _Item) -> None:
        if not self._enter(item.way):
            return
        new = [
            _Item(key, True, (*item.ranks, found.rank), (*item.way, name), b"", ())
            if not folder
            else _Item(key, False, (*item.ranks, found.rank), (*item.way, name), item.head if more else key, more)
            for key, found, folder, name, more in self._entries(item)
        ]
        if len(new) > len(self._heap):
            self._heap += new
            heapq.heapify(self._heap)
        else:
            for other in new:
                heapq.heappush(self._heap, other)

    def _entries(self, item: _Item) -> Iterator[tuple[bytes, Meaning, bool, str, Parts]]:
        for name, folder in entries(self._here):
            parts = (*item.more, name)
            found = meaning(parts, folding=self._folding, folder=folder)
            if found is None:
                continue
            key = item.head + found.text.encode()
            if folder and not found.partly:
                key += b"/"
            if self._wanted_below(key) if folder else self._wanted(key):
                yield key, found, folder, name, parts if found.partly else ()

    def _wanted(self, key: bytes) -> bool:
        return key.startswith(self._prefix) and key >= self._start and key > self._after

    def _wanted_below(self, key: bytes) -> bool:
        return (key.startswith(self._prefix) or self._prefix.startswith(key)) and (key >= self._floor or self._floor.startswith(key))


def entries(folder: int) -> Iterator[tuple[str, bool]]:
    """The names of files and folders, and which are folders; links and other things are left out."""
    with os.scandir(folder) as found:
        for entry in found:
            if entry.is_file(follow_symlinks=False):
                yield entry.name, False
            elif entry.is_dir(follow_symlinks=False):
                yield entry.name, True


def below(folder: int, *, folding: bool, names: Parts = ()) -> Iterator[tuple[str, Parts]]:
    """The containers in a folder, and the names that lead to them; those that count first, where names have several."""
    found = []
    with entered(folder, *names) as here:
        for name, is_dir in entries(here):
            parts = (*names, name)
            means = meaning(parts, folding=folding, folder=True, slashes=True) if is_dir else None
            if means is not None:
                found.append((means.rank, parts, means))
    for _, parts, means in sorted(found):
        if means.partly:
            yield from below(folder, folding=folding, names=parts)
        else:
            yield means.text, parts
