"""The verb `build` when it goes wrong: what it says, and that nothing is left."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from provider_packaging.build import build
from provider_packaging.targets import native_target
from provider_sdk.errors import Unavailable
from provider_sdk.provider_toml import ProviderToml
from tests.frozen import REPOSITORY
from tests.unit.packaged import ISSUER, SUBJECT


def at_work(folder: Path) -> list[str]:
    """The processes of PyInstaller that write into a folder; what it starts is told by its file of work."""
    shown = subprocess.run(["ps", "-A", "-ww", "-o", "stat=,args="], capture_output=True, text=True, check=True).stdout
    return [row for row in shown.splitlines() if "PyInstaller" in row and str(folder) in row and not row.startswith("Z")]


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGINT])
def test_a_build_that_is_ended_leaves_no_process_and_no_file(tmp_path: Path, ended_by: signal.Signals) -> None:
    out = tmp_path / "dist"
    command = [sys.executable, "-m", "provider_sdk.cli.main", "package", "build", f"{REPOSITORY}/providers/numbergen", "--program-only"]
    with subprocess.Popen([*command, "-o", str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        while not list(out.glob("*/work")):
            assert running.poll() is None, running.stderr and running.stderr.read()
            time.sleep(0.02)
        assert at_work(out)
        running.send_signal(ended_by)
        assert running.wait(20) == 130
    assert list(out.iterdir()) == [] and not at_work(out)


def test_a_program_that_does_not_start_is_told_of_by_its_own_words(tmp_path: Path) -> None:
    program = tmp_path / "greeter"
    words = "ModuleNotFoundError: No module named 'tea'\n[PYI-7:ERROR] Failed to execute script 'greeter-program'"
    program.write_text(f"#!/bin/sh\ncat >&2 <<'END'\nTraceback (most recent call last):\n{words}\nEND\nexit 1\n")
    program.chmod(0o755)
    provider = ProviderToml(tmp_path, "greeter", ("acme:greeter",), "0.1.0", 1, "Acme", "greeter")
    with pytest.raises(Unavailable, match=r"does not run .*: ModuleNotFoundError: No module named 'tea'$"):
        build(provider, tmp_path / "dist", ISSUER, SUBJECT.public, programs={native_target(): program})
