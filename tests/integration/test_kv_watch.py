"""Watched stores on real servers and files: what is switched on, what it leaves behind, and what happens when the server goes away."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from provider_sdk import Secret, Unavailable
from providers.keyvalue.backend import Backend
from providers.keyvalue.backends import postgres, redis, sqlite, sqlite_changes, sqlite_statements
from providers.keyvalue.config import KeyValueConfig
from tests.kv_watch import Component, a_watch
from tests.servers.postgres import PostgresServer
from tests.servers.redis import SERVICE, RedisServer, running, sentinels
from tests.waiting import until

BACK_WITHIN = 20.0


@contextlib.asynccontextmanager
async def on_redis(url: str) -> AsyncIterator[Backend]:
    store = redis.open_store(KeyValueConfig(url=Secret(url)), Path())
    yield store.namespace("")
    await store.close()


@contextlib.asynccontextmanager
async def on_postgres(url: str) -> AsyncIterator[Backend]:
    store = postgres.open_store(KeyValueConfig(url=Secret(url)), Path())
    yield store.namespace("")
    await store.close()


@contextlib.asynccontextmanager
async def in_file(path: Path) -> AsyncIterator[Backend]:
    store = sqlite.open_store(KeyValueConfig(path=path, durability="normal"), path.parent)
    yield store.namespace("")
    await store.close()


@pytest.fixture(scope="module")
def database() -> Iterator[PostgresServer]:
    with PostgresServer.running() as server:
        yield server


async def until_told(component: Component, backend: Backend) -> None:
    """Set keys until the component is told of one."""
    already = len(component.told)
    number = 0
    async with asyncio.timeout(BACK_WITHIN):
        while len(component.told) == already:
            with contextlib.suppress(Unavailable):
                await backend.set(b"again %d" % number, b"1", 0)
            number += 1
            await asyncio.sleep(0.1)


@pytest.mark.needs("redis-server")
class TestRedis:
    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[RedisServer]:
        with running(tmp_path / "redis") as server:
            yield server

    async def test_events_are_switched_on_beside_those_that_others_need(self, server: RedisServer) -> None:
        server.command("CONFIG", "SET", "notify-keyspace-events", "El")
        component = Component()
        async with on_redis(server.url) as backend, a_watch(component, backend, "SET@a"):
            flags = server.command("CONFIG", "GET", "notify-keyspace-events")[1].decode()
            assert set("ElKg$xe") <= set(flags)
            server.command("SET", "a", "from elsewhere")
            await until(lambda: component.told == [("a", b"from elsewhere")])

    async def test_events_that_are_on_are_left_as_they_are(self, server: RedisServer) -> None:
        server.command("CONFIG", "SET", "notify-keyspace-events", "KA")
        before = server.command("CONFIG", "GET", "notify-keyspace-events")
        async with on_redis(server.url) as backend, a_watch(Component(), backend, "SET@a"):
            assert server.command("CONFIG", "GET", "notify-keyspace-events") == before

    async def test_where_they_may_not_be_switched_on_health_says_what_to_set(self, server: RedisServer) -> None:
        server.command("ACL", "SETUSER", "reader", "on", ">word", "~*", "&*", "+@all", "-config|set")
        url = server.url.replace("://", "://reader:word@")
        async with on_redis(url) as backend, a_watch(Component(), backend, "SET@a") as watch:
            assert "does not tell of changes: set notify-keyspace-events to Kg$xe there" in watch.trouble
            server.command("CONFIG", "SET", "notify-keyspace-events", "Kg$xe")
            await until(lambda: not watch.trouble, BACK_WITHIN)

    async def test_where_the_setting_may_not_be_seen_they_are_waited_for(
        self, server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        server.command("CONFIG", "SET", "notify-keyspace-events", "KA")
        server.command("ACL", "SETUSER", "reader", "on", ">word", "~*", "&*", "+@all", "-config")
        component = Component()
        async with on_redis(server.url.replace("://", "://reader:word@")) as backend, a_watch(component, backend, "SET@a") as watch:
            await backend.set(b"a", b"1", 0)
            await until(lambda: component.told == [("a", b"1")])
            assert not watch.trouble and "notify-keyspace-events has to have" in caplog.text

    async def test_channels_that_may_not_be_heard_are_said(self, server: RedisServer) -> None:
        server.command("ACL", "SETUSER", "deaf", "on", ">word", "~*", "resetchannels", "+@all")
        async with on_redis(server.url.replace("://", "://deaf:word@")) as backend, a_watch(Component(), backend, "SET@a") as watch:
            assert "does not allow its user the command or the key" in watch.trouble

    @pytest.mark.parametrize("how", ["killed", "hangs"])
    async def test_after_the_server_was_away_changes_are_told_again(self, server: RedisServer, how: str) -> None:
        component = Component()
        async with on_redis(server.url) as backend, a_watch(component, backend) as watch:
            await until_told(component, backend)
            if how == "killed":
                server.kill()
            else:
                server.pause()
            await until(lambda: "changes are not told" in watch.trouble, BACK_WITHIN)
            if how == "killed":
                server.start()
            else:
                server.resume()
            await until(lambda: not watch.trouble, BACK_WITHIN)
            await until_told(component, backend)
            assert watch.counters.lost.values == {("store",): 1}

    async def test_the_replica_that_takes_over_tells_of_changes_too(self, tmp_path: Path) -> None:
        component = Component()
        with sentinels(tmp_path / "several") as (primary, _, sentinel):
            url = f"redis+sentinel://127.0.0.1:{sentinel.port}/{SERVICE}"
            async with on_redis(url) as backend, a_watch(component, backend):
                await until_told(component, backend)
                primary.kill()
                await until_told(component, backend)

    async def test_changes_by_any_command_of_anybody_are_told(self, server: RedisServer) -> None:
        component = Component()
        async with on_redis(server.url) as backend, a_watch(component, backend):
            for words, told in (
                (("APPEND", "a", "1"), ("a", b"1")),
                (("RENAME", "a", "b"), ("b", b"1")),
                (("GETDEL", "b"), ("b", None)),
                (("SET", "c", "1", "PX", "30"), ("c", b"1")),
                (("INCR", "n"), ("n", b"1")),
            ):
                server.command(*words)
                await until(lambda told=told: told in component.told)  # type: ignore[misc]
            server.command("RPUSH", "list", "1")
            await until(lambda: ("c", None) in component.told)
            assert ("a", None) in component.told and "list" not in dict(component.told)


@pytest.mark.needs("initdb")
class TestPostgres:
    async def test_writes_notify_nobody_until_somebody_watches(self, database: PostgresServer) -> None:
        enabled = "SELECT tgenabled::text FROM pg_trigger WHERE tgname = 'told'"
        await database.execute("DROP SCHEMA IF EXISTS keyvalue CASCADE")
        component = Component()
        async with on_postgres(database.url()) as backend:
            await backend.set(b"a", b"1", 0)
            assert await database.execute(enabled) == [("D",)]
            async with a_watch(component, backend):
                assert await database.execute(enabled) == [("O",)]
                await backend.set(b"a", b"2", 0)
                await until(lambda: component.told == [("a", b"2")])

    async def test_after_the_connection_was_ended_changes_are_told_again(self, database: PostgresServer) -> None:
        component = Component()
        async with on_postgres(database.url()) as backend, a_watch(component, backend) as watch:
            await until_told(component, backend)
            await database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'wasmcloud keyvalue'")
            await until(lambda: bool(watch.counters.lost.values), BACK_WITHIN)
            await until(lambda: not watch.trouble, BACK_WITHIN)
            await until_told(component, backend)

    async def test_keys_whose_id_is_not_their_name_are_left_out(self, database: PostgresServer) -> None:
        component = Component()
        async with on_postgres(database.url()) as backend, a_watch(component, backend):
            for size in (1001, 1000):
                await backend.set(b"k" * size, b"%d" % size, 0)
            await until(lambda: component.told == [("k" * 1000, b"1000")])

    async def test_what_expires_is_told_when_it_is_removed(self, database: PostgresServer) -> None:
        component = Component()
        async with on_postgres(database.url()) as backend, a_watch(component, backend):
            await backend.set(b"short", b"1", 1)
            await until(lambda: ("short", None) in component.told, BACK_WITHIN)


class TestSqlite:
    async def test_nothing_is_noted_unless_somebody_watches(self, tmp_path: Path) -> None:
        path = tmp_path / "kv.db"
        async with in_file(path) as backend:
            await backend.set(b"a", b"1", 0)
            with contextlib.closing(sqlite3.connect(path)) as db:
                assert db.execute("SELECT count(*) FROM change").fetchone() == (0,)
                component = Component()
                async with a_watch(component, backend):
                    await backend.set(b"a", b"2", 0)
                    await until(lambda: component.told == [("a", b"2")])
                    assert db.execute("SELECT count(*) FROM change").fetchone() == (1,)

    async def test_notes_are_removed_and_end_when_the_watcher_has_died(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqlite_changes, "WATCHED_FOR", 4.0)
        monkeypatch.setattr(sqlite_statements, "WATCHED_FOR", 4.0)
        monkeypatch.setattr(sqlite_changes, "RENEW_EVERY", 0.2)
        path = tmp_path / "kv.db"
        component = Component()
        async with in_file(path) as backend:
            async with a_watch(component, backend):
                for number in range(20):
                    await backend.set(b"%d" % number, b"1", 0)
                await until(lambda: len(component.told) == 20)
                with contextlib.closing(sqlite3.connect(path)) as db:
                    await until(lambda: db.execute("SELECT count(*) FROM change").fetchone() == (0,), 30)
            await asyncio.sleep(6)
            await backend.set(b"nobody", b"1", 0)
            with contextlib.closing(sqlite3.connect(path)) as db:
                assert db.execute("SELECT count(*) FROM change").fetchone() == (0,)

    async def test_a_watcher_that_stood_still_says_that_changes_were_not_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(sqlite_changes, "RENEW_EVERY", 0.2)
        path = tmp_path / "kv.db"
        component = Component()
        async with in_file(path) as backend, a_watch(component, backend) as watch:
            with contextlib.closing(sqlite3.connect(path)) as db:
                db.execute("UPDATE watch SET until = 1")
                db.commit()
            await until(lambda: watch.counters.lost.values == {("store",): 1})
            await until_told(component, backend)
        assert "changes were not noted for a time" in caplog.text
