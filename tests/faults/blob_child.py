"""A process that changes a local blobstore: on order, each change in a fork of its own, or on and on.

With strace around it, the n-th system call of a change is made to fail, though strace knows one number alone: the fork wastes calls first.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from provider_sdk import ProviderError
from providers.blobstore.backend import Backend, Details
from providers.blobstore.backends import local
from providers.blobstore.backends.local.store import LocalStore
from providers.blobstore.config import BlobstoreConfig

WHEN = 200
"""The call of its kind in a thread that strace meddles with; no change has so many."""
GENERATION = 20
PR_SET_PTRACER = 0x59616D61
NOWHERE, NO_FILE = "/nowhere/at/all", 9999
BOX = "box"
TEXT, GZIP, NONE = Details("text/plain"), Details("application/json", "gzip"), Details()
LARGE = bytes(range(256)) * 1000

WASTE: dict[str, Callable[[], object]] = {
    "openat": lambda: os.open(NOWHERE, os.O_RDONLY),
    "read": lambda: os.read(NO_FILE, 1),
    "write": lambda: os.write(NO_FILE, b"1"),
    "pread64": lambda: os.pread(NO_FILE, 1, 0),
    "fsync": lambda: os.fsync(NO_FILE),
    "close": lambda: os.close(NO_FILE),
    "fcntl": lambda: fcntl.fcntl(NO_FILE, fcntl.F_GETFD),
    "flock": lambda: fcntl.flock(NO_FILE, fcntl.LOCK_SH),
    "newfstatat": lambda: os.stat(NOWHERE, dir_fd=0),
    "mkdir": lambda: Path(NOWHERE).mkdir(),
    "mkdirat": lambda: os.mkdir(NOWHERE, dir_fd=0),
    "unlinkat": lambda: os.unlink(NOWHERE, dir_fd=0),
    "renameat": lambda: os.rename(NOWHERE, NOWHERE, src_dir_fd=0, dst_dir_fd=0),
    "utimensat": lambda: os.utime(NOWHERE, dir_fd=0),
}


async def upload(backend: Backend, name: str, details: Details) -> None:
    writing = await backend.create(BOX, name, details)
    try:
        await writing.write(LARGE)
        await writing.write(LARGE)
        await writing.commit()
    finally:
        await writing.abort()


async def remove(backend: Backend, *names: str) -> None:
    for error in (await backend.remove(BOX, names)).values():
        raise error


CHANGES: dict[str, tuple[Callable[[Backend], Awaitable[None]], ...]] = {
    "put": (lambda b: b.create_container(BOX), lambda b: b.put(BOX, "a", b"new", NONE)),
    "put over": (lambda b: b.put(BOX, "a", b"old", NONE), lambda b: b.put(BOX, "a", b"new", NONE)),
    "put with details": (lambda b: b.put(BOX, "b", b"old", TEXT), lambda b: b.put(BOX, "a", b"new", GZIP)),
    "put over with other details": (lambda b: b.put(BOX, "a", b"old", TEXT), lambda b: b.put(BOX, "a", b"new", GZIP)),
    "put over without the details": (lambda b: b.put(BOX, "a", b"old", TEXT), lambda b: b.put(BOX, "a", b"new", NONE)),
    "put in new folders": (lambda b: b.create_container(BOX), lambda b: b.put(BOX, "x/y/z", b"new", TEXT)),
    "put below": (lambda b: b.put(BOX, "a", b"old", TEXT), lambda b: b.put(BOX, "a/b", b"new", GZIP)),
    "put above": (lambda b: b.put(BOX, "a/b", b"old", TEXT), lambda b: b.put(BOX, "a", b"new", GZIP)),
    "upload": (lambda b: b.put(BOX, "a", b"old", TEXT), lambda b: upload(b, "a", GZIP)),
    "remove": (lambda b: b.put(BOX, "a", b"old", NONE), lambda b: remove(b, "a")),
    "remove with details": (lambda b: b.put(BOX, "a", b"old", TEXT), lambda b: remove(b, "a")),
    "remove with folders": (lambda b: b.put(BOX, "x/y/z", b"old", TEXT), lambda b: remove(b, "x/y/z")),
    "make a container": (lambda b: b.create_container("other"), lambda b: b.create_container(BOX)),
    "make the root": (lambda b: b.containers(), lambda b: b.create_container(BOX)),  # type: ignore[dict-item,return-value]
    "remove a container": (lambda b: b.put(BOX, "x/y", b"old", TEXT), lambda b: b.remove_container(BOX)),
}
"""What was before, and the change: it is whole, or has not been."""


def opened(root: str, connections: int = 1) -> LocalStore:
    store = local.open_store(BlobstoreConfig(root=Path(root), connections=connections), Path("/"))
    assert isinstance(store, LocalStore)
    return store


def waste(call: str, times: int) -> None:
    for _ in range(times):
        with contextlib.suppress(OSError):
            WASTE[call]()


async def change(root: str, name: str, call: str, nth: int) -> str:
    """The code of the error, or nothing."""
    store = opened(root)
    await store.threads.run("waste", lambda: waste(call, WHEN - nth))
    try:
        await CHANGES[name][1](store.view(""))
    except ProviderError as error:
        return error.code
    finally:
        await store.close()
    return ""


def serve() -> None:
    """Each line of the input is a change; each line of the output what came of it: how the fork ended, the code of the error.

    Nothing is imported any more once strace is there. Its count of this process's own calls begins again with each generation.
    """
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(change(folder, "put", "openat", WHEN))
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
    print("ready", flush=True)
    while "TracerPid:\t0\n" in Path("/proc/self/status").read_text():
        time.sleep(0.01)
    print("traced", flush=True)
    while serve_some():
        if generation := os.fork():
            os._exit(os.waitstatus_to_exitcode(os.waitpid(generation, 0)[1]))


def serve_some() -> bool:
    """Whether there may be more to do."""
    for _ in range(GENERATION):
        line = sys.stdin.readline()
        if not line:
            return False
        ours, theirs = os.pipe()
        child = os.fork()
        if not child:
            os.write(theirs, asyncio.run(change(*json.loads(line))).encode())
            os._exit(0)
        os.close(theirs)
        code = os.read(ours, 100).decode()
        os.close(ours)
        print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), code]), flush=True)
    return True


async def write_on(root: str, name: str, rounds: int) -> None:
    """Put versions of one object: letters, as many as the type says."""
    store = opened(root)
    backend = store.view("")
    for turn in range(rounds):
        size = turn * 997 % 100_000
        await backend.put(BOX, "x/y", name.encode() * size, Details(f"{name}/{size}") if turn % 3 else NONE)
        if turn % 5 == 4:
            await remove(backend, "x/y")
    await backend.put(BOX, "x/y", name.encode() * 7, Details(f"{name}/7"))
    await store.close()


if __name__ == "__main__":
    if len(sys.argv) == 1:
        serve()
    else:
        asyncio.run(write_on(sys.argv[1], sys.argv[2], int(sys.argv[3])))
