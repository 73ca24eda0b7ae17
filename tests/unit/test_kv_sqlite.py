"""The embedded store: what it adds to the semantics that all backends share, which the conformance suite looks at."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provider_sdk import InvalidArgument, PreconditionFailed, ProviderError, Secret, Unavailable
from providers.keyvalue.backend import Backend, Entry, Kind
from providers.keyvalue.backends import sqlite
from providers.keyvalue.backends.sqlite_file import APPLICATION, SCHEMA, prepare
from providers.keyvalue.config import KeyValueConfig
from tests.tiers import scale
from tests.waiting import until

MOST = 1000


@contextlib.asynccontextmanager
async def a_store(path: Path, durability: str = "normal") -> AsyncIterator[sqlite.SqliteStore]:
    store = sqlite.open_store(KeyValueConfig(path=path, durability=durability), path.parent)
    assert isinstance(store, sqlite.SqliteStore)
    try:
        yield store
    finally:
        await store.close()


@contextlib.contextmanager
def beside(path: Path) -> Iterator[sqlite3.Connection]:
    """What another process would see and do."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as db:
        yield db


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    with beside(path) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


def commits(path: Path) -> int:
    """The commits in the write-ahead log: frames that say how long the file is afterwards (https://sqlite.org/fileformat2.html, 4.1)."""
    log = path.with_name(f"{path.name}-wal").read_bytes()
    frame = 24 + int.from_bytes(log[8:12])
    headers = (log[at : at + 24] for at in range(32, len(log), frame))
    return sum(header[8:16] == log[16:24] and header[4:8] != bytes(4) for header in headers)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def rows(path: Path, table: str) -> int:
    with beside(path) as db:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


async def all_queued() -> None:
    """Every task that was made has handed its operation over."""
    for _ in range(3):
        await asyncio.sleep(0)


# Writes together


async def test_all_writes_that_wait_are_committed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "kv.db"
    async with a_store(path) as store:
        backend = store.namespace("")
        await backend.set(b"first", b"", 0)
        before = commits(path)
        with locked(path):
            writes = [asyncio.create_task(backend.set(b"key %d" % number, b"x", 0)) for number in range(100)]
            await all_queued()
            await asyncio.sleep(0.05)
        await asyncio.gather(*writes)
        assert commits(path) - before in {1, 2}


async def test_a_write_that_is_refused_leaves_those_beside_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "kv.db"
    async with a_store(path) as store:
        backend = store.namespace("")
        await backend.set(b"text", b"no number", 0)
        before = commits(path)
        with locked(path):
            good = [asyncio.create_task(backend.increment(b"counter", 1)) for _ in range(20)]
            bad = [asyncio.create_task(backend.increment(b"text", 1)) for _ in range(20)]
            more = [asyncio.create_task(backend.list_add(b"list", b"x", MOST)) for _ in range(20)]
            await all_queued()
        outcomes = await asyncio.gather(*bad, return_exceptions=True)
        assert await asyncio.gather(*good) == list(range(1, 21))
        assert await asyncio.gather(*more) == list(range(1, 21))
        assert {type(outcome) for outcome in outcomes} == {PreconditionFailed}
        assert commits(path) - before in {1, 2}


@pytest.mark.parametrize("how", ["ABORT", "ROLLBACK", "FAIL"])
async def test_a_write_that_sqlite_fails_leaves_those_beside_it_alone(how: str, tmp_path: Path) -> None:
    path = tmp_path / "kv.db"
    async with a_store(path) as store:
        backend = store.namespace("")
        await backend.set(b"counter", b"0", 0)
        with beside(path) as db:
            db.execute(f"CREATE TRIGGER refuse BEFORE INSERT ON entry WHEN NEW.key = x'62' BEGIN SELECT RAISE({how}, 'refused'); END")
        with locked(path):
            before = [asyncio.create_task(backend.increment(b"counter", 1)) for _ in range(10)]
            bad = asyncio.create_task(backend.set(b"b", b"x", 0))
            after = [asyncio.create_task(backend.increment(b"counter", 1)) for _ in range(10)]
            await all_queued()
        with pytest.raises(ProviderError, match=r"kv\.db") as caught:
            await bad
        assert isinstance(caught.value.__cause__, sqlite3.Error)
        assert await asyncio.gather(*before, *after) == list(range(1, 21))
        assert await backend.get(b"counter") == b"20"
        assert await backend.get(b"b") is None


