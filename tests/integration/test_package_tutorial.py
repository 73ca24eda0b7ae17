"""The tutorial's commands, typed as they stand in its text, print what it says."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from provider_sdk.lattice.registry import PORT
from tests.integration.test_dev import until

PAGE = Path(__file__).parents[2] / "docs" / "packaging-tutorial.md"
GOES_ON = "# goes on until Ctrl-C"
END = "Press Ctrl-C"


def steps() -> Iterator[tuple[str, str]]:
    """What the page has a reader do here, in order: ("sh", a command), ("text", what it printed), ("end", "")."""
    for kind, block, end in re.findall(rf"```(sh|text)\n(.*?)```|({END})", PAGE.read_text("utf-8"), re.DOTALL):
        if end:
            yield "end", ""
        elif kind == "sh":
            yield from (("sh", line) for line in block.splitlines())
        else:
            yield kind, block


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


class Reader:
    """Somebody who types what the page says."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.printed = folder, ""
        self._stack = stack
        self._going: list[subprocess.Popen[bytes]] = []
        self._environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
        }

    def type(self, command: str) -> None:
        if command.startswith("cd "):
            self.folder /= command.removeprefix("cd ")
        elif GOES_ON in command:
            self._start(command)
        else:
            done = subprocess.run(
                command, shell=True, cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=900, check=False
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            self.printed = done.stdout

    def _start(self, command: str) -> None:
        path = self.folder / f"output-{len(list(self.folder.glob('output-*')))}"
        file = self._stack.enter_context(path.open("wb"))
        process = subprocess.Popen(f"exec {command}", shell=True, cwd=self.folder, env=self._environment, stdout=file, stderr=file)
        self._stack.callback(process.wait, 60)
        self._stack.callback(process.send_signal, signal.SIGINT)
        self._going.append(process)
        until(lambda: process.poll() is not None or "end: Ctrl-C" in path.read_text(), 300)
        assert process.poll() is None, path.read_text()

    def end(self) -> None:
        process = self._going.pop()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


@pytest.mark.timeout(1500)  # it freezes anew
def test_the_commands_of_the_tutorial_do_what_it_says(tmp_path: Path) -> None:
    until(lambda: is_free(PORT), 120)
    kinds = [kind for kind, _ in steps()]
    assert (kinds.count("sh"), kinds.count("text"), kinds.count("end")) == (11, 3, 3)
    with ExitStack() as stack:
        reader = Reader(tmp_path, stack)
        for kind, what in steps():
            if kind == "sh":
                reader.type(what)
            elif kind == "text":
                assert reader.printed == what
            else:
                reader.end()
