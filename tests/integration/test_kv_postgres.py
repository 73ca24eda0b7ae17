"""The keyvalue on a real PostgreSQL: what of its promises hangs on the server, on its faults, and on others that use it too."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from provider_sdk import Code, PreconditionFailed, ProviderError, ResourceExhausted, Secret
from providers.keyvalue.backend import Backend, Entry, Kind
from providers.keyvalue.backends.postgres.errors import TABLE, Row
from providers.keyvalue.backends.postgres.store import PostgresBackend
from providers.keyvalue.config import KeyValueConfig
from providers.keyvalue.stores import one_store
from tests.servers.postgres import PostgresServer
from tests.tiers import scale

pytestmark = pytest.mark.needs("initdb")

CALLERS = 32
EACH = scale(test=60, ci=150, soak=10_000)
RESUMED_WITHIN = 8.0
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer.running() as running:
        yield running


@pytest.fixture
async def database(server: PostgresServer) -> str:
    """The name of an empty database, for this test alone."""
    name = f"test{next(NUMBERS)}"
    await server.execute(f"CREATE DATABASE {name}")
    return name


@asynccontextmanager
async def a_store(url: str, name: str = "", **settings: Any) -> AsyncIterator[Backend]:
    async with one_store(KeyValueConfig(url=Secret(url), **settings), Path("/nowhere")) as store:
        yield store.namespace(name)


@pytest.fixture
async def alone(server: PostgresServer, database: str) -> AsyncIterator[Backend]:
    """The store in that database."""
    async with a_store(server.url(database)) as found:
        yield found


@pytest.fixture
async def backend(server: PostgresServer) -> AsyncIterator[Backend]:
    """A namespace for this test alone."""
    async with a_store(server.url(), f"test{next(NUMBERS)}") as found:
        yield found


async def error_of(work: Awaitable[object]) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await work
    return caught.value


async def eventually(holds: Callable[[], Awaitable[bool]], within: float = 15.0) -> float:
    """Seconds until it held."""
    started = time.monotonic()
    async with asyncio.timeout(within):
        while not await holds():
            await asyncio.sleep(0.05)
    return time.monotonic() - started


async def at_once(count: int, work: Callable[[int], Awaitable[Any]]) -> list[Any]:
    return await asyncio.gather(*(work(number) for number in range(count)))


def sql(backend: Backend, text: str, *, again: bool = False) -> Awaitable[list[Any]]:
    """A statement of the test's own, the way that those of the store go."""
    assert isinstance(backend, PostgresBackend)
    return backend._run(text, again=again)  # noqa: SLF001 # there is no other way to have the server fail just so


