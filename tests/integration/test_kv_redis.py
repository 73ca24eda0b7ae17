"""The Redis store on a real server: the semantics of the contract, official data, limits, tenants, entries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from provider_sdk import Code, PreconditionFailed, ResourceExhausted
from providers.keyvalue.backend import HIGHEST, LOWEST, Backend, Entry, Kind, Stats, Store
from tests.integration.kv_redis import CALLERS, a_store, refusal
from tests.servers.redis import RedisServer, running
from tests.tiers import scale

pytestmark = pytest.mark.needs("redis-server")

INCREMENTS = scale(test=200, ci=1000, soak=10_000)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def server(shared: RedisServer) -> RedisServer:
    shared.command("FLUSHALL")
    return shared


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[Store]:
    async with a_store(server.url) as opened:
        yield opened


@pytest.fixture
def keys(store: Store) -> Backend:
    return store.namespace("")


async def test_what_plain_commands_wrote_is_read_and_the_other_way_round(server: RedisServer, keys: Backend) -> None:
    server.commands(
        ["SET", "text", "é"], ["INCRBY", "number", 41], ["RPUSH", "list", "a", "b", "c"], ["SADD", "set", "x"], ["SETEX", "brief", 99, "1"]
    )
    assert await keys.get(b"text") == "é".encode()
    assert await keys.increment(b"number", 1) == 42
    assert await keys.list_range(b"list", -2, 99) == [b"b", b"c"]
    assert await keys.set_union([b"set"]) == [b"x"]
    assert await keys.get(b"brief") == b"1"
    await keys.set(b"ours", b"value", 100)
    await keys.list_add(b"list", b"d", 10)
    assert server.commands(["GET", "ours"], ["LRANGE", "list", 0, -1]) == [b"value", [b"a", b"b", b"c", b"d"]]
    assert 90 < server.command("TTL", "ours") <= 100


async def test_two_instances_under_32_callers_lose_no_increment(server: RedisServer) -> None:
    async with a_store(server.url) as one, a_store(server.url) as other:

        async def count(number: int) -> None:
            keys = (one, other)[number % 2].namespace("")
            for _ in range(INCREMENTS):
                await keys.increment(b"counter", 1)

        await asyncio.gather(*(count(number) for number in range(CALLERS)))
        assert server.command("GET", "counter") == b"%d" % (CALLERS * INCREMENTS)


async def test_limits_of_lists_and_sets_hold_among_two_instances(server: RedisServer) -> None:
    async with a_store(server.url) as one, a_store(server.url) as other:

        async def add(number: int) -> int:
            keys = (one, other)[number % 2].namespace("")
            added = 0
            for call in (keys.list_add(b"list", b"%d" % number, 10), keys.set_add(b"set", b"%d" % number, 10)):
                try:
                    added += bool(await call)
                except ResourceExhausted as error:
                    assert "10 members" in str(error) and not error.retryable
            return added

        assert sum(await asyncio.gather(*(add(number) for number in range(CALLERS)))) == 20
        assert server.commands(["LLEN", "list"], ["SCARD", "set"]) == [10, 10]
        member = server.command("SRANDMEMBER", "set")
        assert await one.namespace("").set_add(b"set", member, 10) == 0


@pytest.mark.parametrize(
    ("held", "delta"), [(HIGHEST, 1), (LOWEST, -1), (LOWEST, LOWEST), (1 << 40, 1), ((1 << 63) - 1, 1), (-1 << 63, LOWEST)]
)
async def test_a_sum_beyond_32_bits_is_an_error_that_changes_nothing(server: RedisServer, keys: Backend, held: int, delta: int) -> None:
    server.command("SET", "n", held, "EX", 1000)
    error = await refusal(keys.increment(b"n", delta))
    assert error.code == Code.OUT_OF_RANGE
    value, left = server.commands(["GET", "n"], ["TTL", "n"])
    assert value == b"%d" % held and left > 900


@pytest.mark.parametrize("text", ["", " 1", "1 ", "+1", "01", "1.0", "x", "9223372036854775808", "٣"])
async def test_text_that_redis_reads_as_no_number_is_no_counter(keys: Backend, text: str) -> None:
    await keys.set(b"n", text.encode(), 0)
    assert "no whole number" in str(await refusal(keys.increment(b"n", 1)))
    assert await keys.get(b"n") == text.encode()


async def test_an_increment_leaves_the_expiry_as_it_is(server: RedisServer, keys: Backend) -> None:
    await keys.set(b"n", b"1", 100)
    assert await keys.increment(b"n", -3) == -2
    assert 90 < server.command("TTL", "n") <= 100


OPERATIONS: dict[Kind, list[Callable[[Backend, bytes], Awaitable[object]]]] = {
    Kind.TEXT: [lambda keys, key: keys.get(key), lambda keys, key: keys.increment(key, 1)],
    Kind.LIST: [
        lambda keys, key: keys.list_add(key, b"x", 9),
        lambda keys, key: keys.list_delete(key, b"x"),
        lambda keys, key: keys.list_range(key, 0, -1),
    ],
    Kind.SET: [
        lambda keys, key: keys.set_add(key, b"x", 9),
        lambda keys, key: keys.set_delete(key, b"x"),
        lambda keys, key: keys.set_union([key]),
        lambda keys, key: keys.set_union([b"none", b"sound", key]),
        lambda keys, key: keys.set_intersection([b"none", key]),
    ],
}


@pytest.mark.parametrize("wanted", Kind)
async def test_an_operation_on_another_kind_of_value_names_the_key_and_both_kinds(server: RedisServer, store: Store, wanted: Kind) -> None:
    keys = store.namespace("team")
    server.commands(["SET", "team:k0", "1"], ["RPUSH", "team:k1", "1"], ["SADD", "team:k2", "1"], ["HSET", "team:k3", "f", "1"])
    server.command("SADD", "team:sound", "1")
    held = {b"k0": "text", b"k1": "a list", b"k2": "a set", b"k3": "a Redis hash"}
    for key, kind in held.items():
        for operation in OPERATIONS[wanted] if kind != wanted else ():
            error = await refusal(operation(keys, key))
            assert isinstance(error, PreconditionFailed)
            assert str(error) == f"the key '{key.decode()}' holds {kind}, and the operation is for {wanted}"
    assert server.commands(["GET", "team:k0"], ["LLEN", "team:k1"], ["SCARD", "team:k2"]) == [b"1", 1, 1]


async def test_what_replaces_or_removes_takes_whatever_is_there(keys: Backend) -> None:
    await keys.list_add(b"k", b"x", 9)
    await keys.set(b"k", b"text", 0)
    assert await keys.get(b"k") == b"text" and await keys.contains(b"k")
    assert [await keys.delete(b"k"), await keys.delete(b"k"), await keys.contains(b"k")] == [True, False, False]


async def test_lists_and_sets_that_lose_their_last_member_do_not_exist(keys: Backend) -> None:
    await keys.list_add(b"l", b"x", 9)
    await keys.set_add(b"s", b"x", 9)
    assert await keys.list_delete(b"l", b"x") and await keys.set_delete(b"s", b"x") == 1
    assert [await keys.contains(key) for key in (b"l", b"s")] == [False, False]


async def test_unions_and_intersections(keys: Backend) -> None:
    for name, members in ((b"a", b"123"), (b"b", b"234")):
        for member in members:
            await keys.set_add(name, bytes([member]), 9)
    assert sorted(await keys.set_union([b"a", b"b", b"none"])) == [b"1", b"2", b"3", b"4"]
    assert sorted(await keys.set_intersection([b"a", b"b", b"a"])) == [b"2", b"3"]
    assert await keys.set_intersection([b"a", b"none"]) == await keys.set_intersection([]) == await keys.set_union([]) == []


@pytest.mark.parametrize("name", ["team", "te*m", "[a-z]?", "back\\slash", "a:b", "50%", "100%/M1"])
async def test_a_namespace_sees_its_own_keys_only(server: RedisServer, store: Store, name: str) -> None:
    others = [store.namespace(other) for other in ("x", "team2", "te", "a", f"{name}x") if other != name]
    for other in others:
        await other.set(b"k", b"other", 0)
    keys = store.namespace(name)
    assert await keys.get(b"k") is None
    await keys.set(b"k", b"mine", 0)
    assert [(entry.key, entry.items) async for entry in keys.entries()] == [(b"k", (b"mine",))]
    assert (await keys.stats()).texts == 1
    assert [await other.get(b"k") for other in others] == [b"other"] * len(others)


def comparable(entry: Entry) -> tuple[object, ...]:
    return entry.key, entry.kind, sorted(entry.items) if entry.kind is Kind.SET else list(entry.items), entry.expires


async def test_entries_come_back_as_they_were_put_whatever_their_bytes(server: RedisServer, store: Store) -> None:
    moment = float(int(time.time()) + 1000)
    put = [
        Entry(b"text\r\n\0", Kind.TEXT, (bytes(range(256)),)),
        Entry(b"brief", Kind.TEXT, (b"",), moment + 0.25),
        Entry(b"list", Kind.LIST, tuple(b"%d" % (number % 7) for number in range(2500)), moment),
        Entry(b"set", Kind.SET, tuple(b"%d" % number for number in range(2500))),
    ]
    keys = store.namespace("a team")
    for entry in put:
        await keys.set(entry.key, b"replaced", 5)
        await keys.put(entry)
    got = [entry async for entry in keys.entries()]
    assert sorted(map(comparable, got)) == sorted(map(comparable, put))
    size = sum(len(entry.key) + sum(map(len, entry.items)) for entry in put)
    stats = await keys.stats()
    assert (stats.texts, stats.lists, stats.sets, stats.expiring) == (2, 1, 1, 2)
    assert abs(stats.size - size) < size / 5


async def test_an_entry_whose_time_is_over_removes_what_is_there(keys: Backend) -> None:
    await keys.set(b"k", b"old", 0)
    await keys.put(Entry(b"k", Kind.TEXT, (b"new",), time.time() - 1))
    assert not await keys.contains(b"k")


async def test_every_key_is_seen_once_among_many_and_other_kinds_are_named(
    server: RedisServer, keys: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    server.command("MSET", *(word for number in range(3000) for word in (f"k{number}", number)))
    server.commands(["HSET", "hash", "f", "v"], ["ZADD", "sorted", 1, "m"])
    seen = [entry.key async for entry in keys.entries()]
    assert sorted(seen) == sorted(b"k%d" % number for number in range(3000))
    assert "2 keys hold other kinds" in caplog.text
    assert (await keys.stats()) == Stats(3000, 0, 0, 0, sum(len(f"k{number}{number}") for number in range(3000)))


async def test_a_value_of_many_megabytes_passes_beside_small_ones(server: RedisServer) -> None:
    large = bytes(range(256)) * (16 << 12)
    async with a_store(server.url, connections=3) as store:
        keys = store.namespace("")
        await keys.set(b"large", large, 0)
        await keys.set(b"small", b"1", 0)
        got = await asyncio.gather(*(keys.get(b"large" if number % 8 == 0 else b"small") for number in range(64)))
        assert [value == large if number % 8 == 0 else value == b"1" for number, value in enumerate(got)] == [True] * 64
        assert 1 <= server.command("CLIENT", "LIST", "TYPE", "normal").count(b"\n") - 1 <= 3


async def test_scripts_that_the_server_has_forgotten_are_sent_again(server: RedisServer, keys: Backend) -> None:
    assert await keys.increment(b"n", 1) == 1
    server.command("SCRIPT", "FLUSH")
    assert await keys.increment(b"n", 1) == 2


async def test_a_call_that_is_given_up_leaves_the_others_their_answers(server: RedisServer, keys: Backend) -> None:
    await keys.set(b"k", b"1", 0)
    for number in range(1, 21):
        tasks = [asyncio.create_task(keys.increment(b"k%d" % step, step)) for step in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(total, asyncio.CancelledError) for total in done[::3])
        assert [total for step, total in enumerate(done) if step % 3] == [step * number for step in range(20) if step % 3]
