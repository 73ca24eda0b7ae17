"""How the command ends when nobody takes its words, and that what it repeats moves no terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from provider_packaging import doctor, fetch
from provider_packaging.home import NOWHERE
from provider_packaging.keys import stored_keys
from provider_packaging.oci import docker_files
from provider_sdk.errors import Unavailable
from provider_sdk.findings import Level
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


def test_a_user_without_a_home_has_no_keys_and_no_logins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers run as users whom nobody has entered anywhere."""

    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    for name in ("HOME", "XDG_DATA_HOME", "WASH_KEYS", "WASH_KEYS_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert list(stored_keys()) == [] and docker_files.files({}) == []
    assert docker_files.docker_file({}) == NOWHERE / ".docker" / "config.json"


def test_a_cache_or_a_folder_of_keys_that_cannot_be_had_is_told_of(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(archive))
    with pytest.raises(Unavailable, match="archives cannot be made: Not a directory: XDG_CACHE_HOME names another place"):
        fetch.runnable("oci://127.0.0.1:1/acme/kv@sha256:" + "0" * 64)
    with pytest.raises(Unavailable, match=r"given\.par cannot be read: Not a directory"):
        list(stored_keys(archive))
    monkeypatch.setenv("WASH_KEYS", str(archive))
    assert any(found.level is Level.WRONG and found.subject == "keys" for found in doctor.checks(archive.parent))
