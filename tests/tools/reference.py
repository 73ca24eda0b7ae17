"""A program in Rust that tests compare with, from the folder of its name beside this file: built once, kept in a cache."""

from __future__ import annotations

import fcntl
import tempfile
from pathlib import Path

from tests.built_once import kept
from tests.tools import cargo


class Reference:
    """One such program."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._sources = Path(__file__).parent / name

    def found(self) -> Path | None:
        """The program, where it is in the cache and made of these sources."""
        cached = self._cached()
        return cached if cached.exists() else None

    def build(self) -> Path:
        """The program, built into the cache where it is not yet: minutes, cargo and its registry."""
        target = self._cached()
        target.parent.mkdir(parents=True, exist_ok=True)
        with (target.parent / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.exists():
                with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                    self._compile(Path(folder) / self.name).rename(target)
        return target

    def _cached(self) -> Path:
        return kept("tools") / f"{self.name}-{cargo.digest(self._sources)}" / self.name

    def _compile(self, folder: Path) -> Path:
        cargo.build(cargo.copied(self._sources, folder), target=folder / "target")
        return folder / "target" / "release" / self.name
