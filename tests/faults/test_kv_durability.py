"""The embedded store under faults: processes that are killed, disks that are full or fail, files that may only be read or are damaged."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import sqlite3
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from provider_sdk import ProviderError
from provider_sdk.contracts.keyvalue import KeyValue
from provider_sdk.testing import a_lattice
from tests.faults.kv_child import PARTS, WRITERS
from tests.tiers import scale
from tests.waiting import until

CHILD = Path(__file__).with_name("kv_child.py")
ROOT = Path(__file__).parents[2]
MIB = 1 << 20


class Child:
    """A process that asks a store; what it says is in the order of what it was asked."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def together(self, *calls: list[Any]) -> list[dict[str, Any]]:
        """The outcomes of calls that are made at once."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(calls).encode() + b"\n")
        outcomes: list[dict[str, Any]] = json.loads(await self.process.stdout.readline())
        return outcomes

    async def __call__(self, *call: Any) -> Any:
        """The result of one call, which has to have one."""
        (outcome,) = await self.together(list(call))
        return outcome["result"]

    async def refused(self, *call: Any) -> dict[str, Any]:
        """The error of one call, which has to have one."""
        (outcome,) = await self.together(list(call))
        assert "error" in outcome, outcome
        return outcome


@contextlib.asynccontextmanager
async def a_child(path: Path, *prefix: str, durability: str = "full") -> AsyncIterator[Child]:
    command = (*prefix, sys.executable, str(CHILD), str(path), durability, "ask")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env={"PYTHONPATH": str(ROOT)}, limit=64 * MIB)
    try:
        yield Child(process)
    finally:
        # It ends with its input, also where strace stands between, which would leave it behind if it were killed.
        await process.communicate(b"")
    assert process.returncode == 0


@contextlib.asynccontextmanager
async def a_writer(path: Path, name: str, durability: str) -> AsyncIterator[asyncio.subprocess.Process]:
    command = (sys.executable, str(CHILD), str(path), durability, "write", name)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": str(ROOT)}, limit=64 * MIB)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@contextlib.contextmanager
def beside(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as db:
        yield db


def mode(path: Path, bits: int) -> None:
    path.chmod(bits)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def content(path: Path) -> bytes:
    return path.read_bytes()


def text(db: sqlite3.Connection, key: str) -> bytes:
    row = db.execute("SELECT value FROM entry WHERE key = ?", (key.encode(),)).fetchone()
    return b"0" if row is None else bytes(row[0])


def items(db: sqlite3.Connection, key: str) -> list[bytes]:
    rows = db.execute("SELECT i.value FROM list_item AS i JOIN entry AS e ON i.entry = e.id WHERE e.key = ? ORDER BY i.id", (key.encode(),))
    return [row[0] for row in rows]


def check(path: Path, acknowledged: dict[str, int]) -> None:
    """The file is whole, and holds of each caller all that was acknowledged, and at most the one write that was under way besides."""
    with beside(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for key, count in acknowledged.items():
            counter, listed = int(text(db, f"counter {key}")), items(db, f"list {key}")
            assert count <= counter <= count + 1
            assert count <= len(listed) <= counter
            assert listed == [b"%d" % number for number in range(1, len(listed) + 1)]
            assert counter <= int(text(db, f"text {key}")) <= count + 1
            (together,) = {int(text(db, f"part {part} {key}")) for part in range(PARTS)}
            assert count <= together <= len(listed)


async def killed_at_some_moment(process: asyncio.subprocess.Process) -> dict[str, int]:
    """Kill a writer, now and then before its first line; the highest number that each of its callers had acknowledged."""
    assert process.stdout is not None
    head = b"" if random.random() < 0.1 else await process.stdout.readline()
    await asyncio.sleep(random.random() * 0.15)
    process.kill()
    rest, _ = await process.communicate()
    acknowledged: dict[str, int] = defaultdict(int)
    for line in (head + rest).decode().splitlines():
        key, _, count = line.rpartition(" ")
        acknowledged[key] = int(count)
    return acknowledged


@pytest.mark.timeout(scale(test=300, ci=900, soak=14400))
@pytest.mark.parametrize("durability", ["full", "normal"])
async def test_nothing_that_was_acknowledged_is_lost_when_the_process_is_killed(durability: str, tmp_path: Path) -> None:
    path, rounds = tmp_path / "kv.db", scale(test=8, ci=40, soak=1000)
    everything: dict[str, int] = {}
    for number in range(rounds):
        async with a_writer(path, f"round {number}", durability) as process:
            killed = await killed_at_some_moment(process)
        if path.exists() and path.stat().st_size:
            check(path, killed)
        everything |= killed
    print(f"killed {rounds} times, durability {durability}: {sum(everything.values())} numbers acknowledged and found")
    assert len(everything) >= rounds // 2 * WRITERS
    check(path, everything)


async def test_a_process_goes_on_when_one_that_shares_the_file_is_killed(tmp_path: Path) -> None:
    path, rounds = tmp_path / "kv.db", scale(test=4, ci=15, soak=200)
    everything: dict[str, int] = {}
    async with a_child(path) as child:
        for number in range(1, rounds + 1):
            async with a_writer(path, f"round {number}", "full") as process:
                killing = asyncio.create_task(killed_at_some_moment(process))
                while not killing.done():
                    await child("increment", "own", 1)
                everything |= await killing
            own = await child("increment", "rounds", 1)
            assert own == number
        check(path, everything)


async def test_a_provider_that_is_killed_under_load_has_kept_what_it_acknowledged(tmp_path: Path) -> None:
    path, calls = tmp_path / "kv.db", 16
    sums = [0] * calls
    async with a_lattice(rpc_timeout=30.0) as lattice:
        for number in range(scale(test=2, ci=5, soak=50)):
            provider = await lattice.process("providers.keyvalue", contract="wasmcloud:keyvalue")
            target = await lattice.link(provider, {"path": str(path)})
            assert await KeyValue.at(target).increment("opened", 1) == number + 1
            store = KeyValue.at(target, timeout=3.0)

            async def caller(index: int, store: KeyValue = store, number: int = number) -> None:
                with contextlib.suppress(ProviderError):
                    while True:
                        sums[index] = await store.increment(f"counter {number} {index}", 1)

            sums[:] = [0] * calls
            callers = [asyncio.create_task(caller(index)) for index in range(calls)]
            await until(lambda: sum(sums) > calls)
            await asyncio.sleep(0.3 + random.random() * 0.3)
            await lattice.kill(provider)
            await asyncio.gather(*callers)
            with beside(path) as db:
                assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                kept = [int(text(db, f"counter {number} {index}")) for index in range(calls)]
            assert all(acknowledged <= count <= acknowledged + 1 for acknowledged, count in zip(sums, kept, strict=True))


@pytest.mark.needs("strace")
@pytest.mark.parametrize(("durability", "fewest", "most"), [("full", 20, 25), ("normal", 0, 5)])
async def test_each_acknowledged_write_was_synced_if_it_is_to_survive_a_power_cut(
    durability: str, fewest: int, most: int, tmp_path: Path
) -> None:
    log, trace = tmp_path / "kv.db-wal", tmp_path / "trace"
    prefix = ("strace", "-f", "-qq", "-o", str(trace), "-P", str(log), "-e", "trace=fdatasync,fsync")

    def syncs() -> int:
        return trace.read_text().count("sync(")

    async with a_child(tmp_path / "kv.db", *prefix, durability=durability) as child:
        await child("set", "key", "first", 0)
        before = syncs()
        for number in range(20):
            await child("set", "key", str(number), 0)
        assert fewest <= syncs() - before <= most


# No room


async def test_a_full_disk_refuses_writes_and_goes_on_reading_until_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "kv.db"
    async with a_child(path) as child:
        assert await child("set", "before", "x" * 1000, 0) is None
        await child("limit", 2 * MIB)
        kept: dict[str, str] = {"before": "x" * 1000}
        for number in range(200):
            value = str(number) * 20_000
            (outcome,) = await child.together(["set", f"key {number}", value, 0])
            if "error" in outcome:
                break
            kept[f"key {number}"] = value
        assert (outcome["error"], outcome["cause"]) == ("ResourceExhausted", "OperationalError")
        assert outcome["message"] == f"{path} cannot grow, nothing was written: make room on the disk, or raise the quota or ulimit -f"
        for key, value in kept.items():
            assert await child("get", key) == value
        assert await child("contains", f"key {number}") is False
        await child("limit", 4096)
        assert (await child.refused("set", "before", "y", 0))["error"] == "ResourceExhausted"
        assert str(path) in await child("trouble")
        assert await child("get", "before") == "x" * 1000
        await child("limit", 0)
        assert await child("trouble") == ""
        assert await child("set", f"key {number}", "fits", 0) is None
        assert await child("get", f"key {number}") == "fits"
    with beside(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert {key: text(db, key).decode() for key in kept} == kept


async def test_a_write_that_is_too_large_for_the_disk_fails_alone(tmp_path: Path) -> None:
    path = tmp_path / "kv.db"
    async with a_child(path) as child:
        await child("set", "large", "before", 0)
        await child("limit", 4 * MIB)
        small = [["increment", "counter", 1]] * 10
        outcomes = await child.together(*small, ["set", "large", "x" * 8 * MIB, 0], *small)
        assert outcomes.pop(10)["error"] == "ResourceExhausted"
        assert [outcome.get("result") for outcome in outcomes] == list(range(1, 21))
        assert await child("get", "counter") == "20"
        assert await child("get", "large") == "before"


# A disk that fails: strace answers in its place


def injected(folder: Path, calls: str, error: str, when: str) -> tuple[str, ...]:
    """The command line that makes the system calls of a child on the log of the store fail."""
    rule = f"inject={calls}:error={error}:when={when}"
    return ("strace", "-f", "-qq", "-o", str(folder / "trace"), "-P", str(folder / "kv.db-wal"), "-e", rule)


def happened(folder: Path) -> int:
    return (folder / "trace").read_text().count("(INJECTED)")


@pytest.mark.needs("strace")
@pytest.mark.parametrize(
    ("calls", "error", "refusal"),
    [
        ("fdatasync,fsync", "EIO", "Unavailable"),
        ("pwrite64,pwritev", "EIO", "Unavailable"),
        ("pwrite64,pwritev", "ENOSPC", "ResourceExhausted"),
        ("pwrite64,pwritev", "EDQUOT", "Unavailable"),
    ],
)
async def test_writes_that_the_disk_refuses_are_refused_and_the_others_kept(calls: str, error: str, refusal: str, tmp_path: Path) -> None:
    path = tmp_path / "kv.db"
    async with a_child(path) as child:
        await child("set", "old", "kept", 0)
    kept: dict[str, int] = {"old": 0}
    refusals: set[tuple[str, str]] = set()
    async with a_child(path, *injected(tmp_path, calls, error, "20+17")) as child:
        for number in range(scale(test=60, ci=60, soak=3000)):
            keys = [f"key {number} {index}" for index in range(5)]
            for key, outcome in zip(keys, await child.together(*(["increment", key, number + 1] for key in keys)), strict=True):
                if "error" in outcome:
                    assert str(path) in outcome["message"]
                    refusals.add((outcome["error"], outcome["cause"]))
                else:
                    kept[key] = outcome["result"]
            assert await child("get", "old") == "kept"
            for key in keys:
                assert await child("get", key) == (str(kept[key]) if key in kept else None)
    assert happened(tmp_path) > 2
    assert refusals <= {(refusal, "OperationalError")}
    with beside(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert all(text(db, key) == b"%d" % value for key, value in kept.items() if key != "old")


@pytest.mark.needs("strace")
@pytest.mark.parametrize(("calls", "error"), [("fdatasync,fsync", "EIO"), ("pwrite64,pwritev", "ENOSPC")])
async def test_a_disk_that_goes_on_failing_is_named_to_every_caller_and_to_health(calls: str, error: str, tmp_path: Path) -> None:
    path = tmp_path / "kv.db"
    async with a_child(path) as child:
        await child("set", "old", "kept", 0)
    async with a_child(path, *injected(tmp_path, calls, error, "1+")) as child:
        outcomes = await child.together(*([["set", f"key {number}", "x", 0] for number in range(20)] + [["get", "old"]] * 5))
        assert {outcome.get("error") for outcome in outcomes[:20]} <= {"Unavailable", "ResourceExhausted"}
        assert [outcome.get("result") for outcome in outcomes[20:]] == ["kept"] * 5
        assert str(path) in await child("trouble")
    with beside(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# A file that may not be written


@pytest.fixture
async def filled(tmp_path: Path) -> AsyncIterator[Path]:
    """A store with a thousand keys, whose folder is left as it was found."""
    path = tmp_path / "folder" / "kv.db"
    async with a_child(path) as child:
        await child.together(*(["set", f"key {number}", f"{number} " * 300, 0] for number in range(1000)))
    yield path
    mode(path.parent, 0o700)


@pytest.mark.needs("unprivileged")
@pytest.mark.parametrize(("file", "folder"), [(0o400, 0o700), (0o600, 0o500), (0o400, 0o500)])
async def test_what_may_only_be_read_is_read_until_it_may_be_written(file: int, folder: int, filled: Path) -> None:
    mode(filled, file)
    mode(filled.parent, folder)
    async with a_child(filled) as child:
        refusal = await child.refused("set", "key 7", "other", 0)
        assert (refusal["error"], refusal["cause"]) == ("PreconditionFailed", "PermissionError")
        assert refusal["message"] == f"{filled} may only be read: permit the provider to write to it and to its folder"
        assert await child("get", "key 7") == "7 " * 300
        assert "may only be read" in await child("trouble")
        assert files(filled.parent) == [filled.name]
        mode(filled.parent, 0o700)
        mode(filled, 0o600)
        assert await child("set", "key 8", "other", 0) is None
        assert await child("get", "key 8") == "other"
        assert await child("trouble") == ""


@pytest.mark.needs("unprivileged")
async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    mode(tmp_path, 0o500)
    try:
        async with a_child(tmp_path / "new" / "kv.db") as child:
            for call in (["get", "key"], ["set", "key", "x", 0]):
                refusal = await child.refused(*call)
                assert (refusal["error"], refusal["cause"]) == ("PreconditionFailed", "PermissionError")
                assert refusal["message"] == f"{tmp_path}/new/kv.db cannot be made: permission denied"
    finally:
        mode(tmp_path, 0o700)


# A file that is damaged


def head_overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\xa5" * 4096)


def middle_overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        # Leaves of the table of keys: what leads to them lies before. Whole pages, for SQLite keeps no checksum of what is in one.
        file.seek(path.stat().st_size // 4096 // 2 * 4096)
        file.write(b"\xa5" * 8 * 4096)


def no_database(path: Path) -> None:
    path.write_bytes(b"a text that somebody keeps here\n" * 400)


@pytest.mark.parametrize("harm", [head_overwritten, no_database])
async def test_a_file_that_is_no_database_is_left_as_it_is(harm: Callable[[Path], None], filled: Path) -> None:
    harm(filled)
    before = content(filled)
    async with a_child(filled) as child:
        for call in (["get", "key 7"], ["set", "key 7", "x", 0]):
            refusal = await child.refused(*call)
            assert (refusal["error"], refusal["cause"]) == ("PreconditionFailed", "DatabaseError")
            assert refusal["message"] == f"{filled} is no SQLite database and was left as it is: name another file"
        assert str(filled) in await child("trouble")
    assert content(filled) == before


async def test_damage_is_reported_where_it_is_met_and_what_is_whole_is_read(filled: Path) -> None:
    middle_overwritten(filled)
    before = content(filled)
    async with a_child(filled) as child:
        outcomes = await child.together(*(["get", f"key {number}"] for number in range(1000)))
        good = [number for number, outcome in enumerate(outcomes) if outcome.get("result") == f"{number} " * 300]
        bad = [outcome for outcome in outcomes if "error" in outcome]
        assert len(good) + len(bad) == 1000
        assert len(good) > 900
        assert bad
        assert {(outcome["error"], outcome["cause"]) for outcome in bad} == {("PreconditionFailed", "DatabaseError")}
        assert {outcome["message"] for outcome in bad} == {
            f"{filled} is damaged and was left as it is: put a backup in its place and restart the provider"
        }
        assert "is damaged" in await child("trouble")
        assert await child("get", f"key {good[0]}") == f"{good[0]} " * 300
        assert "is damaged" in await child("trouble")
    assert content(filled) == before


def replaced(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    copy.rename(path)


@pytest.mark.parametrize("harm", [Path.unlink, replaced])
async def test_a_file_that_is_gone_gets_no_write_that_would_be_lost(harm: Callable[[Path], None], filled: Path) -> None:
    async with a_child(filled) as child:
        await child.together(["set", "key 7", "before", 0], ["get", "key 7"])
        harm(filled)
        for call in (["set", "key 7", "after", 0], ["get", "key 7"], ["get", "key 7"]):
            refusal = await child.refused(*call)
            assert refusal["error"] == "PreconditionFailed"
            assert refusal["message"] == f"{filled} was removed or replaced while it was open: restart the provider"
        assert "restart the provider" in await child("trouble")


# A file that another process holds


async def test_reads_go_on_while_another_process_holds_the_file_for_too_long(filled: Path) -> None:
    async with a_child(filled) as child:
        await child("set", "key 7", "before", 0)
        with beside(filled) as db:
            db.execute("BEGIN IMMEDIATE")
            refusal = asyncio.create_task(child.refused("set", "key 7", "after", 0))
            async with a_child(filled) as reader:
                while not refusal.done():
                    assert await reader("get", "key 7") == "before"
                    await asyncio.sleep(0.05)
            assert (await refusal)["error"] == "Unavailable"
            assert "is locked by another process" in (await refusal)["message"]
            assert "is locked by another process" in await child("trouble")
            db.execute("ROLLBACK")
        assert await child("set", "key 7", "after", 0) is None
        await until_answered(partial(child, "trouble"), "")


async def until_answered(ask: Callable[[], Any], answer: object) -> None:
    async with asyncio.timeout(30):
        while await ask() != answer:
            await asyncio.sleep(0.1)
