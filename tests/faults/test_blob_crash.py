"""Local files of the blobstore when a system call fails or the process dies in it: what was to change is as before or after, as a whole."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from provider_sdk import NotFound
from providers.blobstore.backend import Backend, Details
from tests.faults.blob_child import BOX, CHANGES, NOWHERE, WASTE, WHEN, opened
from tests.tiers import scale

CHILD = Path(__file__).with_name("blob_child.py")
ROOT = Path(__file__).parents[2]
EVERY = scale(test=31, ci=15, soak=1)
"""Of the calls of all changes, one in so many is made to fail, other ones with each fault."""

State = dict[tuple[str, str], tuple[bytes, Details] | None]


@dataclass
class Meddled:
    """A process in which strace makes one call fail."""

    process: asyncio.subprocess.Process
    log: Path
    seen: int = 0
    new: bytes = b""

    async def calls(self, root: Path, name: str) -> list[tuple[str, int]]:
        """The calls of a change, each with its number among those of its kind; they are those of the thread that wasted one."""
        await self.change(root, name, "openat", WHEN - 1)
        lines = [line.split(maxsplit=1) for line in self.new.decode(errors="replace").splitlines()]
        thread = next(thread for thread, line in lines if NOWHERE in line)
        counts = Counter(line.split("(")[0] for other, line in lines if other == thread and NOWHERE not in line and "resumed" not in line)
        return [(call, nth) for call in WASTE for nth in range(1, counts[call] + 1)]

    async def change(self, root: Path, name: str, call: str, nth: int) -> tuple[int, str, bool]:
        """How it ended, the code of its error, and whether the n-th call was there to fail."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([str(root), name, call, nth]).encode() + b"\n")
        ended, code = json.loads(await self.process.stdout.readline())
        with self.log.open("rb") as log:
            log.seek(self.seen)
            self.new = log.read()
        self.seen += len(self.new)
        return ended, code, b"(INJECTED)" in self.new or ended == -signal.SIGKILL


@contextlib.asynccontextmanager
async def meddled(folder: Path, fault: str) -> AsyncIterator[Meddled]:
    calls, log, pipe = ",".join(WASTE), folder / "strace", asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, str(CHILD), stdin=pipe, stdout=pipe, env={"PYTHONPATH": str(ROOT)})
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    rule = ("-e", f"trace={calls}", "-e", f"inject={calls}:{fault}:when={WHEN}")
    strace = await asyncio.create_subprocess_exec("strace", "-f", "-qq", "-o", str(log), *rule, "-p", str(process.pid))
    assert await process.stdout.readline() == b"traced\n"
    try:
        yield Meddled(process, log)
    finally:
        await process.communicate(b"")
        await strace.wait()
    assert process.returncode == 0


async def state(backend: Backend) -> State:
    """All containers and objects, with what they carry."""
    found: State = {}
    for container in await backend.containers():
        found[container.name, ""] = None
        for item in (await backend.objects(container.name)).objects:
            reading = await backend.open(container.name, item.name, 0, None, lambda length: length)
            found[container.name, item.name] = reading.first, reading.info.details
            await reading.close()
    return found


async def reopened(root: Path) -> State:
    """What a store shows that is opened anew."""
    return await after_calls(root)


@dataclass(frozen=True)
class Plan:
    """A change: the files before it, what is there before and after, and the system calls that it makes."""

    name: str
    files: Path
    before: State
    after: State
    calls: list[tuple[str, int]]


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> list[Plan]:
    async def made() -> list[Plan]:
        folder = tmp_path_factory.mktemp("plans")
        async with meddled(folder, "error=EIO") as child:
            return [await planned(folder / str(at), name, child) for at, name in enumerate(CHANGES)]

    return asyncio.run(made())


async def planned(folder: Path, name: str, child: Meddled) -> Plan:
    files, root = folder / "before", folder / "after"
    before = await after_calls(files, *([make_box] if name.startswith(("put", "upload", "remove")) else []), CHANGES[name][0])
    copied(files, root)
    calls = await child.calls(root, name)
    return Plan(name, files, before, await reopened(root), calls)


