"""A program that stands still at the moment in which a test wants to interrupt it."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable


def stop_when(condition: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    """Stop the process (SIGSTOP) as soon as the condition holds; SIGCONT lets it go on.

    It runs for moments only and stands still while the condition is looked at, so that it cannot be done before the test is.
    """
    limit = time.monotonic() + 60
    while True:
        process.send_signal(signal.SIGSTOP)
        try:
            if condition():
                return
        except BaseException:
            process.kill()
            raise
        process.send_signal(signal.SIGCONT)
        time.sleep(0.01)
        assert process.poll() is None and time.monotonic() < limit
