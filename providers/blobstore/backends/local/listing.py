"""Objects in the order of their whole names, of which only the folders are read that a page needs."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from typing import NamedTuple

from providers.blobstore.backend import ObjectInfo, Page
from providers.blobstore.backends.local.files import enter, entered, is_file, status
from providers.blobstore.backends.local.names import Parts, meaning
from providers.blobstore.backends.local.scans import Entry, Scans, listed


class _Item(NamedTuple):
    """A file, or a folder that has not been read. `key`: the file's whole name, or what all names in the folder begin with.

    `way`: the names that lead to it, the ranks of which decide between two files for one name. `more`: for a folder with the beginning of a
    part, the names that it is spelled with; `head`: what is before the part. `rest`: what comes behind it in its folder.
    """

    key: str
    is_file: bool
    ranks: tuple[int, ...]
    way: Parts
    more: Parts
    head: str
    rest: Iterator[_Item]


class Listing:
    """One page. Folders are read in the order of the first name that can be in them, so that names of all of them come in order."""

    def __init__(self, base: int, scans: Scans, *, folding: bool, prefix: str, start: str, after: str) -> None:
        self._scans = scans
        self._folding = folding
        self._prefix, self._start, self._after = prefix, start, after
        self._floor = max(prefix, start, after)
        self._base = base
        self._here, self._at = os.dup(base), Parts()
        self._heap: list[_Item] = []

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
        self._go_on(self._items("", (), (), ()))
        while self._heap:
            item = self._heap[0]
            following = next(item.rest, None)
            if following is None:
                heapq.heappop(self._heap)
            else:
                heapq.heapreplace(self._heap, following)
            if not item.is_file:
                self._go_on(self._items(item.head, item.more, item.ranks, item.way))
            elif item.key != last:
                found = status(self._here, item.way[-1]) if self._enter(item.way[:-1]) is not None else None
                if found is not None and is_file(found):
                    last = item.key
                    yield ObjectInfo(item.key, found.st_size, found.st_mtime_ns)

    def _go_on(self, items: Iterator[_Item]) -> None:
        first = next(items, None)
        if first is not None:
            heapq.heappush(self._heap, first)

    def _items(self, head: str, more: Parts, ranks: tuple[int, ...], way: Parts) -> Iterator[_Item]:
        """What is wanted of a folder, in order."""
        low = self._floor[len(head) :] if self._floor.startswith(head) else ""
        low = low[: low.find("/") + 1] or low
        items: Iterator[_Item]

        def each() -> Iterator[_Item]:
            for entry in self._scans.entries(lambda: self._enter(way), more, low, folding=self._folding):
                key = head + entry.text
                if key[: len(self._prefix)] > self._prefix:
                    return
                if self._wanted(entry, key):
                    below = head if entry.more else key
                    yield _Item(key, entry.is_file, (*ranks, entry.rank), (*way, entry.name), entry.more, below, items)

        items = each()
        return items

    def _wanted(self, entry: Entry, key: str) -> bool:
        if entry.is_file:
            return key.startswith(self._prefix) and key >= self._start and key > self._after
        return (key.startswith(self._prefix) or self._prefix.startswith(key)) and (key >= self._floor or self._floor.startswith(key))

    def _enter(self, way: Parts) -> int | None:
        """The open folder, if it is there; until the next is entered."""
        if way == self._at:
            return self._here
        known = len(self._at)
        try:
            there = enter(self._here, *way[known:]) if way[:known] == self._at else enter(self._base, *way)
        except FileNotFoundError:
            return None
        os.close(self._here)
        self._here, self._at = there, way
        return there


def below(folder: int, *, folding: bool, names: Parts = ()) -> Iterator[tuple[str, Parts]]:
    """The containers in a folder, and the names that lead to them; those that count first, where names have several."""
    found = []
    with entered(folder, *names) as here:
        for name, is_folder in listed(here):
            parts = (*names, name)
            means = meaning(parts, folding=folding, folder=True, slashes=True) if is_folder else None
            if means is not None:
                found.append((means.rank, parts, means))
    for _, parts, means in sorted(found):
        if means.partly:
            yield from below(folder, folding=folding, names=parts)
        else:
            yield means.text, parts
