"""An object that is written is put in its place, with what it carries: by one change of a name, so that the old one is there or the new."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from provider_sdk import PermissionDenied
from providers.blobstore.backend import NO_DETAILS, Details, shown
from providers.blobstore.backends.local.aside import Aside
from providers.blobstore.backends.local.details import Records, beside, encoded, of, read, version
from providers.blobstore.backends.local.files import Flushes, enter, flush, flush_folder, is_folder, status, unlink, write_all
from providers.blobstore.backends.local.names import FILE, FOLDER, MORE, Parts, spelled
from providers.blobstore.backends.local.search import Search, Spot

_TRIES = 20
_CROSSED = frozenset({errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR, errno.ENOENT})
_TICKS = (1, 1_000_000_000, 2_000_000_000)
"""What file systems tell times apart by, in nanoseconds; FAT the last."""


@dataclass
class Work:
    """A container that is locked: its folder and `names`, the way to it below the scope. `flushes`: what has to reach the disk at the end;
    `more`: whether there is time left to clear up; `others`:
    what else was seen in folders from which something is removed."""

    base: int
    names: Parts
    aside: Aside
    flushes: Flushes
    full: bool
    folding: bool
    more: Callable[[], bool]
    others: dict[Parts, str] = field(default_factory=dict)


class Draft:
    """A file aside that is to be an object."""

    def __init__(self, aside: Aside, *, full: bool) -> None:
        self.name = aside.number()
        self.aside = aside
        self._full = full
        self._unflushed = 0
        self.placed = False
        self.file = aside.make(self.name)

    def write(self, data: bytes) -> None:
        """Append. The disk is waited for now and then, so that the end has not to wait for all of it."""
        write_all(self.file, data)
        self._unflushed += len(data)
        if self._full and self._unflushed >= _FLUSH_EVERY:
            flush(self.file)
            self._unflushed = 0

    def flush(self) -> None:
        """Wait for the disk, where that is asked for."""
        if self._full:
            flush(self.file)
        else:
            # A file server takes what was written when a descriptor is closed, and only then says that it cannot.
            os.close(os.dup(self.file))

    def differ(self, old: os.stat_result | None) -> os.stat_result:
        """Its status, of another version than `old`."""
        mine = os.fstat(self.file)
        for tick in _TICKS:
            if old is None or version(mine) != version(old):
                break
            os.utime(self.file, ns=(mine.st_atime_ns, mine.st_mtime_ns + tick))
            self.flush()
            mine = os.fstat(self.file)
        return mine

    def close(self) -> None:
        """Let go of it; what has not become an object is removed. May be done twice."""
        if self.file < 0:
            return
        file, self.file = self.file, -1
        with suppress(OSError):
            os.close(file)
        if not self.placed and self.aside.folder >= 0:
            unlink(self.aside.folder, self.name)


_FLUSH_EVERY = 32 << 20


def put(work: Work, name: str, draft: Draft, details: Details) -> None:
    """Put a draft in the place of an object."""
    for tries_left in reversed(range(_TRIES)):
        try:
            _put(work, name, draft, details)
        except OSError as error:
            # Others who do not know of the lock may come between.
            if error.errno not in _CROSSED or not tries_left or status(draft.aside.folder, draft.name) is None:
                raise
        else:
            draft.placed = True
            return


def _put(work: Work, name: str, draft: Draft, details: Details) -> None:
    search = Search(work.base, name, folding=work.folding)
    with search.first() as spot:
        if spot is not None:
            _into(work, spot, draft, details)
            return
    *above, last = (spelled(part, folding=work.folding) for part in search.parts)
    files = [*(name for parts in above for name in parts), *last]
    with _deepest(work, search.way, files) as (folder, way, (first, *rest)):
        is_last = not rest
        free = free_name(folder, first, want_file=is_last, folding=work.folding)
        if is_last:
            _into(work, Spot(folder, way, free), draft, details)
        else:
            _with_folders(work, folder, (free, *rest), draft, details)


@contextmanager
def _deepest(work: Work, way: Parts, names: list[str]) -> Iterator[tuple[int, Parts, list[str]]]:
    """The last folder on the way that is there, the way to it, and the names that are not."""
    here = enter(work.base, *way)
    try:
        while len(names) > 1 and names[0].endswith(MORE) and is_folder(status(here, names[0])):
            there = enter(here, names[0])
            os.close(here)
            here, way, names = there, (*way, names[0]), names[1:]
        yield here, way, names
    finally:
        os.close(here)


def free_name(folder: int, name: str, *, want_file: bool, folding: bool) -> str:
    """The name, or the one beside it where the other kind has it; what is neither file nor folder stays in the way."""
    found = status(folder, name)
    if found is None:
        return name
    other = name + (FILE if want_file else FOLDER)
    beside_it = stat.S_ISDIR(found.st_mode) if want_file else stat.S_ISREG(found.st_mode)
    if folding and status(folder, name, folding=True) is None:
        beside_it = True
    elif stat.S_ISREG(found.st_mode) if want_file else stat.S_ISDIR(found.st_mode):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
    if name.endswith(MORE) or not beside_it or status(folder, other) is not None:
        raise PermissionDenied(
            f"below root, {shown(name)} is in the way, which is neither a file nor a folder, or was put there beside one: remove it"
        )
    return other


def _into(work: Work, spot: Spot, draft: Draft, details: Details) -> None:
    """Into a folder that is there, over what has the name."""
    records = read(spot.folder, spot.file)
    if records is None and details == NO_DETAILS:
        os.rename(draft.name, spot.file, src_dir_fd=draft.aside.folder, dst_dir_fd=spot.folder)
        work.flushes.note(spot.folder)
    else:
        _with_details(work, spot, draft, details, records)


def _with_details(work: Work, spot: Spot, draft: Draft, details: Details, records: Records | None) -> None:
    old = status(spot.folder, spot.file)
    kept = {} if old is None else {version(old): of(records, version(old))}
    both = {**kept, version(draft.differ(old)): details}
    # Where nothing was, details alone would be left by a crash before the object is there.
    note = work.aside.note([str(len(work.names)), *work.names, *spot.way, spot.file]) if old is None else ""
    try:
        written = work.aside.write(encoded(both), full=work.full)
        os.rename(written, beside(spot.file), src_dir_fd=work.aside.folder, dst_dir_fd=spot.folder)
        if work.full:
            flush_folder(spot.folder)
        os.rename(draft.name, spot.file, src_dir_fd=draft.aside.folder, dst_dir_fd=spot.folder)
    except OSError:
        if old is None:
            unlink(spot.folder, beside(spot.file))
            unlink(work.aside.folder, note)
        raise
    work.flushes.note(spot.folder)
    if details == NO_DETAILS:
        if work.full:
            flush_folder(spot.folder)
        with suppress(OSError):
            unlink(spot.folder, beside(spot.file))
    if note:
        with suppress(OSError):
            unlink(work.aside.folder, note)


def _with_folders(work: Work, folder: int, names: Parts, draft: Draft, details: Details) -> None:
    """With folders that are not there yet: they are made aside and come with the object."""
    top, *middle, file = names
    aside, built = work.aside, work.aside.number()
    os.mkdir(built, dir_fd=aside.folder)
    here = enter(aside.folder, built)
    try:
        for name in middle:
            os.mkdir(name, dir_fd=here)
            there = enter(here, name)
            if work.full:
                flush_folder(here)
            os.close(here)
            here = there
        if details != NO_DETAILS:
            written = aside.write(encoded({version(draft.differ(None)): details}), full=work.full)
            os.rename(written, beside(file), src_dir_fd=aside.folder, dst_dir_fd=here)
        os.rename(draft.name, file, src_dir_fd=draft.aside.folder, dst_dir_fd=here)
        try:
            if work.full:
                flush_folder(here)
            os.rename(built, top, src_dir_fd=aside.folder, dst_dir_fd=folder)
        except OSError:
            os.rename(file, draft.name, src_dir_fd=here, dst_dir_fd=draft.aside.folder)
            raise
    except OSError:
        with suppress(OSError):
            aside.clear(built, work.more)
        raise
    finally:
        os.close(here)
    work.flushes.note(folder)