async def make_box(backend: Backend) -> None:
    await backend.create_container(BOX)


async def after_calls(root: Path, *calls: Callable[[Backend], Awaitable[object]]) -> State:
    store = opened(str(root))
    try:
        for call in calls:
            await call(store.view(""))
        return await state(store.view(""))
    finally:
        await store.close()


def copied(model: Path, root: Path) -> None:
    """Make the root as it was before; nothing where there was none."""
    shutil.rmtree(root, ignore_errors=True)
    if model.exists():
        shutil.copytree(model, root)


def strays(root: Path) -> set[str]:
    """Files that are neither an object nor what an object carries, and folders with nothing in them that are no containers."""
    found = set()
    for path in root.rglob("*"):
        name = path.name
        beside = name.endswith(".meta") and path.with_name(name[1:-5]).is_file()
        empty = path.is_dir() and path.parent != root and not any(path.iterdir())
        if empty or (name.startswith(".") and not beside):
            found.add(str(path.relative_to(root)))
    return found


FAULTS = ["error=EIO", "error=ENOSPC", "error=EACCES", "signal=KILL"]


@pytest.mark.needs("strace")
@pytest.mark.timeout(scale(test=300, ci=300, soak=7200))
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_change_is_whole_or_has_not_been_whichever_system_call_fails(tmp_path: Path, plans: list[Plan], fault: str) -> None:
    every = [(plan, call, nth) for plan in plans for call, nth in plan.calls]
    root, wrong = tmp_path / "root", []
    async with meddled(tmp_path, fault) as child:
        for plan, call, nth in every[FAULTS.index(fault) :: EVERY]:
            copied(plan.files, root)
            ended, code, failed = await child.change(root, plan.name, call, nth)
            now = await reopened(root)
            dead = failed and fault == "signal=KILL"
            whole = now == plan.after or (now == plan.before and (code or dead))
            if ended != (-signal.SIGKILL if dead else 0) or not whole or strays(root):
                wrong.append(f"{plan.name}, {call} {nth}: ended {ended} with {code or 'no error'}, {now}, {strays(root)}")
    assert not wrong, "\n".join(wrong)


def test_the_calls_that_fail_are_those_that_change_something(plans: list[Plan]) -> None:
    for plan in plans:
        assert len(plan.calls) > 10 and plan.before != plan.after
    made = {call for plan in plans for call, _ in plan.calls}
    assert {"openat", "write", "fsync", "renameat", "unlinkat", "mkdirat", "flock", "close"} <= made


async def test_writers_in_several_processes_leave_one_whole_version_and_readers_see_no_other(tmp_path: Path) -> None:
    store = opened(str(tmp_path), connections=4)
    backend = store.view("")
    await backend.create_container(BOX)
    command = (sys.executable, str(CHILD), str(tmp_path))
    rounds = str(scale(test=60, ci=100, soak=5000))
    writers = [
        await asyncio.create_subprocess_exec(*command, name, rounds, env={"PYTHONPATH": str(ROOT)}, stderr=asyncio.subprocess.PIPE)
        for name in "abc"
    ]
    seen = set()
    while any(writer.returncode is None for writer in writers):
        await asyncio.sleep(0.001)
        with contextlib.suppress(NotFound):
            found = (await state(backend)).get((BOX, "x/y"))
            if found is not None:
                assert whole(*found), found
                seen.add(found[0][:1])
    for writer in writers:
        _, errors = await writer.communicate()
        assert (writer.returncode, errors) == (0, b"")
    last = (await state(backend))[BOX, "x/y"]
    assert last is not None and whole(*last) and len(last[0]) == 7 and len(seen) > 1
    await store.close()
    assert not strays(tmp_path)


def whole(data: bytes, details: Details) -> bool:
    """Whether it is one version of a writer, with its own details."""
    name = data[:1].decode()
    return data == data[:1] * len(data) and details in (Details(), Details(f"{name}/{len(data)}"))
