"""The keyvalue while its PostgreSQL is away, refuses us, or has no more to give."""

from __future__ import annotations

import asyncio
import random
import signal
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from provider_sdk import Code, Context, InvalidArgument, ProviderError, Secret, Unavailable
from provider_sdk.link import LinkKey
from providers.keyvalue.backend import Backend, Store
from providers.keyvalue.backends.postgres.address import address_of
from providers.keyvalue.backends.postgres.store import store_key
from providers.keyvalue.config import KeyValueConfig
from providers.keyvalue.stores import one_store
from tests.integration.certificates import Authority
from tests.integration.test_kv_postgres import error_of, eventually
from tests.servers.postgres import PostgresServer
from tests.tiers import scale

pytestmark = pytest.mark.needs("initdb")

CALLERS = 32
KILLS = scale(test=2, ci=5, soak=100)
RESUMED_WITHIN = 8.0
HERE = Path("/nowhere")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that tests end, kill and begin again; each leaves it running."""
    with PostgresServer.running() as running:
        yield running


@asynccontextmanager
async def a_store(url: str, **settings: Any) -> AsyncIterator[tuple[Store, Backend]]:
    async with one_store(KeyValueConfig(url=Secret(url), **settings), HERE) as store:
        yield store, store.namespace("")


async def a_database(server: PostgresServer) -> str:
    name = f"test{random.randrange(1 << 40)}"
    await server.execute(f"CREATE DATABASE {name}")
    return server.url(name)


class Load:
    """Callers that set keys and count until they are told to stop; any error but Unavailable ends the test."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._over = asyncio.Event()
        self._tasks = [asyncio.create_task(self._caller(number)) for number in range(CALLERS)]
        self.acknowledged: dict[bytes, bytes] = {}
        self.counted = self.uncertain = self.succeeded = self.failed = 0

    async def _caller(self, number: int) -> None:
        turn = 0
        while not self._over.is_set():
            turn += 1
            key, value = b"%d %d" % (number, turn), b"%d" % turn
            try:
                await self._backend.set(key, value, 0)
                self.acknowledged[key] = value
                self.uncertain += 1
                await self._backend.increment(b"counter", 1)
                self.uncertain -= 1
                self.counted += 1
                self.succeeded += 1
            except Unavailable:
                self.failed += 1
                await asyncio.sleep(0.01)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something is so, as long as the callers go on."""
        while not holds():
            await asyncio.sleep(0.005)
            assert not any(task.done() for task in self._tasks), "a caller ended"

    async def more(self, *, failures: bool = False) -> None:
        """Wait until as many calls as there are callers have succeeded, or failed."""
        wanted = CALLERS + (self.failed if failures else self.succeeded)
        await self.until(lambda: (self.failed if failures else self.succeeded) >= wanted)

    async def stop(self) -> None:
        self._over.set()
        await asyncio.gather(*self._tasks)


class TestAway:
    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "stopped"])
    async def test_a_server_that_ends_under_load_and_returns_has_all_that_was_acknowledged(
        self, server: PostgresServer, how: signal.Signals
    ) -> None:
        async with a_store(await a_database(server)) as (_, backend):
            load = Load(backend)
            for _ in range(KILLS):
                await load.more()
                await asyncio.to_thread(server.end, how)
                await load.more(failures=True)
                await asyncio.to_thread(server.start)
                async with asyncio.timeout(RESUMED_WITHIN):
                    succeeded = load.succeeded
                    await load.until(lambda: load.succeeded > succeeded)  # noqa: B023 # it is called within this round
            await load.stop()
            for key, value in load.acknowledged.items():
                assert await backend.get(key) == value
            assert load.counted <= int(await backend.get(b"counter") or b"") <= load.counted + load.uncertain

    async def test_a_server_that_is_not_there_yet_is_found_when_it_comes(self, server: PostgresServer) -> None:
        url = await a_database(server)
        await asyncio.to_thread(server.end, signal.SIGINT)
        async with a_store(url) as (store, backend):
            error = await error_of(backend.get(b"key"))
            assert error.code is Code.UNAVAILABLE and error.retryable and "cannot be reached" in error.message
            assert "cannot be reached" in await store.trouble()
            await asyncio.to_thread(server.start)

            async def well() -> bool:
                return not await store.trouble()

            assert await eventually(well) < RESUMED_WITHIN
            await backend.set(b"key", b"value", 0)

    async def test_health_tells_of_a_server_that_ends_while_nobody_calls(self, server: PostgresServer) -> None:
        async with a_store(await a_database(server)) as (store, backend):
            await backend.set(b"key", b"value", 0)
            assert await store.trouble() == ""
            await asyncio.to_thread(server.end, signal.SIGINT)

            async def ill() -> bool:
                return "cannot be reached" in await store.trouble()

            await eventually(ill)
            await asyncio.to_thread(server.start)
            await eventually(lambda: _readable(backend))
            assert await store.trouble() == ""

    async def test_a_server_that_no_longer_answers_gets_unavailable_before_the_deadline_and_is_taken_up_again(
        self, server: PostgresServer
    ) -> None:
        async with a_store(await a_database(server), connect_timeout=0.5) as (store, backend):
            await asyncio.gather(*(backend.set(b"%d" % n, b"value", 0) for n in range(CALLERS)))
            await asyncio.sleep(1.1)
            server.freeze()
            try:
                started = time.monotonic()
                errors = await asyncio.gather(*(in_a_call(backend, n, 1.0) for n in range(CALLERS)))
                assert time.monotonic() - started < 6.0
                assert {error.code for error in errors if error} == {Code.UNAVAILABLE} and all(errors)
                assert any("did not answer in time; whether the change was made is not known" in str(error) for error in errors)
                assert await store.trouble() != ""
            finally:
                server.thaw()

            assert await eventually(lambda: _readable(backend)) < RESUMED_WITHIN

    async def test_who_waits_in_vain_for_a_connection_is_told_so(self, server: PostgresServer) -> None:
        url = await a_database(server)
        name = url.rpartition("/")[2].partition("?")[0]
        async with a_store(url, connections=1) as (_, backend):
            await backend.increment(b"key", 1)
            slowly = "CREATE FUNCTION public.slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END'"
            await server.execute(slowly, name)
            await server.execute("CREATE TRIGGER a BEFORE UPDATE ON keyvalue.keys FOR EACH ROW EXECUTE FUNCTION public.slowly()", name)
            busy = [asyncio.create_task(backend.increment(b"key", 1)) for _ in range(20)]
            await asyncio.sleep(0.1)
            error = await in_a_call(backend, 1, 0.4)
            assert error is not None and error.code is Code.RESOURCE_EXHAUSTED and "the setting connections" in error.message
            assert sorted(await asyncio.gather(*busy)) == list(range(2, 22))

    async def test_a_call_that_is_cancelled_costs_no_connection(self, server: PostgresServer) -> None:
        async with a_store(await a_database(server), connections=2) as (_, backend):
            await backend.set(b"key", b"0", 0)
            calls = [asyncio.create_task(backend.increment(b"key", 1)) for _ in range(50)]
            await asyncio.sleep(0.002)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            assert await backend.increment(b"other", 1) == 1

            async def few() -> bool:  # one that is just ending still counts
                return await sessions(server) <= 2

            await eventually(few)

    async def test_closing_answers_who_waits_and_leaves_no_session(self, server: PostgresServer) -> None:
        async with a_store(await a_database(server)) as (store, backend):
            calls = [asyncio.create_task(backend.increment(b"key", 1)) for _ in range(200)]
            await asyncio.sleep(0.05)
            await store.close()
            done = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(one, int) or (isinstance(one, Unavailable) and "closed" in one.message) for one in done)
            assert (await error_of(backend.get(b"key"))).code is Code.UNAVAILABLE

            async def gone() -> bool:
                return await sessions(server) == 0

            await eventually(gone)


class TestRefused:
    async def test_no_more_connections_are_made_than_the_setting_says(self, server: PostgresServer) -> None:
        async with a_store(await a_database(server), connections=3) as (_, backend):
            await asyncio.gather(*(backend.increment(b"key", 1) for _ in range(200)))
            assert await sessions(server) == 3

    async def test_a_server_that_gives_fewer_connections_than_wanted_is_used_with_those(self, server: PostgresServer) -> None:
        await server.execute("CREATE ROLE few LOGIN PASSWORD 'pw' CONNECTION LIMIT 2")
        url = await a_database(server)
        name = url.rpartition("/")[2].partition("?")[0]
        await server.execute(f"GRANT CREATE ON DATABASE {name} TO few")
        async with a_store(server.url(name, "few:pw"), connections=10) as (_, backend):
            done = await asyncio.gather(*(backend.increment(b"key", 1) for _ in range(100)))
            assert sorted(done) == list(range(1, 101))

    @pytest.mark.parametrize(
        ("login", "database", "code", "words"),
        [
            ("postgres:hunter2", "postgres", Code.UNAUTHENTICATED, "the login is refused: password authentication failed"),
            ("nobody:hunter2", "postgres", Code.UNAUTHENTICATED, "the login is refused: password authentication failed"),
            ("postgres:postgres", "none", Code.NOT_FOUND, "the database does not exist: database "),
        ],
    )
    async def test_a_refused_login_is_one_line_in_calls_and_health_without_the_password(
        self, server: PostgresServer, login: str, database: str, code: Code, words: str
    ) -> None:
        async with a_store(server.url(database, login)) as (store, backend):
            error = await error_of(backend.get(b"key"))
            assert error.code is code and words in error.message and "\n" not in error.message
            assert await store.trouble() == error.message
            shown = f"{error!r} {error.detail} {error.__cause__!r}"
            assert "hunter2" not in shown and "postgres:postgres" not in shown


class TestTls:
    async def test_tls_checks_the_certificate_and_the_name(self, tmp_path: Path) -> None:
        authority, other = Authority(tmp_path / "a", "theirs"), Authority(tmp_path / "b", "others")
        pair = authority.issue("127.0.0.1")
        with PostgresServer.running() as server:
            files = server.file(pair.cert), server.file(pair.key)
            await server.execute(f"ALTER SYSTEM SET ssl_cert_file = '{files[0]}'")
            await server.execute(f"ALTER SYSTEM SET ssl_key_file = '{files[1]}'")
            await server.execute("ALTER SYSTEM SET ssl = on")
            await asyncio.to_thread(server.end, signal.SIGINT)
            await asyncio.to_thread(server.start)
            cases: list[tuple[str, dict[str, Any], bool]] = [
                ("localhost", {"tls": True, "ca_file": authority.cert}, False),
                ("127.0.0.1", {"tls": True, "ca_file": other.cert}, False),
                ("127.0.0.1", {"tls": True}, False),
                ("127.0.0.1", {"more": "sslmode=verify-ca", "ca_file": authority.cert}, True),
                ("127.0.0.1", {"more": "sslmode=require"}, True),
            ]
            for host, settings, reached in cases:
                url = server.url(more=settings.pop("more", "")).replace("127.0.0.1", host)
                async with a_store(url, **settings) as (_, backend):
                    if reached:
                        await backend.set(b"key", b"value", 0)
                        assert await sessions(server, "JOIN pg_stat_ssl USING (pid) WHERE ssl AND") > 0
                    else:
                        error = await error_of(backend.get(b"key"))
                        assert error.code is Code.UNAVAILABLE and isinstance(error.__cause__, ssl.SSLCertVerificationError)


class TestAddress:
    @pytest.mark.parametrize(
        ("settings", "shown", "user", "password"),
        [
            ({"url": Secret("postgres://u:p%40%2F@db.example:5433/things")}, "db.example:5433/things", "u", "p@/"),
            ({"url": Secret("postgresql://db.example")}, "db.example:5432", None, None),
            ({"url": Secret("postgres://one:1,two/d")}, "one:1,two:5432/d", None, None),
            ({"url": Secret("postgres://u@/d?host=/run/postgresql")}, "/run/postgresql/d", "u", None),
            ({"url": Secret("postgres://[::1]:99/d")}, "::1:99/d", None, None),
            ({"backend": "postgres"}, "127.0.0.1:5432", None, None),
            (
                {"backend": "postgres", "address": "db:1", "username": "u", "password": Secret("hunter2"), "database": "d"},
                "db:1/d",
                "u",
                "hunter2",
            ),
            ({"url": Secret("postgres://u:old@db/d"), "password": Secret("new")}, "db:5432/d", "u", "new"),
        ],
    )
    def test_the_url_and_the_settings_beside_it_name_one_database(
        self, settings: dict[str, Any], shown: str, user: str | None, password: str | None
    ) -> None:
        address = address_of(KeyValueConfig(**settings))
        assert str(address) == shown and address.user == user
        assert (address.password.reveal() if address.password else None) == password
        assert not password or password not in repr(address)

    @pytest.mark.parametrize("sign", ["/", "?", "#", "/x@", "@/", ":/", "[", "?a=1&"])
    def test_a_password_with_a_sign_that_is_not_escaped_is_never_shown(self, sign: str) -> None:
        for secret in (f"hunter2{sign}swordfish", f"123{sign}swordfish"):
            with pytest.raises((InvalidArgument, ValueError)) as caught:
                address_of(KeyValueConfig(url=Secret(f"postgres://user:{secret}@db.example/things")))
            assert "hunter2" not in str(caught.value) and "swordfish" not in str(caught.value)

    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("postgres://db:port/d", "the address is not host or host:port"),
            ("postgres://db:70000/d", "the address is not host or host:port"),
            ("postgres://db/d?sslmod=require", "behind the ? sslmod is none of host, sslmode"),
            ("postgres://db/d?sslmode=on", "sslmode is none of disable"),
            ("postgres://db/d?schema=pg_mine", "schema is not a name"),
            ("postgres://db/d?schema=a%22b", "schema is not a name"),
        ],
    )
    def test_what_is_wrong_with_a_url_is_said(self, url: str, words: str) -> None:
        with pytest.raises(InvalidArgument) as caught:
            address_of(KeyValueConfig(url=Secret(url)))
        assert words in caught.value.message

    def test_tls_and_an_sslmode_that_does_not_check_contradict_each_other(self) -> None:
        with pytest.raises(InvalidArgument):
            address_of(KeyValueConfig(url=Secret("postgres://db/d?sslmode=prefer"), tls=True))
        assert address_of(KeyValueConfig(url=Secret("postgres://db/d"), tls=True)).mode == "verify-full"

    def test_links_share_a_store_where_all_that_makes_its_connections_is_equal(self) -> None:
        def key(url: str, **settings: Any) -> object:
            return store_key(KeyValueConfig(url=Secret(url), **settings), HERE)

        assert key("postgres://u:p@db/d", namespace="a") == key("postgresql://u:p@db:5432/d", namespace="b")
        different = [
            key("postgres://u:p@db/d"),
            key("postgres://u:q@db/d"),
            key("postgres://u:p@db/e"),
            key("postgres://u:p@db/d", connections=3),
        ]
        assert len(set(different)) == len(different)


async def in_a_call(backend: Backend, number: int, seconds: float) -> ProviderError | None:
    """The error of a set in a call that has so many seconds."""

    async def call() -> ProviderError | None:
        deadline = asyncio.get_running_loop().time() + seconds
        Context("Set", "caller", LinkKey("actor", "wasmcloud:keyvalue", "default"), "call", deadline).enter()
        try:
            await backend.set(b"%d" % number, b"value", 0)
        except ProviderError as error:
            return error
        return None

    return await asyncio.create_task(call())


async def _readable(backend: Backend) -> bool:
    try:
        await backend.get(b"0")
    except Unavailable:
        return False
    return True


async def sessions(server: PostgresServer, condition: str = "WHERE") -> int:
    """How many connections the keyvalue has to the server."""
    rows = await server.execute(f"SELECT count(*)::int FROM pg_stat_activity {condition} application_name = 'wasmcloud keyvalue'")
    count = rows[0][0]
    assert isinstance(count, int)
    return count
