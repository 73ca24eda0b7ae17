"""How the command ends when nobody takes its words, and that what it repeats moves no terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.packaged import tar, usual

COMMAND = [sys.executable, "-m", "provider_sdk.cli.main", "package"]


@pytest.fixture(autouse=True)
def buffered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "given.par"
    path.write_bytes(tar(*usual()))
    return path


@pytest.mark.parametrize(("words", "code"), [(["inspect", "--json"], 1), (["verify"], 1), (["verify", "--target", "arm-linux"], 6)])
def test_words_that_cannot_be_written_are_told_of_and_the_verdict_stays(archive: Path, words: list[str], code: int) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*COMMAND, *words, archive], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, "provider: No space left on device\n")


@pytest.mark.parametrize(("words", "code"), [(["inspect", "--json"], 1), (["verify", "--target", "arm-linux"], 6)])
def test_a_reader_that_has_enough_is_no_fault_to_speak_of(archive: Path, words: list[str], code: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*COMMAND, *words, archive], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (code, "")


def test_names_that_are_no_text_or_have_no_letters_here_are_written_in_ascii(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9 \xe2\x98\x95 \x1b[2J"
    done = subprocess.run([*COMMAND, "verify", folder], capture_output=True, check=False, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 1 and not done.stderr and done.stdout.isascii() and b"\x1b" not in done.stdout
    done = subprocess.run([*COMMAND, "inspect", folder], capture_output=True, check=False)
    assert done.returncode == 1 and b"\x1b" not in done.stderr and done.stderr.count(b"\n") == 1