async def test_what_is_acknowledged_is_read_at_once(tmp_path: Path) -> None:
    async with a_store(tmp_path / "kv.db") as store:
        backend = store.namespace("")

        async def caller(key: bytes) -> None:
            for number in range(200):
                await backend.set(key, b"%d" % number, 0)
                assert await backend.get(key) == b"%d" % number

        await asyncio.gather(*(caller(b"key %d" % number) for number in range(8)))


async def test_a_caller_that_is_gone_before_its_turn_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kv.db"
    async with a_store(path) as store:
        backend = store.namespace("")
        await backend.set(b"kept", b"", 0)
        with locked(path):
            gone = asyncio.create_task(backend.set(b"gone", b"x", 0))
            kept = asyncio.create_task(backend.set(b"kept", b"y", 0))
            await asyncio.sleep(0.05)
            gone.cancel()
            await all_queued()
        await kept
        assert gone.cancelled()
        assert (await backend.get(b"gone"), await backend.get(b"kept")) == (None, b"y")


@pytest.mark.parametrize("stores", [1, 2])
async def test_no_increment_of_many_callers_is_lost(stores: int, tmp_path: Path) -> None:
    callers, times = 32, scale(test=100, ci=300, soak=10_000)
    async with contextlib.AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(a_store(tmp_path / "kv.db")) for _ in range(stores)]
        backends = [store.namespace("") for store in opened]

        async def caller(number: int) -> list[int]:
            return [await backends[number % stores].increment(b"counter", 1) for _ in range(times)]

        sums = await asyncio.gather(*(caller(number) for number in range(callers)))
        assert sorted(itertools.chain(*sums)) == list(range(1, callers * times + 1))
        assert await backends[0].get(b"counter") == b"%d" % (callers * times)


# The end


async def test_closing_finishes_what_waits_and_leaves_one_file(tmp_path: Path) -> None:
    path = tmp_path / "kv.db"
    async with a_store(path) as store:
        backend = store.namespace("")
        writes = [asyncio.create_task(backend.increment(b"counter", 1)) for _ in range(500)]
        await all_queued()
        await store.close()
        assert [task.done() for task in writes] == [True] * 500
        assert (await asyncio.gather(*writes))[-1] == 500
    assert files(tmp_path) == [path.name]
    async with a_store(path) as store:
        assert await store.namespace("").get(b"counter") == b"500"


async def test_closing_ends_the_threads(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    async with a_store(tmp_path / "kv.db") as store:
        await store.namespace("").increment(b"counter", 1)
        await store.namespace("").get(b"counter")
        assert {"keyvalue reader", "keyvalue writer"} <= {thread.name for thread in threading.enumerate()}
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("keyvalue")]


async def test_a_closed_store_answers_unavailable(tmp_path: Path) -> None:
    async with a_store(tmp_path / "kv.db") as store:
        backend = store.namespace("")
        await store.close()
        for call in (backend.get(b"key"), backend.set(b"key", b"", 0)):
            with pytest.raises(Unavailable, match="is closed"):
                await call


# The file


async def test_the_file_and_new_folders_are_their_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "one" / "two" / "kv.db"
    mask = os.umask(0)
    try:
        async with a_store(path) as store:
            await store.namespace("").set(b"key", b"", 0)
            modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "one").rglob("*")}
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o700
    assert modes == {"two": 0o700, "kv.db": 0o600, "kv.db-wal": 0o600, "kv.db-shm": 0o600}


