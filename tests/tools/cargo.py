"""Programs in Rust that tests build, from versions that are pinned without saying which registry a machine has."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.built_once import downloading


def digest(folder: Path) -> str:
    """Changes with the sources in a folder: 16 hex digits. What a build or a test adds does not count."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and path.suffix in {".toml", ".in", ".rs", ".wit", ".sh"} and not name.startswith("target/"):
            found.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]


def copied(sources: Path, folder: Path) -> Path:
    """`folder`, with a copy of the sources and a Cargo.lock: the pinned versions of Cargo.lock.in for this machine's registry."""
    shutil.rmtree(folder, ignore_errors=True)
    # With times of their own: by these, cargo sees that sources are others than before.
    shutil.copytree(sources, folder, copy_function=shutil.copy)
    text = (folder / "Cargo.lock.in").read_text()
    (folder / "Cargo.lock").write_text(text.replace('source = "crates.io"', _registry()))
    return folder


def build(folder: Path, *options: str, target: Path, environment: Mapping[str, str] | None = None) -> None:
    """Compile with the versions of the lock alone; CalledProcessError."""
    told = {**os.environ, **(environment or {}), "CARGO_TARGET_DIR": str(target)}
    downloading(["cargo", "build", "--quiet", "--release", "--locked", *options], cwd=folder, env=told).check_returncode()


def _registry() -> str:
    """How this machine's cargo writes where a crate came from: the lock file in version control does not say."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "src").mkdir()
        (folder / "src" / "lib.rs").touch()
        (folder / "Cargo.toml").write_text(
            '[package]\nname = "scratch"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\nitoa = "1"\n[workspace]\n'
        )
        downloading(["cargo", "generate-lockfile", "--quiet"], cwd=folder).check_returncode()
        line = re.search(r'^source = ".*"$', (folder / "Cargo.lock").read_text(), re.MULTILINE)
    assert line is not None
    return line[0]
