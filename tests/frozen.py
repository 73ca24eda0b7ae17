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
from collections.abc import Iterator
from pathlib import Path

from provider_packaging.freeze import freeze
from provider_sdk.provider_toml import read_provider_toml
from tests.built_once import kept

REPOSITORY = Path(__file__).parents[1]
KEPT_FOR = 7 * 86_400.0


@functools.cache
def frozen(name: str) -> Path:
    """The program of `providers/NAME`, in one file. The first time takes half a minute, also for several test runs at once."""
    cache = kept("frozen")
    folder = cache / _key(name)
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    program = folder / name
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            freeze(read_provider_toml(REPOSITORY / "providers" / name), program)
    _forget_old(cache)
    return program


def _key(name: str) -> str:
    """Changes with whatever goes into the program."""
    digest = hashlib.sha256(f"{name} {sys.version} {platform.platform()} {sys.base_prefix}".encode())
    for file in sorted(_inputs(name)):
        digest.update(f"{file.relative_to(REPOSITORY)} ".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:20]


def _inputs(name: str) -> Iterator[Path]:
    yield REPOSITORY / "requirements-dev.txt"
    yield REPOSITORY / "pyproject.toml"
    for room in ("provider_sdk", f"providers/{name}", "packaging/provider_packaging"):
        for suffix in ("*.py", "*.toml"):
            yield from (REPOSITORY / room).rglob(suffix)


def _forget_old(cache: Path) -> None:
    for folder in cache.iterdir():
        if time.time() - folder.stat().st_mtime > KEPT_FOR:
            shutil.rmtree(folder, ignore_errors=True)
