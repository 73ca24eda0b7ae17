"""The hidden folder in which a store makes what it then moves into place, and takes apart what it has moved away.

`.aside` in the folder of a scope has a folder for each store that is open there. A file in it is locked as long as that store's process
lives; where nobody holds it, whoever comes next clears away what is left. That lock, unlike one on a folder, also holds between machines on
one file server.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import json
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from itertools import islice

from providers.blobstore.backends.local.files import (
    MAKE,
    content,
    enter,
    entered,
    flush,
    folds,
    make_folder,
    names_in,
    status,
    unlink,
    write_all,
)

ASIDE, LOCK, NOTE = ".aside", ".lock", "note-"
_BATCH, _TRIES = 1000, 100
_LARGEST_NOTE = 1 << 20
_NOT_EMPTY = frozenset({errno.ENOTEMPTY, errno.EEXIST})
_BUSY = frozenset({errno.EWOULDBLOCK, errno.EACCES})


class Aside:
    """One store's folder in `.aside`. `folding`: the file system finds names under other spellings too."""

    def __init__(self, scope: int) -> None:
        self._numbers = itertools.count(1)
        self._scope = os.dup(scope)
        try:
            make_folder(scope, ASIDE)
            self.name, self.folder, self._lock = _a_folder(scope)
        except BaseException:
            os.close(self._scope)
            raise
        try:
            self.folding = self._probe()
        except BaseException:
            self.close()
            raise

    def number(self) -> str:
        """A name that nothing here has."""
        return str(next(self._numbers))

    def make(self, name: str) -> int:
        """A new file of that name, for writing."""
        return os.open(name, MAKE, 0o666, dir_fd=self.folder)

    def write(self, data: bytes, *, full: bool, name: str = "") -> str:
        """The name of a new file with that content, by default a number."""
        name = name or self.number()
        file = self.make(name)
        try:
            write_all(file, data)
            if full:
                flush(file)
        except OSError:
            unlink(self.folder, name)
            raise
        finally:
            os.close(file)
        return name

    def note(self, names: list[str]) -> str:
        """Note the file whose details have to go if it is not there when this store has died."""
        return self.write(json.dumps(names).encode(), full=False, name=NOTE + self.number())

    def alive(self) -> bool:
        """Whether the folder is still in its place: somebody may have removed it."""
        return status(self.folder, LOCK) is not None

    def clear(self, name: str, more: Callable[[], bool]) -> None:
        """Remove a folder with all that is in it; while there is `more` time, the rest is left to the next store.

        Folders in it are moved up first: so there is no end to how deep they may be.
        """
        waiting = [name]
        while waiting and more():
            with suppress(FileNotFoundError):
                with entered(self.folder, waiting[-1]) as folder:
                    moved = self._clear_some(folder)
                waiting += moved
                if moved or not _removed(self.folder, waiting[-1]):
                    continue
            waiting.pop()

    def _clear_some(self, folder: int) -> list[str]:
        """Remove files and move folders up, as many as are taken at once; names for which there is more to do."""
        moved = []
        with os.scandir(folder) as entries:
            some = list(islice(entries, _BATCH))
        for entry in some:
            if entry.is_dir(follow_symlinks=False):
                moved.append(self.number())
                os.rename(entry.name, moved[-1], src_dir_fd=folder, dst_dir_fd=self.folder)
            else:
                unlink(folder, entry.name)
        return moved

    def _probe(self) -> bool:
        """Look at names that are found otherwise. Where such a name cannot be, none may be written either."""
        name = "Aé"
        try:
            os.close(self.make(name))
        except OSError as error:
            if error.errno in (errno.EILSEQ, errno.EINVAL):
                return True
            raise
        try:
            return folds(self.folder)
        finally:
            unlink(self.folder, name)

    def close(self) -> None:
        """Let go of the folder, and remove it if nothing is left in it. File servers keep what is removed while it is open."""
        os.close(self._lock)
        with suppress(OSError):
            if names_in(self.folder) == [LOCK]:
                unlink(self.folder, LOCK)
                with entered(self._scope, ASIDE) as above:
                    os.rmdir(self.name, dir_fd=above)
                os.rmdir(ASIDE, dir_fd=self._scope)
        for file in (self.folder, self._scope):
            os.close(file)
        self.folder = -1


def _a_folder(scope: int) -> tuple[str, int, int]:
    """A new folder in `.aside`, open, with its lock: whoever clears up may come between."""
    for _ in range(_TRIES):
        name = secrets.token_hex(8)
        make_folder(scope, ASIDE)
        with suppress(FileNotFoundError), entered(scope, ASIDE) as above:
            os.mkdir(name, dir_fd=above)
            folder = enter(above, name)
            lock = None
            try:
                lock = os.open(LOCK, MAKE, 0o666, dir_fd=folder)
                if _locked(lock) and os.fstat(lock).st_nlink:
                    kept, lock = lock, None
                    return name, folder, kept
            except BaseException:
                os.close(folder)
                raise
            finally:
                if lock is not None:
                    os.close(lock)
            os.close(folder)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), ASIDE)


def _removed(folder: int, name: str) -> bool:
    """Whether a folder could be removed, which is so when it is empty."""
    try:
        os.rmdir(name, dir_fd=folder)
    except OSError as error:
        if error.errno in _NOT_EMPTY:
            return False
        raise
    return True


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            return False
        raise
    return True


def left_behind(scope: int) -> list[str] | None:
    """Folders in `.aside`, those of dead stores among them; None where it is not there."""
    with suppress(FileNotFoundError), entered(scope, ASIDE) as above:
        return names_in(above)
    return None


def take_over(scope: int, name: str, own: Aside) -> str:
    """Move the folder of a dead store into one's own; empty where it lives, or is gone."""
    with suppress(FileNotFoundError), entered(scope, ASIDE) as above, entered(above, name) as folder:
        lock = _its_lock(folder)
        if lock is None and not _removed(above, name):
            # The lock is the first that a store makes there: it may have come meanwhile, else there is none that lives.
            lock = _its_lock(folder)
        elif lock is None:
            return ""
        try:
            if lock is None or _locked(lock):
                number = own.number()
                os.rename(name, number, src_dir_fd=above, dst_dir_fd=own.folder)
                return number
        finally:
            if lock is not None:
                os.close(lock)
    return ""


def _its_lock(folder: int) -> int | None:
    try:
        return os.open(LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None


def notes(folder: int) -> list[list[str]]:
    """What is noted in the folder of a store."""
    found = []
    for name in names_in(folder):
        data = content(folder, name, _LARGEST_NOTE) if name.startswith(NOTE) else None
        if data:
            found.append(_names(data))
    return [names for names in found if names]


def _names(data: bytes) -> list[str]:
    try:
        names = json.loads(data)
    except ValueError:
        return []
    return names if isinstance(names, list) and all(isinstance(name, str) and name and "/" not in name for name in names) else []