class TestSchema:
    async def test_eight_instances_that_start_at_once_on_an_empty_database_make_one_schema(
        self, server: PostgresServer, database: str
    ) -> None:
        async def instance(number: int) -> int:
            async with a_store(server.url(database)) as backend:
                await backend.set(b"key%d" % number, b"", 0)
                return await backend.increment(b"instances", 1)

        assert sorted(await at_once(8, instance)) == list(range(1, 9))
        assert await server.execute("SELECT version FROM keyvalue.version", database) == [(2,)]

    async def test_what_was_stored_is_there_for_the_next_start(self, server: PostgresServer, database: str) -> None:
        async with a_store(server.url(database)) as backend:
            await backend.set(b"key", b"value", 0)
        async with a_store(server.url(database)) as backend:
            assert await backend.get(b"key") == b"value"

    async def test_the_url_may_name_another_schema_which_shares_nothing(self, server: PostgresServer, database: str) -> None:
        other = server.url(database, more="sslmode=disable&schema=another_one")
        async with a_store(server.url(database)) as one, a_store(other) as two:
            await one.set(b"key", b"value", 0)
            assert await two.get(b"key") is None
        assert await server.execute("SELECT count(*) FROM another_one.keys", database) == [(0,)]

    async def test_a_schema_of_a_newer_version_is_refused_with_one_line_and_left_alone(
        self, server: PostgresServer, database: str, alone: Backend
    ) -> None:
        await alone.set(b"key", b"value", 0)
        await server.execute("UPDATE keyvalue.version SET version = 99", database)
        async with a_store(server.url(database)) as late:
            error = await error_of(late.get(b"key"))
        assert error.code is Code.PRECONDITION_FAILED and "\n" not in error.message
        assert "schema keyvalue is of version 99, and this provider knows 2" in error.message
        assert await server.execute("SELECT version FROM keyvalue.version", database) == [(99,)]

    async def test_a_schema_with_tables_of_something_else_is_refused(self, server: PostgresServer, database: str) -> None:
        await server.execute("CREATE SCHEMA keyvalue", database)
        await server.execute("CREATE TABLE keyvalue.invoices (id int)", database)
        async with a_store(server.url(database)) as backend:
            error = await error_of(backend.get(b"key"))
        assert error.code is Code.PRECONDITION_FAILED and "holds something else's tables" in error.message

    async def test_a_role_that_may_not_create_is_told_so_in_one_line(self, server: PostgresServer, database: str) -> None:
        await server.execute(f"CREATE ROLE clerk{database} LOGIN PASSWORD 'pw'")
        async with a_store(server.url(database, f"clerk{database}:pw")) as backend:
            error = await error_of(backend.get(b"key"))
        assert error.code is Code.PERMISSION_DENIED and "\n" not in error.message
        assert f"permission denied for database {database} [42501]: the role needs CREATE on the database" in error.message

    async def test_such_a_role_may_use_a_schema_that_was_made_for_it(self, server: PostgresServer, database: str) -> None:
        await server.execute(f"CREATE ROLE owner{database} LOGIN PASSWORD 'pw'")
        await server.execute(f"CREATE SCHEMA keyvalue AUTHORIZATION owner{database}", database)
        async with a_store(server.url(database, f"owner{database}:pw")) as backend:
            assert await backend.increment(b"key", 1) == 1

    async def test_a_schema_that_is_dropped_in_use_is_made_anew(self, server: PostgresServer, database: str, alone: Backend) -> None:
        await alone.set(b"key", b"value", 0)
        await server.execute("DROP SCHEMA keyvalue CASCADE", database)
        assert await alone.get(b"key") is None
        await alone.set(b"key", b"again", 0)
        assert await alone.get(b"key") == b"again"


