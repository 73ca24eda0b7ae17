"""An object is removed, with what it carries and the folders that nothing else is in."""

from __future__ import annotations

import logging
import os
from collections.abc import Set as AbstractSet
from contextlib import suppress

from providers.blobstore.backends.local.details import beside
from providers.blobstore.backends.local.files import enter, entered, flush_folder, status, unlink
from providers.blobstore.backends.local.names import Parts
from providers.blobstore.backends.local.putting import Work
from providers.blobstore.backends.local.search import Search

log = logging.getLogger("provider")


def remove(work: Work, name: str) -> None:
    """Remove an object, if it is there; what is out of sight behind it goes first, that it may not come to light."""
    places = [(spot.way, spot.file) for spot in Search(work.base, name, folding=work.folding).spots()]
    for way, file in reversed(places):
        holder = _alone(work, way, {file, beside(file)})
        if holder is None:
            _unlink(work, way, file)
        else:
            try:
                move_away(work, *holder)
            finally:
                os.close(holder[0])


def move_away(work: Work, holder: int, name: str) -> None:
    """Remove a folder of a folder, at once."""
    gone = work.aside.number()
    os.rename(name, gone, src_dir_fd=holder, dst_dir_fd=work.aside.folder)
    work.flushes.note(holder)
    try:
        work.aside.clear(gone, work.more)
    except OSError as error:
        log.warning("what was removed takes up room until the provider ends: %s", error)


def _alone(work: Work, way: Parts, files: AbstractSet[str]) -> tuple[int, str] | None:
    """The highest folder on the way that has nothing but the way and, at its end, the files: its name, and the folder it is in, open."""
    here, holder = os.dup(work.base), None
    try:
        for at, name in enumerate(way):
            there = enter(here, name)
            only = {way[at + 1]} if at + 1 < len(way) else files
            if not _has_only(work, way[: at + 1], there, only):
                if holder is not None:
                    os.close(holder[0])
                holder = None
                os.close(here)
            elif holder is None:
                holder = here, name
            else:
                os.close(here)
            here = there
    except BaseException:
        if holder is not None:
            os.close(holder[0])
        raise
    finally:
        os.close(here)
    return holder


def _has_only(work: Work, way: Parts, folder: int, names: AbstractSet[str]) -> bool:
    # In a large folder one look at what was seen before takes less than reading a part of it.
    other = work.others.get(way)
    if other is not None and other not in names and status(folder, other) is not None:
        return False
    with os.scandir(folder) as entries:
        other = next((entry.name for entry in entries if entry.name not in names), None)
    if other is not None:
        work.others[way] = other
    return other is None


def _unlink(work: Work, way: Parts, file: str) -> None:
    with entered(work.base, *way) as folder:
        note = ""
        if status(folder, beside(file)) is not None:
            note = work.aside.note([str(len(work.names)), *work.names, *way, file])
        unlink(folder, file)
        work.flushes.note(folder)
        if note:
            if work.full:
                flush_folder(folder)
            unlink(folder, beside(file))
            with suppress(OSError):
                unlink(work.aside.folder, note)


def forget(folder: int, file: str) -> None:
    """Remove what an object carried, where it is not there."""
    if status(folder, file) is None:
        unlink(folder, beside(file))
