"""Runs one program in a folder of its own for as long as somebody holds our standard input open, then ends the one and removes the other.

    python -m provider_sdk.lattice.guard PROGRAM ARGUMENT…

The holder may be SIGKILLed: its end of the pipe closes all the same, so that neither process nor folder is left. Writes the program's
process id and folder on one line, and after its end the last line that it had written to stderr.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NoReturn

GRACE = 2.0


def main() -> int:
    """Guard until end of input, SIGTERM, or the program's own end; its exit code."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    folder = Path(tempfile.mkdtemp(prefix="provider-guard-"))
    try:
        with (folder / "stderr").open("wb") as errors:
            program = subprocess.Popen(
                sys.argv[1:], cwd=folder, stdin=subprocess.DEVNULL, stderr=errors, stdout=errors, start_new_session=True
            )
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=_end, args=(program,), daemon=True).start())
        threading.Thread(target=_await_holder, args=(program,), daemon=True).start()
        _say(f"{program.pid} {folder}")
        code = program.wait()
        _say((folder / "stderr").read_text("utf-8", "replace").rstrip().rpartition("\n")[2])
        return code
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _say(line: str) -> None:
    with contextlib.suppress(OSError):
        os.write(1, line.encode() + b"\n")


def _await_holder(program: subprocess.Popen[bytes]) -> NoReturn:
    while os.read(0, 4096):
        pass
    _end(program)


def _end(program: subprocess.Popen[bytes]) -> NoReturn:
    # A stopped process takes no SIGTERM.
    program.send_signal(signal.SIGCONT)
    program.terminate()
    time.sleep(GRACE)
    while True:
        program.kill()
        time.sleep(GRACE)


if __name__ == "__main__":
    sys.exit(main())
