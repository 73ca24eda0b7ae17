"""What stores leave aside, those that died and one that ends: it is finished or removed. Who changes a container locks it."""

from __future__ import annotations

import fcntl
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from provider_sdk import Unavailable
from providers.blobstore.backends.local.aside import ASIDE, LOCK, Aside, left_behind, notes, take_over
from providers.blobstore.backends.local.files import enter, entered, is_folder, names_in, status, unlink, within
from providers.blobstore.backends.local.names import Parts
from providers.blobstore.backends.local.removing import forget

LOCK_WAIT = 5.0
"""Seconds for which a change waits for others of the same container."""


@contextmanager
def locked(scope: int, names: Parts) -> Iterator[int]:
    """A container's folder, in which no other store changes anything meanwhile; FileNotFoundError where it is not there."""
    while True:
        base = enter(scope, *names)
        try:
            _lock(base)
            # It may have been removed while the lock was waited for.
            with within(scope, names[:-1]) as above:
                now = None if above is None else status(above, names[-1])
            if now is not None and os.path.samestat(now, os.fstat(base)):
                yield base
                return
        finally:
            os.close(base)


def _lock(base: int) -> None:
    """Wait for the lock, but not for ever: whoever has it may have been stopped, and the threads that wait could do other work."""
    until, nap = time.monotonic() + LOCK_WAIT, 0.0005
    while True:
        try:
            fcntl.flock(base, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise Unavailable(f"another process has changed the container for {LOCK_WAIT:g} s, and does not end: look at it") from error
            time.sleep(random.uniform(0.5, 1) * nap)
            nap = min(2 * nap, 0.01)
        else:
            return


def sweep(scope: int, own: Callable[[], Aside], more: Callable[[], bool]) -> None:
    """Remove what dead stores have left, by way of one's own folder; while there is `more` time, the next store has the rest."""
    for name in left_behind(scope) or ():
        aside = own()
        if name != aside.name and (taken := take_over(scope, name, aside)):
            with entered(aside.folder, taken) as folder:
                _heed(scope, folder)
            aside.clear(taken, more)
    with suppress(OSError):
        os.rmdir(ASIDE, dir_fd=scope)


def tidy(scope: int, aside: Aside, more: Callable[[], bool]) -> None:
    """Remove what is left in one's own folder, for which there is `more` time."""
    _heed(scope, aside.folder)
    for name in names_in(aside.folder):
        if is_folder(status(aside.folder, name)):
            aside.clear(name, more)
        elif name != LOCK:
            unlink(aside.folder, name)


def _heed(scope: int, folder: int) -> None:
    for count, *names in notes(folder):
        way = int(count) if count.isdecimal() else 0
        with suppress(FileNotFoundError), locked(scope, tuple(names[:way])) as base, entered(base, *names[way:-1]) as last:
            forget(last, names[-1])