class TestTogether:
    async def test_increments_from_two_instances_lose_none(self, server: PostgresServer, database: str) -> None:
        async with a_store(server.url(database)) as one, a_store(server.url(database)) as two:

            async def caller(number: int) -> list[int]:
                return [await (one if number % 2 else two).increment(b"counter", 1) for _ in range(EACH)]

            sums = await at_once(CALLERS, caller)
            assert sorted(itertools.chain(*sums)) == list(range(1, CALLERS * EACH + 1))
            assert await one.get(b"counter") == b"%d" % (CALLERS * EACH)

    async def test_items_and_members_added_by_two_instances_are_all_there(self, server: PostgresServer, database: str) -> None:
        async with a_store(server.url(database)) as one, a_store(server.url(database)) as two:

            async def caller(number: int) -> None:
                backend = one if number % 2 else two
                for turn in range(10):
                    await backend.list_add(b"list", b"%d %d" % (number, turn), 10_000)
                    await backend.set_add(b"set", b"%d %d" % (number, turn), 10_000)

            await at_once(CALLERS, caller)
            everything = {b"%d %d" % (number, turn) for number in range(CALLERS) for turn in range(10)}
            items, members = await one.list_range(b"list", 0, -1), await two.set_union([b"set"])
            assert set(items) == set(members) == everything and len(items) == len(members) == len(everything)
            assert all(
                [item for item in items if item.startswith(b"%d " % n)] == [b"%d %d" % (n, t) for t in range(10)] for n in range(CALLERS)
            )

    async def test_a_limit_holds_however_many_add_at_once(self, backend: Backend) -> None:
        async def add(number: int) -> str:
            try:
                await backend.list_add(b"list", b"%d" % number, 10)
                await backend.set_add(b"set", b"%d" % number, 5)
            except ResourceExhausted as error:
                return error.message
            return ""

        refused = [message for message in await at_once(CALLERS, add) if message]
        assert len(await backend.list_range(b"list", 0, -1)) == 10 and len(await backend.set_union([b"set"])) == 5
        assert {re.sub(r".* (\d+) members, the most that (\w+) .*", r"\1 \2", message) for message in refused} == {
            "10 max_list_items",
            "5 max_set_members",
        }

    async def test_kinds_that_change_under_everybody_stay_whole(self, server: PostgresServer, database: str) -> None:
        """Whatever wins, a key holds one kind, and an answer is that of one moment."""
        async with a_store(server.url(database)) as one, a_store(server.url(database)) as two:

            async def change(number: int) -> None:
                backend = one if number % 2 else two
                for turn in range(20):
                    works: tuple[Callable[[], Awaitable[object]], ...] = (
                        lambda: backend.set(b"key", b"text", 0),
                        lambda: backend.put(Entry(b"key", Kind.LIST, (b"a", b"b"))),
                        lambda: backend.put(Entry(b"key", Kind.SET, (b"c", b"d"))),
                        lambda: backend.delete(b"key"),
                    )
                    await works[(number + turn) % 4]()

            async def look(_: int) -> None:
                for _ in range(20):
                    for work, whole in (
                        (one.get(b"key"), (None, b"text")),
                        (two.list_range(b"key", 0, -1), ([], [b"a", b"b"])),
                        (one.set_union([b"key"]), ([], [b"c", b"d"])),
                    ):
                        try:
                            found = await work
                        except PreconditionFailed:
                            continue
                        assert (sorted(found) if isinstance(found, list) else found) in whole

            await asyncio.gather(at_once(8, change), at_once(8, look))
            held = [entry async for entry in one.entries()]
            assert [entry.key for entry in held] in ([], [b"key"])

    async def test_reads_and_writes_that_wait_for_a_connection_each_get_their_own_answer(
        self, server: PostgresServer, database: str
    ) -> None:
        async with a_store(server.url(database), connections=2) as backend:
            await at_once(200, lambda n: backend.set(b"%d" % n, b"value %d" % n, 0))
            await backend.list_add(b"list", b"item", 9)
            found = await at_once(200, lambda n: backend.get(b"%d" % n) if n % 3 else backend.get(b"none"))
            assert found == [b"value %d" % n if n % 3 else None for n in range(200)]
            mixed = await asyncio.gather(*(backend.get(key) for key in [b"1", b"list"] * 20), return_exceptions=True)
            assert mixed[::2] == [b"value 1"] * 20 and all(isinstance(error, PreconditionFailed) for error in mixed[1::2])

    async def test_sets_of_one_key_that_wait_together_happen_one_after_the_other(self, server: PostgresServer, database: str) -> None:
        async with a_store(server.url(database), connections=1) as backend:
            await at_once(50, lambda n: backend.set(b"key", b"%d" % n, 0))
            assert await backend.get(b"key") == b"49"

    async def test_a_set_that_the_server_refuses_fails_alone(self, server: PostgresServer, database: str) -> None:
        async with a_store(server.url(database), connections=1) as backend:
            await backend.get(b"")
            await server.execute("ALTER TABLE keyvalue.keys ADD CHECK (key <> 'bad')", database)
            keys = [b"bad" if number == 7 else b"%d" % number for number in range(20)]
            done = await asyncio.gather(*(backend.set(key, b"value", 0) for key in keys), return_exceptions=True)
            assert [isinstance(error, ProviderError) for error in done] == [key == b"bad" for key in keys]
            assert await at_once(20, lambda n: backend.contains(keys[n])) == [key != b"bad" for key in keys]


