"""What is in a folder, in order. Some of it is kept for the next page of a listing, as long as the folder does not change."""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from providers.blobstore.backends.local.names import Parts, meaning

_FOLDERS, _WINDOW, _WORTH = 4, 20_000, 2_000
_SETTLED = 3_000_000_000
"""Nanoseconds after which another change of a folder has another time, on file systems that count in two seconds too."""


class Entry(NamedTuple):
    """A file or folder that stands for a part of a name, or its beginning: then `more` are the names of the folders so far.

    `text`: the part, with the slash behind it for a folder; all names in a folder begin with it. It sorts as its bytes in
    UTF-8 do.
    """

    text: str
    is_file: bool
    rank: int
    name: str
    more: Parts


class _Kept(NamedTuple):
    stamp: tuple[int, int]
    low: str
    entries: list[Entry]
    partly: list[Entry]
    to_the_end: bool


class Scans:
    """What was seen in the last large folders that were listed."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, int, bool], _Kept] = OrderedDict()
        self._mutex = threading.Lock()

    def entries(self, enter: Callable[[], int | None], more: Parts, low: str, *, folding: bool) -> Iterator[Entry]:
        """The entries of a folder from the text `low` on, and before them those beginnings that it has; `enter` opens the folder."""
        folder = enter()
        if folder is None:
            return
        found = os.fstat(folder)
        key, stamp = (found.st_dev, found.st_ino, folding), (found.st_mtime_ns, found.st_ctime_ns)
        kept = self._take(key, stamp, low)
        last = None
        if kept is not None:
            yield from (entry for entry in kept.partly if entry.text < low and low.startswith(entry.text))
            at = bisect_left(kept.entries, (low,))
            if at < len(kept.entries) or kept.to_the_end:
                yield from kept.entries[at:]
                if kept.to_the_end:
                    return
                last = kept.entries[-1]
                folder = enter()
                if folder is None:
                    return
        everything = sorted(_scanned(folder, more, folding=folding))
        if last is not None:
            at = bisect_right(everything, last)
        else:
            at = bisect_left(everything, (low,))
            if kept is None:
                yield from (entry for entry in everything[:at] if entry.more and low.startswith(entry.text))
        if len(everything) >= _WORTH and time.time_ns() - max(stamp) > _SETTLED:
            self._keep(key, _Kept(stamp, low if last is None else last.text + "\0", *_window(everything, at)))
        yield from everything[at:]

    def _take(self, key: tuple[int, int, bool], stamp: tuple[int, int], low: str) -> _Kept | None:
        with self._mutex:
            kept = self._kept.get(key)
            return kept if kept is not None and kept.stamp == stamp and kept.low <= low else None

    def _keep(self, key: tuple[int, int, bool], kept: _Kept) -> None:
        with self._mutex:
            self._kept[key] = kept
            self._kept.move_to_end(key)
            if len(self._kept) > _FOLDERS:
                self._kept.popitem(last=False)


def _window(entries: list[Entry], at: int) -> tuple[list[Entry], list[Entry], bool]:
    return entries[at : at + _WINDOW], [entry for entry in entries if entry.more], at + _WINDOW >= len(entries)


def _scanned(folder: int, more: Parts, *, folding: bool) -> Iterator[Entry]:
    for name, is_folder in listed(folder):
        parts = (*more, name)
        found = meaning(parts, folding=folding, folder=is_folder)
        if found is None:
            continue
        if not is_folder:
            yield Entry(found.text, True, found.rank, name, ())
        elif found.partly:
            yield Entry(found.text, False, found.rank, name, parts)
        else:
            yield Entry(found.text + "/", False, found.rank, name, ())


def listed(folder: int) -> Iterator[tuple[str, bool]]:
    """The names of files and folders, and which are folders; links and other things are left out."""
    with os.scandir(folder) as found:
        for entry in found:
            if entry.is_file(follow_symlinks=False):
                yield entry.name, False
            elif entry.is_dir(follow_symlinks=False):
                yield entry.name, True
