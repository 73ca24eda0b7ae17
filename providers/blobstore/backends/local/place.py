"""The folder of one scope: its containers, their locks, and what is made and cleared away beside them."""

from __future__ import annotations

import errno
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from provider_sdk import NotFound, Unavailable
from providers.blobstore.backend import ContainerInfo, no_container
from providers.blobstore.backends.local.aside import Aside, left_behind
from providers.blobstore.backends.local.births import born
from providers.blobstore.backends.local.files import (
    Flushes,
    enter,
    entered,
    flush_folder,
    folds,
    make_folder,
)
from providers.blobstore.backends.local.leftovers import locked, sweep, tidy
from providers.blobstore.backends.local.listing import below
from providers.blobstore.backends.local.names import Parts, spelled, spellings
from providers.blobstore.backends.local.putting import Work, free_name
from providers.blobstore.backends.local.scans import Scans

log = logging.getLogger("provider")

Later = Callable[[Callable[[], None]], None]
"""Has something done in another thread."""


_CLEARING = 0.2
"""Seconds that are left at the end; a host waits little more than that."""


class Place:
    """One scope below a root, for all threads of one store. `folding`: not to be found out, it is so."""

    def __init__(self, root: Path, scope: str, later: Later, *, full: bool, folding: bool = False) -> None:
        self.full = full
        self.scans = Scans()
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
        try:
            root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except NotADirectoryError as error:
            raise Unavailable("root, where objects are kept, is no folder: remove what has its name, or set another") from error
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
        with ExitStack() as stack:
            try:
                _, base = self._where(stack.enter_context(self.folder()), name)
            except FileNotFoundError:
                raise no_container(name) from None
            stack.callback(os.close, base)
            yield base

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
                os.close(self._where(scope, name)[1])
                return
            except FileNotFoundError:
                self._own(scope)
                names = spelled(name, folding=self._folding)
            self._make_folders(scope, names)

    def _make_folders(self, scope: int, names: Parts) -> None:
        here = os.dup(scope)
        try:
            for name in names[:-1]:
                make_folder(here, name)
                there = enter(here, name)
                if self.full:
                    flush_folder(here)
                os.close(here)
                here = there
            with suppress(FileExistsError):  # another has made it meanwhile
                make_folder(here, free_name(here, names[-1], want_file=False, folding=self._folding))
            if self.full:
                flush_folder(here)
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
        try:
            with self.folder() as scope:
                os.close(self._where(scope, container)[1])
                return self._own(scope)
        except FileNotFoundError:
            raise no_container(container) from None

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
                    tidy(scope, aside, self._more)
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

    def _where(self, scope: int, name: str) -> tuple[Parts, int]:
        """The names that lead to a container, and its folder, to be closed; FileNotFoundError."""
        for names in spellings(name, folding=self._folding, folder=True, slashes=True):
            with suppress(FileNotFoundError):
                return names, enter(scope, *names, folding=self._folding)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)

    @contextmanager
    def _locked(self, name: str) -> Iterator[tuple[int, Parts, int]]:
        """The scope, the names that lead to a container, and its folder, locked; NotFound."""
        with ExitStack() as stack:
            try:
                scope = stack.enter_context(self.folder())
                names, base = self._where(scope, name)
                os.close(base)
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
                sweep(scope, lambda: self._own(scope), self._more)
        except OSError as error:
            log.warning("what a store that died has left aside cannot be removed: %s", error)

    def _clear(self, aside: Aside, gone: str) -> None:
        try:
            aside.clear(gone, self._more)
        except OSError as error:
            log.warning("a container that was removed takes up room until the provider ends: %s", error)
