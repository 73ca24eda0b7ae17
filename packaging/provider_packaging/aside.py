"""Files that are there whole or not at all: written beside their place, and put there at the end."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from provider_sdk.errors import Unavailable


@contextmanager
def written_aside(path: Path, mode: int = 0o644) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends, and is gone when it fails. Unavailable: the system refused it."""
    aside = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        with open_new(aside, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        _settle(path.parent)
    except OSError as error:
        raise Unavailable(f"{path} cannot be written: {error.strerror or error}", retryable=False) from error
    finally:
        with suppress(OSError):
            aside.unlink()


def open_new(path: Path, mode: int) -> BinaryIO:
    """A new file that at no moment is open to more than its mode says; FileExistsError where one is."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode), "wb")


def _settle(folder: Path) -> None:
    """A rename outlasts a power cut once its folder is written; where folders cannot be opened, there is nothing to do."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
