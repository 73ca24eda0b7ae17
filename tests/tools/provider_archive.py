"""The reference reader and writer of provider archives, provider-archive/: built once by `.ci/archive-tool`, kept in a cache."""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.built_once import kept
from tests.tools import cargo

NAME = "provider-archive"
VERSIONS = ("older", "newer")
SOURCES = Path(__file__).parent / NAME
PANIC = 101


def found() -> Path | None:
    """The program, where it is in the cache and made of these sources."""
    cached = _cached()
    return cached if cached.exists() else None


def build() -> Path:
    """The program, built into the cache where it is not yet: a minute or two, cargo and its registry."""
    target = _cached()
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                _compile(Path(folder) / NAME).rename(target)
    return target


def read(version: str, archive: Path, target: str | None = None) -> dict[str, Any]:
    """What the library finds in an archive, in all targets or as a host does; CalledProcessError where it refuses it or panics."""
    done = _run(["read", version, str(archive), *([target] if target else [])])
    found: dict[str, Any] = json.loads(done)
    return found


def write(version: str, archive: Path, wish: Mapping[str, Any], *, compressed: bool) -> None:
    """An archive by the library; a compressed one is called `.gz`."""
    _run(["write", version, str(archive), "gzip" if compressed else "plain"], json.dumps(wish))


def _run(words: list[str], text: str = "") -> str:
    program = found()
    assert program is not None
    return subprocess.run([program, *words], input=text, capture_output=True, text=True, check=True, timeout=60).stdout


def _cached() -> Path:
    digest = hashlib.sha256()
    for name in ("Cargo.toml", "Cargo.lock.in", "src/main.rs"):
        digest.update((SOURCES / name).read_bytes())
    return kept("tools") / f"{NAME}-{digest.hexdigest()[:16]}" / NAME


def _compile(folder: Path) -> Path:
    cargo.build(cargo.copied(SOURCES, folder), target=folder / "target")
    return folder / "target" / "release" / NAME


def main() -> None:
    """Build it where it is missing."""
    print(f"{NAME}: {build()}")


if __name__ == "__main__":
    main()