@pytest.mark.parametrize(
    ("values", "file"),
    [
        ({}, "/data/keyvalue.db"),
        ({"path": Path("/elsewhere/kv.db")}, "/elsewhere/kv.db"),
        ({"path": Path("deeper/kv.db")}, "/data/deeper/kv.db"),
        ({"url": Secret("sqlite:///elsewhere/kv.db")}, "/elsewhere/kv.db"),
        ({"url": Secret("sqlite:////elsewhere/kv.db")}, "/elsewhere/kv.db"),
        ({"url": Secret("sqlite://Name.db")}, "/data/Name.db"),
        ({"url": Secret("sqlite://deeper/kv.db")}, "/data/deeper/kv.db"),
        ({"url": Secret("sqlite:///elsewhere/a%20b%3Fc.db")}, "/elsewhere/a b?c.db"),
        ({"url": Secret("sqlite://")}, "/data/keyvalue.db"),
        ({"url": Secret("sqlite://"), "path": Path("kv.db")}, "/data/kv.db"),
    ],
)
def test_a_path_is_absolute_or_begins_in_the_data_folder(values: dict[str, Any], file: str) -> None:
    assert sqlite.file_of(KeyValueConfig(**values), Path("/data")) == Path(file)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"url": Secret("sqlite:///kv.db?mode=ro")}, "nothing behind the path"),
        ({"url": Secret("sqlite:///kv.db#part")}, "nothing behind the path"),
        ({"url": Secret("sqlite:///kv%00.db")}, "zero bytes"),
        ({"url": Secret("sqlite::memory:")}, "is none of memory, sqlite"),
        ({"url": Secret("sqlite:///kv.db"), "path": Path("kv.db")}, "the url names a file too"),
    ],
)
def test_what_means_no_file_is_refused(values: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=said):
        sqlite.open_store(KeyValueConfig(**values), tmp_path)


def test_links_share_a_store_where_file_and_durability_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)

    def key(path: str, durability: str = "full") -> object:
        return sqlite.store_key(KeyValueConfig(path=tmp_path / path, durability=durability), tmp_path)

    assert key("kv.db") == key("link/kv.db") == sqlite.store_key(KeyValueConfig(url=Secret("sqlite://kv.db")), tmp_path)
    assert len({key("kv.db"), key("other.db"), key("kv.db", "normal")}) == 3


async def test_a_name_that_sqlite_would_read_as_more_is_a_name(tmp_path: Path) -> None:
    path = tmp_path / "kv?mode=memory#%41 ü.db"
    async with a_store(path) as store:
        await store.namespace("").set(b"key", b"", 0)
    assert files(tmp_path) == [path.name]


