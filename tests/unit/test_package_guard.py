"""What is swept away after killed programs, and what never is; the environment that a frozen program hands on."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from provider_packaging import guard

Unpacked = Callable[..., Path]


@pytest.fixture
def dead() -> int:
    """The pid of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


@pytest.fixture
def unpacked(tmp_path: Path) -> Unpacked:
    """Makes a folder as an unpacker of that pid leaves it, by default a minute ago."""

    def make(pid: int, *, marker: bool = True, sticky: bool = False, age: float = 60.0) -> Path:
        folder = tmp_path / f"_MEI{pid:08x}aBc9_x"
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / "library.so").write_bytes(b"x")
        (folder / "link.so").symlink_to("inner/library.so")
        if marker:
            (folder / guard.MARKER).touch()
        folder.chmod(guard.STICKY if sticky else 0o700)
        for path in (*folder.rglob("*"), folder):
            os.utime(path, (time.time() - age, time.time() - age), follow_symlinks=False)
        return folder

    return make


def swept(folder: Path) -> bool:
    guard.sweep(str(folder.parent), "")
    return not folder.exists()


@pytest.mark.parametrize(("marker", "sticky"), [(True, False), (True, True), (False, True)], ids=["unpacking", "running", "removing"])
def test_what_a_program_left_when_it_was_killed_is_removed(unpacked: Unpacked, dead: int, marker: bool, sticky: bool) -> None:
    assert swept(unpacked(dead, marker=marker, sticky=sticky))


@pytest.mark.timeout(60)
def test_a_marker_that_is_no_file_is_not_waited_for(unpacked: Unpacked, dead: int) -> None:
    folder = unpacked(dead, marker=False, sticky=True)
    os.mkfifo(folder / guard.MARKER)
    os.utime(folder / guard.MARKER, (0, 0))
    os.utime(folder, (0, 0))
    assert swept(folder)


def test_a_folder_that_is_empty_is_removed_whoever_made_it(tmp_path: Path, dead: int) -> None:
    folder = tmp_path / f"_MEI{dead:08x}aBc9_x"
    folder.mkdir()
    os.utime(folder, (0, 0))
    assert swept(folder)


def test_what_another_program_has_unpacked_stays(unpacked: Unpacked, dead: int) -> None:
    assert not swept(unpacked(dead, marker=False))


@pytest.mark.parametrize("name", ["_MEI12345678", "_MEIabcdef", "_MEIgggggggg123456", "data"])
def test_a_folder_of_another_name_stays(unpacked: Unpacked, dead: int, name: str) -> None:
    folder = unpacked(dead)
    assert not swept(folder.rename(folder.parent / name))


def test_a_link_in_place_of_a_folder_stays_and_so_does_what_it_points_to(unpacked: Unpacked, dead: int, tmp_path: Path) -> None:
    folder = unpacked(dead)
    target = folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(target)
    assert not swept(folder)
    assert (target / guard.MARKER).exists()


def test_a_folder_whose_unpacker_lives_stays(unpacked: Unpacked) -> None:
    folder = unpacked(os.getpid(), age=0.0)
    os.utime(folder)
    assert not swept(folder)
    assert guard.sweep(str(folder.parent), "")


def test_a_later_process_with_the_pid_of_the_unpacker_keeps_nothing(unpacked: Unpacked) -> None:
    assert swept(unpacked(os.getpid(), age=86_400.0 * 365))


def test_a_folder_whose_marker_is_locked_stays(unpacked: Unpacked, dead: int) -> None:
    folder = unpacked(dead)
    with (folder / guard.MARKER).open() as marker:
        fcntl.flock(marker, fcntl.LOCK_SH)
        assert not swept(folder)
    assert swept(folder)


def test_a_folder_that_is_still_written_to_stays_until_a_later_look(unpacked: Unpacked, dead: int) -> None:
    folder = unpacked(dead)
    (folder / "inner" / "library.so").write_bytes(b"xy")
    assert guard.sweep(str(folder.parent), "")
    assert folder.exists()


def test_the_own_folder_stays(unpacked: Unpacked, dead: int) -> None:
    folder = unpacked(dead)
    assert not guard.sweep(str(folder.parent), str(folder))
    assert folder.exists()


def test_a_provider_whose_unpacker_has_gone_serves_nobody_while_its_files_are_removed(unpacked: Unpacked, dead: int) -> None:
    folder = unpacked(dead)
    provider = """
import os, socket, sys
from provider_packaging import guard

listening = socket.create_server(("127.0.0.1", 0))
port = listening.getsockname()[1]
output = os.dup(1)

def see(event, arguments):
    if event == "os.remove":
        socket.create_server(("127.0.0.1", port)).close()
        os.write(output, b"free ")

sys.addaudithook(see)
sys._MEIPASS = sys.argv[1]
guard.stand()
"""
    done = subprocess.run([sys.executable, "-c", provider, folder], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (128 + signal.SIGKILL, "free free free ")
    assert not folder.exists()


def test_the_environment_of_the_child_is_not_handed_on() -> None:
    environment = {"_PYI_ARCHIVE_FILE": "x", "_PYI_APPLICATION_HOME_DIR": "y", "LD_LIBRARY_PATH": "y", "PATH": "/bin"}
    guard.restore_environment(environment)
    assert environment == {"PATH": "/bin"}


def test_a_library_path_of_the_user_is_handed_on() -> None:
    environment = {"LD_LIBRARY_PATH": "/tmp/_MEI:/opt/lib", "LD_LIBRARY_PATH_ORIG": "/opt/lib"}
    guard.restore_environment(environment)
    assert environment == {"LD_LIBRARY_PATH": "/opt/lib"}


def test_the_guard_imports_nothing_that_a_provider_would_not_import_itself() -> None:
    def imported(name: str) -> set[str]:
        told = f"import sys, {name}; print(*sys.modules)"
        return set(subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout.split())

    assert imported("provider_packaging.guard") - imported("asyncio") <= {"provider_packaging", "provider_packaging.guard"}
