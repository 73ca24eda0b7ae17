"""Notices the death of the process that started this one: a SIGKILLed host leaves its providers running (§1.4)."""

from __future__ import annotations

import os

started_by = os.getppid()
"""Read before anything slow is imported: a host may be killed while its provider is still starting."""

import asyncio  # noqa: E402
import contextlib  # noqa: E402

POLL = 0.5


def _forked() -> None:
    global started_by  # noqa: PLW0603 # one process has one parent
    started_by = os.getppid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


async def parent_died() -> None:
    """Returns when the parent process has ended.

    Not PR_SET_PDEATHSIG: that fires when the *thread* that started the child ends, and Rust hosts spawn from threads that do.
    """
    parent = started_by
    if os.getppid() != parent:
        return
    descriptor = None
    with contextlib.suppress(AttributeError, OSError):
        descriptor = os.pidfd_open(parent)
    if descriptor is None:
        while os.getppid() == parent:
            await asyncio.sleep(POLL)
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    try:
        loop.add_reader(descriptor, ended.set)
        # The parent may have died before its descriptor was opened, which then names whoever took us over.
        if os.getppid() == parent:
            await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
