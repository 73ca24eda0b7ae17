"""Runs one program for as long as somebody holds our standard input open, then ends it and removes a folder.

    python guard.py FOLDER PROGRAM ARGUMENT…

The holder may be SIGKILLed: its pipe closes all the same, so that neither process nor folder is left.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading

GRACE = 2.0


def main() -> int:
    """Guard until end of input or the program's end; its exit code."""
    folder, command = sys.argv[1], sys.argv[2:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    print(program.pid, flush=True)

    def end(*_: object) -> None:
        program.terminate()

    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=_await_end_of_input, args=(program,), daemon=True).start()
    try:
        return program.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _await_end_of_input(program: subprocess.Popen[bytes]) -> None:
    while os.read(0, 4096):
        pass
    program.send_signal(signal.SIGCONT)
    program.terminate()
    try:
        program.wait(GRACE)
    except subprocess.TimeoutExpired:
        program.kill()


if __name__ == "__main__":
    sys.exit(main())
