"""Where objects are: the folders of a container are gone through by the parts of a name."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

from providers.blobstore.backends.local.files import is_file, is_folder, reached, status, within
from providers.blobstore.backends.local.names import Parts, spellings


class Spot(NamedTuple):
    """An object's place: its folder, open until the next spot is looked for, the way there, and the name of the file."""

    folder: int
    way: Parts
    file: str


class Search:
    """The places of one object below an open folder: none or one, more where others than this program put files.

    Those that are found later are out of sight behind the first. `way` and `parts`: the folders that lead to where it would be, as far as
    they are there, and what of the name is left.
    """

    def __init__(self, base: int, name: str, *, folding: bool) -> None:
        self._base = base
        self._folding = folding
        self._segments = name.split("/")
        self.way: Parts = ()
        self.parts = self._segments

    @contextmanager
    def first(self) -> Iterator[Spot | None]:
        """The first place."""
        with closing(self.spots()) as spots:
            yield next(spots, None)

    def spots(self) -> Generator[Spot, None, None]:
        """All of them, in the order that counts."""
        waiting: list[tuple[Parts, int]] = [((), 0)]
        here, at = self._base, Parts()
        last = len(self._segments) - 1
        try:
            while waiting:
                way, index = waiting.pop()
                start, rest = (here, way[len(at) :]) if way[: len(at)] == at else (self._base, way)
                if rest:
                    there = reached(start, rest)
                    if there is None:
                        continue
                    if here != self._base:
                        os.close(here)
                    here = there
                at = way
                if len(self._segments) - index < len(self.parts):
                    self.way, self.parts = way, self._segments[index:]
                if index == last:
                    yield from self._files(here, way)
                else:
                    waiting += [((*way, *parts), index + 1) for parts in reversed(self._folders(here, self._segments[index]))]
        finally:
            if here != self._base:
                os.close(here)

    def _folders(self, here: int, text: str) -> list[Parts]:
        found = []
        for parts in spellings(text, folding=self._folding, folder=True):
            with within(here, parts[:-1], folding=self._folding) as folder:
                if folder is not None and is_folder(status(folder, parts[-1], folding=self._folding)):
                    found.append(parts)
        return found

    def _files(self, here: int, way: Parts) -> Iterator[Spot]:
        for parts in spellings(self._segments[-1], folding=self._folding, folder=False):
            with within(here, parts[:-1], folding=self._folding) as folder:
                if folder is not None and is_file(status(folder, parts[-1], folding=self._folding)):
                    yield Spot(folder, (*way, *parts[:-1]), parts[-1])
