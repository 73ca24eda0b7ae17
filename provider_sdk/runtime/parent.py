"""Notices the death of the process that started this one: a SIGKILLed host leaves its providers running (§1.4)."""

from __future__ import annotations

import os
import sys

_unpacker: int | None = getattr(sys, "unpacker", None)
"""Of a frozen program in one file, the process that unpacked it and is its parent: the guard of the packaging says so."""


def starter() -> int:
    """The process that the program was started by, as of now: the parent, or that of the unpacker; 0 where that has ended."""
    return os.getppid() if _unpacker is None else _parent_of(_unpacker)


def _parent_of(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123 # pathlib is slow to import
            return int(file.read().rpartition(")")[2].split()[1])
    except FileNotFoundError:
        if os.path.exists("/proc/self"):  # noqa: PTH110
            return 0
    import subprocess

    shown = subprocess.run(["/bin/ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, check=False)
    return int(shown.stdout or 0)


started_by = starter()
"""Read before anything slow is imported: a host may be killed while its provider is still starting."""

import asyncio  # noqa: E402
import contextlib  # noqa: E402

POLL = 0.5


def _forked() -> None:
    global started_by, _unpacker  # noqa: PLW0603 # one process has one parent
    _unpacker = None
    started_by = starter()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


async def parent_died() -> None:
    """Returns when the process that started the program has ended.

    Not PR_SET_PDEATHSIG: that fires when the *thread* that started the child ends, and Rust hosts spawn from threads that do.
    """
    parent = started_by
    if starter() != parent:
        return
    descriptor = None
    with contextlib.suppress(AttributeError, OSError):
        descriptor = os.pidfd_open(parent)
    if descriptor is None:
        while await asyncio.to_thread(starter) == parent:
            await asyncio.sleep(POLL if _unpacker is None else POLL * 4)
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    try:
        loop.add_reader(descriptor, ended.set)
        # It may have died before its descriptor was opened, which then names whoever took us over.
        if starter() == parent:
            await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