class TestNames:
    async def test_nothing_of_one_namespace_is_reachable_from_another(self, server: PostgresServer, database: str) -> None:
        names = ["", "a", "a/b", "a%2Fb", "A", "ä", "a' OR true --", "%", "_", "{schema}", "a" * 256]
        config = KeyValueConfig(url=Secret(server.url(database)))
        async with one_store(config, Path("/nowhere")) as store:
            spaces = [store.namespace(name) for name in names]
            for number, space in enumerate(spaces):
                await space.set(b"text", b"%d" % number, 0)
                await space.list_add(b"list", b"%d" % number, 9)
                await space.set_add(b"set", b"%d" % number, 9)
            for number, space in enumerate(spaces):
                own = b"%d" % number
                assert await space.get(b"text") == own
                assert await space.list_range(b"list", 0, -1) == await space.set_union([b"set"]) == [own]
                assert {entry.items async for entry in space.entries()} == {(own,)}
                assert (await space.stats()).texts == 1
            await spaces[0].delete(b"text")
            await spaces[1].delete(b"list")
            await spaces[2].set_delete(b"set", b"2")
            counts = [[await space.contains(key) for key in (b"text", b"list", b"set")] for space in spaces]
            assert counts == [[n != 0, n != 1, n != 2] for n in range(len(spaces))]

    async def test_keys_of_any_bytes_and_length_are_told_apart(self, backend: Backend) -> None:
        long = bytes(range(256)) * 256
        keys = [
            b"",
            b"\0",
            b"\0\0",
            b"'",
            b"\\",
            b"%",
            b"\xff\xfe",
            b"k" * 1000,
            b"k" * 1001,
            b"k" * 1002,
            long,
            long[:-1],
            long[:-1] + b"!",
        ]
        for key in keys:
            await backend.set(key, b"of " + key, 0)
        name = backend._name.decode()  # type: ignore[attr-defined] # noqa: SLF001 # of the namespace
        ids = [bytes(row[0]) for row in await sql(backend, f"SELECT key FROM keyvalue.keys WHERE namespace = '{name}'")]
        # Whoever asks for what the index holds of a long key does not get at it.
        assert [await backend.get(key) for key in ids if key not in keys] == [None] * 5
        assert [await backend.get(key) for key in keys] == [b"of " + key for key in keys]
        assert sorted([entry.key async for entry in backend.entries()]) == sorted(keys)

    async def test_values_of_any_bytes_and_size_come_back(self, backend: Backend) -> None:
        values = [b"", b"\0", bytes(range(256)), b"\\x41", b"x" * 5_000_000]
        for number, value in enumerate(values):
            await backend.set(b"text", value, 0)
            assert await backend.get(b"text") == value
            assert await backend.list_add(b"list", value, 9) == number + 1
            assert await backend.set_add(b"set", value, 9) == 1
        assert await backend.list_range(b"list", 0, -1) == values
        assert sorted(await backend.set_union([b"set"])) == sorted(values)
        assert {entry.key: sorted(entry.items) async for entry in backend.entries()}[b"list"] == sorted(values)


KINDS: dict[Kind, Callable[[Backend], Awaitable[object]]] = {
    Kind.TEXT: lambda backend: backend.set(b"key", b"1", 0),
    Kind.LIST: lambda backend: backend.list_add(b"key", b"1", 9),
    Kind.SET: lambda backend: backend.set_add(b"key", b"1", 9),
}
OPERATIONS: dict[str, tuple[Kind, Callable[[Backend], Awaitable[object]]]] = {
    "get": (Kind.TEXT, lambda backend: backend.get(b"key")),
    "increment": (Kind.TEXT, lambda backend: backend.increment(b"key", 1)),
    "list_add": (Kind.LIST, lambda backend: backend.list_add(b"key", b"1", 9)),
    "list_delete": (Kind.LIST, lambda backend: backend.list_delete(b"key", b"1")),
    "list_range": (Kind.LIST, lambda backend: backend.list_range(b"key", 0, -1)),
    "set_add": (Kind.SET, lambda backend: backend.set_add(b"key", b"1", 9)),
    "set_delete": (Kind.SET, lambda backend: backend.set_delete(b"key", b"1")),
    "set_union": (Kind.SET, lambda backend: backend.set_union([b"none", b"key"])),
    "set_intersection": (Kind.SET, lambda backend: backend.set_intersection([b"none", b"key"])),
}


