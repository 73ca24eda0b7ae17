"""Programs in Rust that tests build, from versions that are pinned without saying which registry a machine has."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path


def digest(folder: Path) -> str:
    """Changes with the sources in a folder: 16 hex digits. What a build or a test adds does not count."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and path.suffix in {".toml", ".in", ".rs", ".wit", ".sh"} and not name.startswith("target/"):
            found.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]


def lock(folder: Path) -> None:
    """Turn the pinned versions, Cargo.lock.in, into a Cargo.lock for this machine's registry."""
    text = (folder / "Cargo.lock.in").read_text()
    (folder / "Cargo.lock").write_text(text.replace('source = "crates.io"', _registry()))


def build(folder: Path, *options: str, target: Path, environment: Mapping[str, str] | None = None) -> None:
    """Compile with the versions of the lock alone; CalledProcessError."""
    told = {**os.environ, **(environment or {}), "CARGO_TARGET_DIR": str(target)}
    subprocess.run(["cargo", "build", "--quiet", "--release", "--locked", *options], check=True, cwd=folder, env=told)


def _registry() -> str:
    """How this machine's cargo writes where a crate came from: the lock file in version control does not say."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "src").mkdir()
        (folder / "src" / "lib.rs").touch()
        (folder / "Cargo.toml").write_text(
            '[package]\nname = "scratch"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\nitoa = "1"\n[workspace]\n'
        )
        subprocess.run(["cargo", "generate-lockfile", "--quiet"], check=True, cwd=folder)
        line = re.search(r'^source = ".*"$', (folder / "Cargo.lock").read_text(), re.MULTILINE)
    assert line is not None
    return line[0]
