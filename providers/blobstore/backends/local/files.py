"""Files and folders by name below an open folder. No path is ever put together, and no link followed, so nothing leads out of it."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Self

INTO = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
MAKE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_TRIED, _FOLDERS_AT_ONCE = 100, 64
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EILSEQ})
_NO_FILE = frozenset({errno.ENXIO, errno.ENODEV})
"""What opening a socket, or the file of a device that is not there, says."""
_NO_FLUSH = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
_WHOLE_DISK = getattr(fcntl, "F_FULLFSYNC", None)
"""What macOS has for it; its fsync leaves the data in the disk's own memory."""


def status(folder: int, name: str, *, folding: bool = False) -> os.stat_result | None:
    """Of what has that name, links themselves. `folding`: it has to be spelled so, while the file system also finds it otherwise."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise
    return found if not folding or name in names_in(folder) else None


def is_file(found: os.stat_result | None) -> bool:
    """Whether it is an object's: a regular file."""
    return found is not None and stat.S_ISREG(found.st_mode)


def is_folder(found: os.stat_result | None) -> bool:
    """Whether it is a folder itself, no link to one."""
    return found is not None and stat.S_ISDIR(found.st_mode)


def same(one: os.stat_result, other: os.stat_result | None) -> bool:
    """Whether both are of one file with the same content."""
    return other is not None and (one.st_ino, one.st_dev, one.st_mtime_ns, one.st_size) == (
        other.st_ino,
        other.st_dev,
        other.st_mtime_ns,
        other.st_size,
    )


def enter(folder: int, *names: str, folding: bool = False) -> int:
    """The folder that is reached by those names one after another, to be closed; FileNotFoundError where one is no folder."""
    here = folder
    try:
        for name in names:
            if folding and name not in names_in(here):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
            there = os.open(name, INTO, dir_fd=here)
            if here != folder:
                os.close(here)
            here = there
    except OSError as error:
        if here != folder:
            os.close(here)
        if error.errno in _ABSENT:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), error.filename) from error
        raise
    return here if names else os.dup(folder)


@contextmanager
def entered(folder: int, *names: str) -> Iterator[int]:
    """As `enter`, closed at the end."""
    there = enter(folder, *names)
    try:
        yield there
    finally:
        os.close(there)


def reached(folder: int, names: tuple[str, ...], *, folding: bool = False) -> int | None:
    """As `enter`; None where it is not there."""
    try:
        return enter(folder, *names, folding=folding)
    except FileNotFoundError:
        return None


@contextmanager
def within(folder: int, names: tuple[str, ...], *, folding: bool = False) -> Iterator[int | None]:
    """As `reached`, closed at the end; mostly there are no names, and it is the folder itself."""
    there = reached(folder, names, folding=folding) if names else folder
    try:
        yield there
    finally:
        if names and there is not None:
            os.close(there)


def open_file(folder: int, name: str) -> tuple[int, os.stat_result] | None:
    """A regular file, for reading, and its status; None where there is none. Nobody is waited for, should it be a pipe."""
    try:
        file = os.open(name, READ, dir_fd=folder)
    except OSError as error:
        if error.errno in _ABSENT or error.errno in _NO_FILE:
            return None
        raise
    found = os.fstat(file)
    if is_file(found):
        return file, found
    os.close(file)
    return None


def content(folder: int, name: str, most: int) -> bytes | None:
    """What is in a small file, `most` bytes of it; None where there is none."""
    found = open_file(folder, name)
    if found is None:
        return None
    try:
        return os.read(found[0], most)
    finally:
        os.close(found[0])


def unlink(folder: int, name: str) -> None:
    """Remove a file, if it is there."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def make_folder(folder: int, name: str) -> bool:
    """Whether it was made: it may be there."""
    try:
        os.mkdir(name, dir_fd=folder)
    except FileExistsError:
        return False
    return True


def write_all(file: int, data: bytes | memoryview) -> None:
    """Append. A full disk takes a part before it says so."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def flush(file: int) -> None:
    """Wait until the content is on the disk."""
    if _WHOLE_DISK is None:
        os.fsync(file)
    else:
        fcntl.fcntl(file, _WHOLE_DISK)


def flush_folder(folder: int) -> None:
    """Wait until the names in it are on the disk. Some file systems refuse, for there they are at once."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in _NO_FLUSH:
            raise


def names_in(folder: int) -> list[str]:
    """What there is in it, hidden files too."""
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def folds(folder: int) -> bool:
    """Whether what is in a folder is found under other spellings too: other capitals, another form of accented letters."""
    names = set(names_in(folder))
    for name in islice(names, _TRIED):
        others = {name.swapcase(), unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)} - names
        if any(status(folder, other) is not None for other in others):
            return True
    return False


class Flushes:
    """Folders in which names have changed; they are waited for together, after the locks are released."""

    def __init__(self, *, full: bool) -> None:
        self._full = full
        self._folders: dict[tuple[int, int], int] = {}

    def note(self, folder: int) -> None:
        """Remember a folder; its descriptor may be closed meanwhile."""
        if not self._full:
            return
        found = os.fstat(folder)
        key = found.st_dev, found.st_ino
        if key not in self._folders:
            self._folders[key] = os.dup(folder)
        if len(self._folders) == _FOLDERS_AT_ONCE:
            self.wait()

    def wait(self) -> None:
        """Until all are on the disk."""
        while self._folders:
            key, folder = next(iter(self._folders.items()))
            flush_folder(folder)
            os.close(self._folders.pop(key))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._folders:
            os.close(self._folders.popitem()[1])
