"""The processes of a world: what the host started is known by the folder from which it runs, whoever its parent is by now."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path


def of_folder(folder: Path) -> dict[int, str]:
    """The processes that run a program, or a script, from below that folder: process id → that path."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                words = [str((entry / "exe").readlink()), *(entry / "cmdline").read_bytes().decode(errors="replace").split("\0")[:4]]
                place = next((word for word in words if word.startswith(f"{folder}/")), None)
                if place and _runs(entry):
                    found[int(entry.name)] = place
    return found


def end(folder: Path, within: float) -> dict[int, str]:
    """What runs from below that folder, and goes on for that many seconds, is ended by SIGKILL and told."""
    left = of_folder(folder)
    if gone(set(left), within):
        return {}
    left = of_folder(folder)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return left


def gone(pids: set[int], within: float) -> bool:
    """Whether all of them end in that many seconds."""
    limit = time.monotonic() + within
    while any(_runs(Path(f"/proc/{pid}")) for pid in pids):
        if time.monotonic() > limit:
            return False
        time.sleep(0.005)
    return True


def _runs(entry: Path) -> bool:
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False
