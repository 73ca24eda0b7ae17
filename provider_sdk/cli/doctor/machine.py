"""The folder for temporary files, the disk, the clock."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import provider_sdk
from provider_sdk.findings import Finding, right, warning, wrong

LEAST = 200 << 20
ENOUGH = 1 << 30
DAY = 86400.0


def checks(folder: Path) -> Iterable[Finding]:
    """Temporary files can be written and run, there is room, and the clock is not behind."""
    yield from _temporary()
    yield from _room("this folder", folder)
    if time.time() + DAY < (written := Path(provider_sdk.__file__).stat().st_mtime):
        said = time.strftime("%Y-%m-%d", time.gmtime())
        advice = "set the clock: hosts refuse calls, and registries refuse logins, whose times are wrong"
        yield warning("clock", f"it says {said}, and the SDK was installed on {time.strftime('%Y-%m-%d', time.gmtime(written))}", advice)


def _temporary() -> Iterator[Finding]:
    given = os.environ.get("TMPDIR")
    if given and not os.access(given, os.W_OK | os.X_OK):
        yield warning(
            "temporary files", f"TMPDIR={given} cannot be written; others take {tempfile.gettempdir()}", "make it, or unset TMPDIR"
        )
    try:
        with tempfile.TemporaryDirectory(prefix="provider-doctor-") as made:
            problem = _cannot_run(Path(made))
            place = Path(made).parent
    except OSError as error:
        yield wrong(
            "temporary files", f"none can be made: {error.strerror}", "free some room, or set TMPDIR to a folder that can be written"
        )
        return
    if problem:
        advice = "set TMPDIR to a folder that is not mounted noexec: frozen providers unpack themselves there"
        yield wrong("temporary files", f"programs in {place} cannot be run: {problem}", advice)
    else:
        yield right("temporary files", f"{place} can be written, and programs there run")
    yield from _room(str(place), place)


def _cannot_run(folder: Path) -> str:
    if sys.platform == "win32":
        return ""
    program = folder / "program"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o700)
    end = time.monotonic() + 1
    while True:
        try:
            subprocess.run([str(program)], check=True, timeout=5)
            return ""
        except subprocess.SubprocessError as error:
            return str(error)
        except OSError as error:
            # What another check is just starting holds the file open for writing, from its fork to its exec.
            if error.errno != errno.ETXTBSY or time.monotonic() > end:
                return error.strerror or str(error)
            time.sleep(0.01)


def _room(name: str, folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    said = f"{free >> 20} MB are free in {name}"
    if free < LEAST:
        yield wrong("disk", said, f"free some: building and unpacking a provider takes up to {LEAST >> 20} MB")
    elif free < ENOUGH:
        yield warning("disk", said, "free some before you build several providers")
