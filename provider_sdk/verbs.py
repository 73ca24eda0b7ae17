"""What the verbs that providers add to the command share: one line for wrong usage, and an end that leaves nothing half done."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")


def usage(message: str) -> NoReturn:
    """Say what is wrong with the command line, and end with exit code 2."""
    print(f"provider: {message}", file=sys.stderr)
    raise SystemExit(2)


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result; SIGTERM and SIGHUP end it as Ctrl-C does."""

    async def interruptible() -> T:
        task = asyncio.current_task()
        assert task is not None
        for name in ("SIGTERM", "SIGHUP"):
            with suppress(AttributeError, NotImplementedError):  # Windows has neither the second nor handlers of the loop
                asyncio.get_running_loop().add_signal_handler(getattr(signal, name), task.cancel)
        return await work

    try:
        return asyncio.run(interruptible())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
