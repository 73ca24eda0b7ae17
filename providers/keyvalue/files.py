"""Files of a dump: read twice whatever they are, written aside."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast


@contextmanager
def reading(path: Path | None) -> Iterator[BinaryIO]:
    """The file, or standard input: what cannot be read twice is copied to a file without a name first."""
    if path is None:
        with _seekable(sys.stdin.buffer) as file:
            yield file
    else:
        with path.open("rb") as opened, _seekable(opened) as file:
            yield file


@contextmanager
def _seekable(file: BinaryIO) -> Iterator[BinaryIO]:
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file.tell() == 0:
        yield file
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(file, copy)
        copy.seek(0)
        yield cast("BinaryIO", copy)


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A file that is there under its name when all of it is on the disk, and not at all after an error; readable by its owner only."""
    path = path.resolve()
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            yield device
        return
    descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
