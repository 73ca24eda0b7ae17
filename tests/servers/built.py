"""Servers for tests that are built from Go sources, once, into a cache: minutes, and Go and its module proxy are needed."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from pathlib import Path

from tests.built_once import downloading, kept

BUILT = {
    "minio": ("github.com/minio/minio", "v0.0.0-20260212201848-7aac2a2c5b7c"),
    "versitygw": ("github.com/versity/versitygw/cmd/versitygw", "v1.8.0"),
    "registry-go": ("github.com/google/go-containerregistry/cmd/registry", "v0.22.1"),
    "actionlint": ("github.com/rhysd/actionlint/cmd/actionlint", "v1.7.12"),  # no server, but a judge that comes in the same way
    "registry-v3": ("github.com/distribution/distribution/v3/cmd/registry", "v3.0.0"),
}


def found(name: str) -> Path | None:
    """The program of a server, on PATH or in the cache."""
    on_path = shutil.which(name)
    if on_path:
        return Path(on_path)
    cached = _cached(name) if name in BUILT else None
    return cached if cached is not None and cached.exists() else None


def build(name: str) -> Path:
    """The program of a server, built into the cache where it is nowhere yet."""
    package, version = BUILT[name]
    target = _cached(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        program = found(name)
        if program is None:
            aside = target.parent / "building"
            command = ["go", "install", "-trimpath", "-ldflags", "-s -w", f"{package}@{version}"]
            environment = {**os.environ, "GOBIN": str(aside), "GOFLAGS": ""}
            downloading(command, cwd=target.parent, env=environment).check_returncode()
            program = (aside / package.rpartition("/")[2]).rename(target)
            aside.rmdir()
    return program


def _cached(name: str) -> Path:
    return kept("servers") / f"{name}-{BUILT[name][1]}" / name


def main() -> None:
    """Build what is missing of those named, or of all."""
    for name in sys.argv[1:] or BUILT:
        print(f"{name}: {build(name)}")


if __name__ == "__main__":
    main()