class TestKinds:
    @pytest.mark.parametrize("held", list(Kind))
    async def test_an_operation_for_another_kind_names_the_key_and_both_and_changes_nothing(self, backend: Backend, held: Kind) -> None:
        await KINDS[held](backend)
        before = [entry async for entry in backend.entries()]
        for kind, operation in OPERATIONS.values():
            if kind is not held:
                error = await error_of(operation(backend))
                assert error.code is Code.PRECONDITION_FAILED
                assert error.message == f"the key 'key' holds {held}, and the operation is for {kind}"
        assert [entry async for entry in backend.entries()] == before

    @pytest.mark.parametrize("held", list(Kind))
    async def test_set_and_delete_take_away_whatever_was_there(self, backend: Backend, held: Kind) -> None:
        await KINDS[held](backend)
        await backend.set(b"key", b"text", 0)
        assert [entry async for entry in backend.entries()] == [Entry(b"key", Kind.TEXT, (b"text",))]
        await backend.delete(b"key")
        await KINDS[held](backend)
        assert await backend.delete(b"key") and not await backend.delete(b"key")

    @pytest.mark.parametrize(
        "text", [b"", b" 1", b"1 ", b"+1", b"01", b"-0", b"1.0", b"1\n", b"x", b"\xff", "\N{ARABIC-INDIC DIGIT ONE}".encode()]
    )
    async def test_what_is_no_whole_number_is_no_counter_and_stays(self, backend: Backend, text: bytes) -> None:
        await backend.set(b"key", text, 0)
        assert (await error_of(backend.increment(b"key", 1))).code is Code.PRECONDITION_FAILED
        assert await backend.get(b"key") == text

    @pytest.mark.parametrize(
        ("text", "delta", "result"),
        [
            (b"2147483646", 1, 2147483647),
            (b"2147483647", 1, Code.OUT_OF_RANGE),
            (b"-2147483648", -1, Code.OUT_OF_RANGE),
            (b"2147483648", -1, 2147483647),
            (b"9223372036854775807", 1, Code.OUT_OF_RANGE),
            (b"9223372036854775808", 1, Code.PRECONDITION_FAILED),
            (b"99999999999999999999", 1, Code.PRECONDITION_FAILED),
            (b"-1", 1, 0),
            (None, -(1 << 31), -(1 << 31)),
        ],
    )
    async def test_a_counter_keeps_within_32_bits(self, backend: Backend, text: bytes | None, delta: int, result: int | Code) -> None:
        if text is not None:
            await backend.set(b"key", text, 0)
        if isinstance(result, Code):
            assert (await error_of(backend.increment(b"key", delta))).code is result
            assert await backend.get(b"key") == text
        else:
            assert await backend.increment(b"key", delta) == result
            assert await backend.get(b"key") == b"%d" % result

    async def test_ranges_of_a_list_from_which_something_was_taken_are_right(self, backend: Backend) -> None:
        for letter in b"abcdeafa":
            await backend.list_add(b"list", bytes([letter]), 99)
        for gone in (b"a", b"d", b"a"):
            assert await backend.list_delete(b"list", gone)
        left = [b"b", b"c", b"e", b"f", b"a"]
        for start, stop in itertools.product(range(-7, 8), repeat=2):
            first, last = (n + len(left) if n < 0 else n for n in (start, stop))
            assert await backend.list_range(b"list", start, stop) == left[max(first, 0) : max(last + 1, 0)]


