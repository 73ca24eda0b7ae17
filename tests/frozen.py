"""The providers as frozen programs: each is built once for the sources, packages and Python that there are, and kept for later runs."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import platform
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path

from provider_packaging.freeze import freeze
from provider_sdk.provider_toml import read_provider_toml
from tests.built_once import kept

REPOSITORY = Path(__file__).parents[1]
KEPT_FOR = 7 * 86_400.0


@functools.cache
def frozen(name: str) -> Path:
    """The program of `providers/NAME`, in one file. The first time takes half a minute, also for several test runs at once."""
    return frozen_from(REPOSITORY / "providers" / name)


def frozen_from(source: Path) -> Path:
    """The same of the provider.toml in any folder, which has the name of the provider."""
    cache = kept("frozen")
    folder = cache / _key(source)
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    program = folder / source.name
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            freeze(read_provider_toml(source), program)
    _forget_old(cache)
    return program


def _key(source: Path) -> str:
    """Changes with whatever goes into the program."""
    digest = hashlib.sha256(f"{source.name} {sys.version} {platform.platform()} {sys.base_prefix}".encode())
    for room in (REPOSITORY / "provider_sdk", REPOSITORY / "packaging/provider_packaging", source):
        for file in sorted(path for suffix in ("*.py", "*.toml") for path in room.rglob(suffix)):
            digest.update(f"{file.relative_to(room.parent)} ".encode() + hashlib.sha256(file.read_bytes()).digest())
    for name in ("requirements-dev.txt", "pyproject.toml"):
        digest.update((REPOSITORY / name).read_bytes())
    return digest.hexdigest()[:20]


def _forget_old(cache: Path) -> None:
    for folder in cache.iterdir():
        with suppress(FileNotFoundError):  # another run may have just removed it
            if time.time() - folder.stat().st_mtime > KEPT_FOR:
                shutil.rmtree(folder, ignore_errors=True)
