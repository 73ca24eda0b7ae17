"""The folder of one scope: its containers, their locks, and what is made and cleared away beside them."""

from __future__ import annotations

import errno
import fcntl
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from provider_sdk import NotFound
from providers.blobstore.backend import ContainerInfo, no_container
from providers.blobstore.backends.local.aside import ASIDE, LOCK, Aside, left_behind, notes, take_over
from providers.blobstore.backends.local.births import born
from providers.blobstore.backends.local.files import (
    Flushes,
    enter,
    entered,
    flush_folder,
    folds,
    is_folder,
    make_folder,
    names_in,
    status,
    unlink,
)
from providers.blobstore.backends.local.listing import below
from providers.blobstore.backends.local.names import Parts, spelled, spellings
from providers.blobstore.backends.local.putting import Work
from providers.blobstore.backends.local.removing import forget

log = logging.getLogger("provider")

Later = Callable[[Callable[[], None]], None]
"""Has something done in another thread."""


_CLEARING = 0.2
"""Seconds that are left at the end; a host waits little more than that."""


class Place:
    """One scope below a root, for all threads of one store. `folding`: not to be found out, it is so."""

    def __init__(self, root: Path, scope: str, later: Later, *, full: bool, folding: bool = False) -> None:
        self.full = full
        self._root = root
        self._names = spelled(scope, folding=False) if scope else ()
        self._later = later
        self._mutex = threading.Lock()
        self._until = math.inf
        self._seen = False
        self._aside: Aside | None = None
        self._lost: list[Aside] = []
        self._folding = folding

    @property
    def folding(self) -> bool:
        """Whether names are found under other spellings too."""
        return self._folding

    @contextmanager
    def folder(self) -> Iterator[int]:
        """The scope's folder, open; FileNotFoundError where it is not there yet."""
        root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            scope = enter(root, *self._names)
        finally:
            os.close(root)
        try:
            self._begin(scope)
            yield scope
        finally:
            os.close(scope)

    @contextmanager
    def made(self) -> Iterator[int]:
        """As `folder`, made where it is not there."""
        try:
            with self.folder():
                pass
        except FileNotFoundError:
            self._make()
        with self.folder() as scope:
            yield scope

    @contextmanager
    def container(self, name: str) -> Iterator[int]:
        """A container's folder, open; NotFound."""
        try:
            with self.folder() as scope:
                base = enter(scope, *self._where(scope, name))
        except FileNotFoundError:
            raise no_container(name) from None
        try:
            yield base
        finally:
            os.close(base)

    def info(self, name: str) -> ContainerInfo:
        """One container; NotFound."""
        with self.container(name) as base:
            return ContainerInfo(name, born(base))

    def containers(self) -> list[ContainerInfo]:
        """All, in the order of their names' bytes."""
        found: dict[str, int | None] = {}
        with suppress(FileNotFoundError), self.folder() as scope:
            for name, names in below(scope, folding=self._folding):
                with suppress(FileNotFoundError), entered(scope, *names) as base:
                    found.setdefault(name, born(base))
        return [ContainerInfo(name, found[name]) for name in sorted(found, key=str.encode)]

    def create_container(self, name: str) -> None:
        """Make it, if it is not there."""
        with self.made() as scope:
            try:
                self._where(scope, name)
                return
            except FileNotFoundError:
                self._own(scope)
                names = spelled(name, folding=self._folding)
            here = os.dup(scope)
            try:
                for part in names:
                    if make_folder(here, part) and self.full:
                        flush_folder(here)
                    there = enter(here, part)
                    os.close(here)
                    here = there
            finally:
                os.close(here)

    def remove_container(self, name: str) -> None:
        """Remove it with all that is in it, if it is there: at once for everybody, the files one by one after that."""
        while True:
            try:
                with self._locked(name) as (scope, names, _), entered(scope, *names[:-1]) as holder:
                    aside = self._own(scope)
                    gone = aside.number()
                    os.rename(names[-1], gone, src_dir_fd=holder, dst_dir_fd=aside.folder)
                    if self.full:
                        flush_folder(holder)
            except NotFound:
                return
            self._later(partial(self._clear, aside, gone))

    @contextmanager
    def work(self, name: str) -> Iterator[Work]:
        """A container in which nobody else changes anything meanwhile; at the end what has changed is on the disk. NotFound."""
        with Flushes(full=self.full) as flushes:
            with self._locked(name) as (scope, names, base):
                aside = self._own(scope)
                yield Work(base, names, aside, flushes, self.full, self._folding, self._more)
            flushes.wait()

    def aside(self, container: str) -> Aside:
        """Where an object of a container is written; NotFound for the container."""
        with self.container(container), self.folder() as scope:
            return self._own(scope)

    def stop(self) -> None:
        """Whatever is being cleared away has little time left: the next store goes on with it."""
        self._until = time.monotonic() + _CLEARING

    def _more(self) -> bool:
        return time.monotonic() < self._until

    def close(self) -> None:
        """Leave nothing behind that can be removed quickly."""
        with self._mutex:
            while self._lost:
                self._lost.pop().close()
            if self._aside is None:
                return
            aside, self._aside = self._aside, None
            try:
                with self.folder() as scope:
                    self._heed(scope, aside.folder)
                for name in names_in(aside.folder):
                    if is_folder(status(aside.folder, name)):
                        aside.clear(name, self._more)
                    elif name != LOCK:
                        unlink(aside.folder, name)
            except OSError as error:
                log.warning("what is left aside is for the next store that opens the same root to remove: %s", error)
            finally:
                aside.close()

    def _make(self) -> None:
        new = [path for path in (self._root, *self._root.parents) if not path.exists()]
        self._root.mkdir(parents=True, exist_ok=True)
        root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in self._names:
                make_folder(root, name)
            if self.full:
                flush_folder(root)
        finally:
            os.close(root)
        for path in new if self.full else ():
            above = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                flush_folder(above)
            finally:
                os.close(above)

    def _where(self, scope: int, name: str) -> Parts:
        """The names that lead to a container; FileNotFoundError."""
        for names in spellings(name, folding=self._folding, folder=True, slashes=True):
            with suppress(FileNotFoundError):
                os.close(enter(scope, *names, folding=self._folding))
                return names
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)

    @contextmanager
    def _locked(self, name: str) -> Iterator[tuple[int, Parts, int]]:
        """The scope, the names that lead to a container, and its folder, locked; NotFound."""
        with ExitStack() as stack:
            try:
                scope = stack.enter_context(self.folder())
                names = self._where(scope, name)
                base = stack.enter_context(locked(scope, names))
            except FileNotFoundError:
                raise no_container(name) from None
            yield scope, names, base

    def _own(self, scope: int) -> Aside:
        with self._mutex:
            if self._aside is not None and not self._aside.alive():
                # What is on its way goes on to use it, in vain.
                self._lost.append(self._aside)
                self._aside = None
            if self._aside is None:
                self._aside = Aside(scope)
                self._folding = self._folding or self._aside.folding
            return self._aside

    def _begin(self, scope: int) -> None:
        """At first use: how names are spelled here, and what dead stores have left."""
        if self._seen:
            return
        with self._mutex:
            if self._seen:
                return
            self._folding = self._folding or folds(scope)
            self._seen = True
            if left_behind(scope) is not None:
                self._later(self._sweep)

    def _sweep(self) -> None:
        try:
            with self.folder() as scope:
                for name in left_behind(scope) or ():
                    self._sweep_one(scope, name)
                with suppress(OSError):
                    os.rmdir(ASIDE, dir_fd=scope)
        except OSError as error:
            log.warning("what a store that died has left aside cannot be removed: %s", error)

    def _sweep_one(self, scope: int, name: str) -> None:
        own = self._own(scope)
        if name != own.name and (taken := take_over(scope, name, own)):
            with entered(own.folder, taken) as folder:
                self._heed(scope, folder)
            own.clear(taken, self._more)

    def _heed(self, scope: int, folder: int) -> None:
        for count, *names in notes(folder):
            way = int(count) if count.isdecimal() else 0
            with suppress(FileNotFoundError), locked(scope, tuple(names[:way])) as base, entered(base, *names[way:-1]) as last:
                forget(last, names[-1])

    def _clear(self, aside: Aside, gone: str) -> None:
        try:
            aside.clear(gone, self._more)
        except OSError as error:
            log.warning("a container that was removed takes up room until the provider ends: %s", error)


@contextmanager
def locked(scope: int, names: Parts) -> Iterator[int]:
    """A container's folder, in which no other store changes anything meanwhile; FileNotFoundError where it is not there."""
    while True:
        base = enter(scope, *names)
        try:
            fcntl.flock(base, fcntl.LOCK_EX)
            # It may have been removed while the lock was waited for.
            with entered(scope, *names) as now:
                if os.path.sameopenfile(base, now):
                    yield base
                    return
        finally:
            os.close(base)
