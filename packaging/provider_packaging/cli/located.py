"""Where an archive comes from that a verb is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def located(reference: str) -> Iterator[Path]:
    """The file of an archive for as long as it is looked at."""
    yield Path(reference.removeprefix("file://"))