@pytest.mark.parametrize(("durability", "level"), [("full", 2), ("normal", 1)])
async def test_durability_is_sqlites_level_of_syncs(durability: str, level: int, tmp_path: Path) -> None:
    def pragmas(db: sqlite3.Connection) -> list[object]:
        return [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode", "secure_delete", "auto_vacuum")]

    async with a_store(tmp_path / "kv.db", durability) as store:
        assert await store._writer.run(pragmas) == [level, "wal", 1, 2]  # noqa: SLF001  # nothing else shows it


# Versions


def test_a_file_of_an_older_version_is_brought_up_to_date_with_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "kv.db"
    with beside(path) as db:
        prepare(db, path)
        db.execute("INSERT INTO entry (space, key, kind, expires, members, bytes, value) VALUES (x'', x'61', 0, 0, 1, 1, x'62')")
        prepare(db, path, (*SCHEMA, ("ALTER TABLE entry ADD COLUMN note", "UPDATE entry SET note = 'new'")))
        assert db.execute("SELECT key, value, note FROM entry").fetchall() == [(b"a", b"b", "new")]
        assert db.execute("PRAGMA user_version").fetchone() == (len(SCHEMA) + 1,)


def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kv.db"
    with beside(path) as db:
        prepare(db, path)
        with pytest.raises(sqlite3.Error):
            prepare(db, path, (*SCHEMA, ("DROP TABLE set_member", "no statement")))
        assert db.execute("SELECT count(*) FROM set_member").fetchone() == (0,)
        assert db.execute("PRAGMA user_version").fetchone() == (len(SCHEMA),)


async def test_a_file_of_a_newer_version_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "kv.db"
    async with a_store(path) as store:
        await store.namespace("").set(b"key", b"value", 0)
    with beside(path) as db:
        db.execute(f"PRAGMA user_version = {len(SCHEMA) + 1}")
    async with a_store(path) as store:
        for call in (store.namespace("").get(b"key"), store.namespace("").set(b"key", b"other", 0)):
            with pytest.raises(PreconditionFailed, match=rf"kv\.db has version {len(SCHEMA) + 1}, .* use a newer provider"):
                await call
        assert "use a newer provider" in await store.trouble()
    with beside(path) as db:
        assert db.execute("SELECT value FROM entry").fetchall() == [(b"value",)]


@pytest.mark.parametrize("statement", ["CREATE TABLE theirs (x)", "PRAGMA application_id = 7", "PRAGMA user_version = 1"])
async def test_a_database_of_another_program_is_left_as_it_is(statement: str, tmp_path: Path) -> None:
    path = tmp_path / "kv.db"
    with beside(path) as db:
        db.execute(statement)
    before = path.read_bytes()
    async with a_store(path) as store:
        with pytest.raises(PreconditionFailed, match="another program"):
            await store.namespace("").set(b"key", b"", 0)
    assert path.read_bytes() == before


async def test_many_that_open_a_new_file_at_once_make_it_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "kv.db"
    async with contextlib.AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(a_store(path)) for _ in range(12)]
        calls = [call for store in stores for call in (store.namespace("").increment(b"counter", 1), store.namespace("").get(b"other"))]
        outcomes = await asyncio.gather(*calls)
        assert sorted(outcome for outcome in outcomes if outcome is not None) == list(range(1, 13))
    with beside(path) as db:
        assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION,)


# Expiry


async def test_what_has_expired_leaves_the_file_without_being_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "kv.db"
    count, past = scale(test=1200, ci=2500, soak=50_000), 1.0
    async with a_store(path) as store:
        backend = store.namespace("")
        await backend.set(b"kept", b"x", 0)
        for kind in (Kind.LIST, Kind.SET):
            await backend.put(Entry(kind.encode(), kind, tuple(b"%0200d" % number for number in range(count)), past))
        await asyncio.gather(*(backend.set(b"key %d" % number, b"x" * 4000, 1) for number in range(count)))
        await until(lambda: (rows(path, "entry"), rows(path, "list_item"), rows(path, "set_member")) == (1, 0, 0))
        with beside(path) as db:
            await until(lambda: db.execute("PRAGMA page_count").fetchone()[0] < 400)
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert await backend.get(b"kept") == b"x"
    assert path.stat().st_size < 400 * 4096
    assert b"x" * 100 not in path.read_bytes()


@pytest.mark.parametrize("kind", list(Kind))
async def test_what_has_expired_is_gone_from_every_operation_before_it_is_swept(kind: Kind, tmp_path: Path) -> None:
    async with a_store(tmp_path / "kv.db") as store:
        backend = store.namespace("")
        entry = Entry(b"key", kind, (b"7",), 1.0)

        async def after_it(call: Callable[[bytes], Awaitable[Any]]) -> Any:
            return (await asyncio.gather(backend.put(entry), call(b"key")))[1]

        assert await after_it(backend.delete) is False
        assert await after_it(lambda key: backend.increment(key, 2)) == 2
        assert await after_it(lambda key: backend.list_add(key, b"x", MOST)) == 1
        assert await after_it(lambda key: backend.list_delete(key, b"7")) is False
        assert await after_it(lambda key: backend.set_add(key, b"7", MOST)) == 1
        assert await after_it(lambda key: backend.set_delete(key, b"7")) == 0
        await backend.put(entry)
        assert await backend.get(b"key") is None
        assert await backend.contains(b"key") is False
        assert await backend.list_range(b"key", 0, -1) == []
        assert await backend.set_union([b"key"]) == await backend.set_intersection([b"key"]) == []
        assert [found async for found in backend.entries()] == []
        assert (await backend.stats()).size == 0


