"""Notices the death of the process that started this one: a SIGKILLed host leaves its providers running (§1.4)."""

from __future__ import annotations

import asyncio
import contextlib
import os

POLL = 0.5


async def parent_died() -> None:
    """Returns when the parent process has ended.

    Not PR_SET_PDEATHSIG: that fires when the *thread* that started the child ends, and Rust hosts spawn from threads that do.
    """
    parent = os.getppid()
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