class TestExpiry:
    @pytest.mark.parametrize("kind", list(Kind))
    async def test_what_is_over_is_gone_from_every_operation_at_once(self, server: PostgresServer, database: str, kind: Kind) -> None:
        async with a_store(server.url(database)) as backend:
            assert not await backend.contains(b"key")  # connected, and its tables made, before the time runs
            await backend.put(Entry(b"key", kind, (b"1",), time.time() + 3))
            assert await backend.contains(b"key")
            await eventually(lambda: _is(backend.contains(b"key"), False))
            assert await backend.get(b"key") is None
            assert (
                await backend.list_range(b"key", 0, -1)
                == await backend.set_union([b"key"])
                == await backend.set_intersection([b"key"])
                == []
            )
            assert not await backend.list_delete(b"key", b"1") and not await backend.set_delete(b"key", b"1")
            assert [entry async for entry in backend.entries()] == [] and (await backend.stats()).size == 0
            assert not await backend.delete(b"key")

    @pytest.mark.parametrize("again", OPERATIONS.keys() & {"increment", "list_add", "set_add"})
    async def test_what_is_made_under_a_key_whose_time_was_over_is_new_and_stays(self, backend: Backend, again: str) -> None:
        for kind in Kind:
            await backend.put(Entry(b"key", kind, (b"7", b"8"), 1.0))
            assert await OPERATIONS[again][1](backend) == 1
            assert [(entry.items, entry.expires) async for entry in backend.entries()] == [((b"1",), 0.0)]

    async def test_the_time_is_counted_in_seconds_of_the_servers_clock(self, server: PostgresServer, database: str, alone: Backend) -> None:
        before = (await server.execute("SELECT extract(epoch FROM clock_timestamp())::float8"))[0][0]
        await alone.set(b"key", b"1", 100)
        await alone.increment(b"key", 1)
        after = (await server.execute("SELECT extract(epoch FROM clock_timestamp())::float8"))[0][0]
        found = (await server.execute("SELECT extract(epoch FROM expires)::float8 FROM keyvalue.keys", database))[0][0]
        assert isinstance(before, float) and isinstance(after, float) and isinstance(found, float)
        assert before + 100 <= found <= after + 100
        await alone.set(b"key", b"1", (1 << 32) - 1)
        assert await alone.contains(b"key")

    async def test_what_nobody_can_see_is_gone_from_the_disk_in_time(
        self, server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("providers.keyvalue.backends.postgres.store.PURGE_MOST", 100)
        monkeypatch.setattr("providers.keyvalue.backends.postgres.store.PURGE_EVERY", 0.2)
        counts = "SELECT " + ", ".join(f"(SELECT count(*) FROM keyvalue.{table})" for table in ("keys", "items", "members", "garbage"))
        async with a_store(server.url(database)) as one, a_store(server.url(database)):
            await at_once(300, lambda n: one.set(b"text%d" % n, b"x", 1))
            items = tuple(b"%d" % number for number in range(500))
            await one.put(Entry(b"old list", Kind.LIST, items, 1.0))
            await one.put(Entry(b"old set", Kind.SET, items, 1.0))
            await one.put(Entry(b"replaced", Kind.LIST, items))
            await one.set(b"replaced", b"text", 0)
            await one.put(Entry(b"kept", Kind.SET, items))
            await one.put(Entry(b"removed", Kind.SET, items))
            await one.delete(b"removed")
            await eventually(lambda: _is(server.execute(counts, database), [(2, 0, 500, 0)]))


async def _is(work: Awaitable[Any], wanted: Any) -> bool:
    return bool(await work == wanted)


class TestErrors:
    @pytest.mark.parametrize("row", TABLE, ids=lambda row: row.prefix or "any other")
    async def test_what_the_server_says_has_the_code_of_its_row(self, backend: Backend, row: Row) -> None:
        state = (row.prefix or "22").ljust(5, "1") if row.prefix != "40" else "40001"
        error = await error_of(sql(backend, f"DO $$ BEGIN RAISE 'a secret value' USING ERRCODE = '{state}'; END $$"))
        assert error.code is row.code and f"{row.meaning}" in error.message and error.message.endswith(f"[{state}]")
        assert error.retryable is (
            row.code in {Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.DEADLINE_EXCEEDED} and row.retryable is None
        )
        assert "a secret value" not in error.message and "a secret value" in error.detail and error.__cause__ is not None
        assert await backend.get(b"key") is None

    async def test_every_row_counts(self) -> None:
        for number, row in enumerate(TABLE):
            assert not any(row.prefix.startswith(before.prefix) for before in TABLE[:number])

    async def test_what_met_others_is_tried_again(self, server: PostgresServer, database: str, alone: Backend) -> None:
        await self._fails_at_first(server, database, "RAISE 'met' USING ERRCODE = '40P01'")
        assert [tuple(row) for row in await sql(alone, "SELECT public.fails_at_first()")] == [(2,)]

    async def test_a_change_whose_connection_breaks_is_not_made_twice_and_the_error_says_what_is_not_known(
        self, server: PostgresServer, database: str, alone: Backend
    ) -> None:
        await self._fails_at_first(server, database, "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1)")
        error = await error_of(sql(alone, "SELECT public.fails_at_first()"))
        assert error.code is Code.UNAVAILABLE and "whether the change was made is not known" in error.message
        assert await server.execute("SELECT last_value FROM times", database) == [(1,)]

    async def test_a_read_whose_connection_breaks_is_made_again(self, server: PostgresServer, database: str, alone: Backend) -> None:
        await self._fails_at_first(server, database, "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1)")
        assert [tuple(row) for row in await sql(alone, "SELECT public.fails_at_first()", again=True)] == [(2,)]

    async def _fails_at_first(self, server: PostgresServer, database: str, how: str) -> None:
        """A function that does not succeed at its first call; it counts them where no rollback takes it back."""
        await server.execute("CREATE SEQUENCE times", database)
        body = f"BEGIN IF nextval('public.times') = 1 THEN {how}; END IF; RETURN (SELECT last_value FROM public.times); END"
        await server.execute(f"CREATE FUNCTION fails_at_first() RETURNS int LANGUAGE plpgsql AS $f$ {body} $f$", database)