async def test_a_list_that_is_removed_gives_none_of_its_items_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "kv.db"
    async with a_store(path) as store:
        backend = store.namespace("")
        for _ in range(5):
            await backend.put(Entry(b"list", Kind.LIST, tuple(b"%d" % number for number in range(3000)), 0.0))
            await backend.delete(b"list")
            assert await backend.list_add(b"list", b"new", MOST) == 1
            assert await backend.list_range(b"list", 0, -1) == [b"new"]
        await until(lambda: rows(path, "list_item") == 1)
        assert await backend.list_range(b"list", 0, -1) == [b"new"]


# Namespaces

NAMES = ("", "a", "A", "a/b", "a%2Fb", "a\0", "a\0b", " a", "é", "e\u0301", "\udcff", "'; DROP TABLE entry; --", "%", "_", "x" * 256)


async def test_no_namespace_sees_or_changes_a_key_of_another(tmp_path: Path) -> None:
    async with a_store(tmp_path / "kv.db") as store:
        spaces = {name: store.namespace(name) for name in NAMES}
        keys = [name.encode("utf-8", "surrogatepass") for name in NAMES]

        async def fill(name: str, backend: Backend) -> None:
            for key in keys:
                await backend.set(key, repr((name, key)).encode(), 0)

        await asyncio.gather(*(fill(name, backend) for name, backend in spaces.items()))
        emptied = spaces.pop("a")
        for key in keys:
            assert await emptied.delete(key)
        assert [entry async for entry in emptied.entries()] == []
        for name, backend in spaces.items():
            assert {entry.key: entry.items for entry in [found async for found in backend.entries()]} == {
                key: (repr((name, key)).encode(),) for key in keys
            }
            assert (await backend.stats()).texts == len(keys)


# Much


async def test_entries_come_once_each_however_many_there_are(tmp_path: Path) -> None:
    async with a_store(tmp_path / "kv.db") as store:
        backend = store.namespace("")
        entries = [Entry(b"%d" % number, Kind.TEXT, (b"x",), 0.0) for number in range(1200)]
        entries += [Entry(b"", Kind.LIST, (b"b", b"a", b"b"), 4e9), Entry(b"\xff", Kind.TEXT, (b"y" * 3_000_000,), 0.0)]
        await asyncio.gather(*(backend.put(entry) for entry in entries))
        found = [entry async for entry in backend.entries()]
        assert sorted(found, key=lambda entry: entry.key) == sorted(entries, key=lambda entry: entry.key)
        stats = await backend.stats()
        assert (stats.texts, stats.lists, stats.sets, stats.expiring) == (1201, 1, 0, 1)
        assert stats.size == sum(len(entry.key) + sum(map(len, entry.items)) for entry in entries)


async def test_the_log_stays_short_while_many_read_and_write(tmp_path: Path) -> None:
    path = tmp_path / "kv.db"
    async with a_store(path) as store:
        backend = store.namespace("")
        done = asyncio.Event()

        async def reader() -> None:
            while not done.is_set():
                await backend.get(b"key 1")

        async def writer(name: int) -> None:
            for number in range(scale(test=1000, ci=3000, soak=30_000)):
                await backend.set(b"key %d" % name, b"%03000d" % number, 0)

        readers = [asyncio.create_task(reader()) for _ in range(8)]
        await asyncio.gather(*(writer(name) for name in range(8)))
        done.set()
        await asyncio.gather(*readers)
        assert path.with_name("kv.db-wal").stat().st_size < 64 << 20
