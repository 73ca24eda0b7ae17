"""The first thing that runs in a frozen program: it must neither outlive the process that a host kills nor leave files behind.

A program in one file is two processes: the unpacker, which the host knows and kills, and its child, which is the provider. Nothing slow is
imported here, and nothing of the SDK.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
import time

MARKER = ".provider-sdk"
"""The first file that is unpacked: it says whose a folder is. The provider holds a lock on it."""

STICKY = 0o1700
"""The mode of a folder that a provider has been started from: it says whose it is when the marker is removed before the rest."""

POLL = 0.2
SWEEP_AFTER = 2.0
FRESH = 2.0
LOOKS = 15

_PREFIX = "_MEI"
_NAME = len(_PREFIX) + 8 + 6  # the unpacker's pid in hexadecimal, and what mkdtemp adds
_LEAKED = ("_PYI_", "LD_LIBRARY_PATH", "LD_LIBRARY_PATH_ORIG")


def stand() -> None:
    """Give the process back its environment, and end it when its unpacker ends. In a folder's program there is only the former to do."""
    restore_environment(os.environ)
    # Until the SDK's own handler stands, Ctrl-C ends the program without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    home: str = getattr(sys, "_MEIPASS", "")
    unpacker = unpacker_of(os.path.basename(home))
    if unpacker is None or os.name != "posix":
        return
    sys.unpacker = unpacker  # type: ignore[attr-defined]  # provider_sdk.runtime.parent asks for it
    if os.getppid() != unpacker:
        _leave(home)
    _hold(home)
    import atexit
    import threading

    # The unpacker would do it, but a host kills it after the answer to a shutdown request. First registered, last called.
    atexit.register(empty, home)
    threading.Thread(target=_watch, args=(home, unpacker), name="unpacker watch", daemon=True).start()
    threading.Thread(target=_sweep_later, args=(home,), name="sweep", daemon=True).start()


def restore_environment(environment: os._Environ[str] | dict[str, str]) -> None:
    """Take out what the unpacker has set for its child alone: other programs that are started from here would load our libraries."""
    original = environment.get("LD_LIBRARY_PATH_ORIG")
    for name in [name for name in environment if name.startswith(_LEAKED[0]) or name in _LEAKED]:
        del environment[name]
    if original is not None:
        environment["LD_LIBRARY_PATH"] = original


def unpacker_of(name: str) -> int | None:
    """The process that made a folder of that name; None where it is no such folder."""
    if len(name) != _NAME or not name.startswith(_PREFIX):
        return None
    try:
        return int(name[len(_PREFIX) :][:8], 16)
    except ValueError:
        return None


def sweep(folder: str, own: str) -> bool:
    """Remove what killed programs have left in `folder`; whether something was left for a later look.

    Removed is only what was unpacked by a provider of ours, of this user, whose unpacker has ended, on whose marker nobody has a lock, and
    into which nobody writes: in another container the unpacker may be alive and not be seen.
    """
    again = False
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            unpacker = unpacker_of(entry.name)
            if unpacker is not None and entry.path != own:
                with contextlib.suppress(OSError):
                    again |= _sweep_one(entry, unpacker)
    return again


def remove(folder: str) -> None:
    """Remove a folder with all that is in it, as far as that can be done."""
    empty(folder)
    with contextlib.suppress(OSError):
        os.rmdir(folder)


def empty(folder: str) -> None:
    """Remove all that is in a folder, as far as that can be done."""
    for root, folders, files in os.walk(folder, topdown=False):
        for name in files:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(root, name))
        for name in folders:
            path = os.path.join(root, name)
            with contextlib.suppress(OSError):
                (os.unlink if os.path.islink(path) else os.rmdir)(path)


def _sweep_one(entry: os.DirEntry[str], unpacker: int) -> bool:
    found = entry.stat(follow_symlinks=False)
    if not entry.is_dir(follow_symlinks=False) or found.st_uid != os.geteuid():
        return False
    marker = os.path.join(entry.path, MARKER)
    ours = bool(found.st_mode & 0o1000) or os.path.exists(marker)
    if not ours and os.listdir(entry.path):
        return False
    if _runs(unpacker, before=found.st_mtime):
        return True
    if time.time() - _written(entry.path) < FRESH:
        return True
    with _lock(marker) as free:
        if free:
            remove(entry.path)
    return not free


def _runs(pid: int, *, before: float) -> bool:
    """Whether a process of that pid runs that was there at the time `before`: a later one only has the number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            state, *numbers = file.read().rpartition(")")[2].split()
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(numbers[18]) / os.sysconf("SC_CLK_TCK")
    except (AttributeError, OSError, ValueError):
        return True
    return state not in {"Z", "X"} and age > time.time() - before - 1.0


def _written(folder: str) -> float:
    """When something in the folder was last written."""
    newest = os.stat(folder).st_mtime
    for root, folders, files in os.walk(folder):
        for name in folders + files:
            with contextlib.suppress(OSError):
                newest = max(newest, os.lstat(os.path.join(root, name)).st_mtime)
    return newest


@contextlib.contextmanager
def _lock(marker: str):  # type: ignore[no-untyped-def]  # typing is not imported here
    """Whether nobody else has the marker locked; without a marker nobody can."""
    import fcntl

    try:
        # Whatever lies there, it is not waited for.
        descriptor = os.open(marker, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield True
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _hold(home: str) -> None:
    """Say that the folder is in use, for as long as this process lives."""
    import fcntl

    with contextlib.suppress(OSError):
        descriptor = os.open(os.path.join(home, MARKER), os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        os.chmod(home, STICKY)


def _watch(home: str, unpacker: int) -> None:
    import select

    try:
        descriptor = os.pidfd_open(unpacker)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
    except (AttributeError, OSError):
        while os.getppid() == unpacker:
            time.sleep(POLL)
    else:
        # It may have ended before its descriptor was opened, which then is somebody else's.
        if os.getppid() == unpacker:
            poll.poll()
    _leave(home)


def _leave(home: str) -> None:
    """Being killed is being killed: nothing is finished, as it would be if the host had hit this process itself."""
    with contextlib.suppress(OSError):
        # What the provider still does meanwhile fails for want of its files: nobody is to read about it, or to be served by it.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for descriptor in (1, 2, *_sockets()):
            os.dup2(nowhere, descriptor)
    remove(home)
    os._exit(128 + signal.SIGKILL)


def _sockets() -> list[int]:
    """The descriptors of sockets that this process has open."""
    found = []
    for name in os.listdir("/dev/fd"):
        # That of the listing itself is closed.
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                found.append(int(name))
    return found


def _sweep_later(home: str) -> None:
    """Once the start is over, and again for as long as something is there that may still be in use."""
    for _ in range(LOOKS):
        time.sleep(SWEEP_AFTER)
        if not sweep(os.path.dirname(home), home):
            break
