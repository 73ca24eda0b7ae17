"""A blob into a file: into a partial one beside it first, which a later run goes on with."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

from provider_packaging.oci.blob import PIECE, Progress, nobody, stream
from provider_packaging.oci.manifest import Descriptor, Digester
from provider_packaging.oci.registry import Registry
from provider_sdk.errors import PreconditionFailed, Unavailable


def partial_file(path: Path, digest: str) -> Path:
    """Where a download into `path` keeps what it has: another one a digest."""
    return path.with_name(f"{path.name}.{digest.partition(':')[2][:12]}.partial")


def download(registry: Registry, repository: str, blob: Descriptor, path: Path, progress: Progress = nobody) -> None:
    """Fetch a blob into a file, which is there once its digest was found right; before, nothing is at its place."""
    partial = partial_file(path, blob.digest)
    with _opened(partial) as file:
        found = Digester(blob.digest)
        have = _known(file, found, blob.size)
        resumed = have > 0
        _fetch(registry, repository, blob, file, found, have, progress)
        if found.digest != blob.digest and resumed:
            found = Digester(blob.digest)
            file.truncate(0)
            _fetch(registry, repository, blob, file, found, 0, progress)
        if found.digest != blob.digest:
            raise PreconditionFailed(f"{registry.host}/{repository}: the blob's bytes are not those of its digest {blob.digest}")
        file.flush()
        os.fsync(file.fileno())
    try:
        partial.replace(path)
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}", retryable=False) from error


def _fetch(registry: Registry, repository: str, blob: Descriptor, file: IO[bytes], found: Digester, have: int, progress: Progress) -> None:
    file.seek(have)
    progress(have, blob.size)
    with closing(stream(registry, repository, blob, have)) as pieces:
        for piece in pieces:
            file.write(piece)
            found.update(piece)
            have += len(piece)
            progress(have, blob.size)


def _known(file: IO[bytes], found: Digester, size: int) -> int:
    """How many bytes an earlier run has left, already part of the digest; none where they are too many."""
    have = os.fstat(file.fileno()).st_size
    if have > size:
        file.truncate(0)
        return 0
    file.seek(0)
    while piece := file.read(PIECE):
        found.update(piece)
    return have


@contextmanager
def _opened(partial: Path) -> Iterator[IO[bytes]]:
    """For this process alone: two that write one file would spoil it. It stays where it may be gone on with."""
    keep = True
    try:
        handle = os.open(partial, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0), 0o666)
        with os.fdopen(handle, "r+b") as file:
            _lock(file, partial)
            try:
                yield file
            except PreconditionFailed:
                keep = False
                raise
            finally:
                file.flush()
                keep = keep and os.fstat(handle).st_size > 0
    except OSError as error:
        raise Unavailable(f"{partial}: {error.strerror or error}", retryable=False) from error
    finally:
        if not keep:
            partial.unlink(missing_ok=True)


def _lock(file: IO[bytes], partial: Path) -> None:
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Unavailable(f"{partial}: another download writes it", retryable=False) from None
