"""The Redis store on several servers: a cluster whose slots and servers change, a primary that a sentinel replaces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis
from redis.crc import key_slot

from provider_sdk import PreconditionFailed, Unavailable
from providers.keyvalue.backend import Backend, Entry, Kind, Store
from tests.integration.kv_redis import CALLERS, a_store, in_a_call, refusal, until_served
from tests.servers.ports import free_port
from tests.servers.redis import SERVICE, RedisServer, cluster, running, sentinels, wait_until
from tests.tiers import scale

pytestmark = pytest.mark.needs("redis-server")

FAIL_OVER = 30.0
NAMES = [b"k%d" % number for number in range(60)]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RedisServer]]:
    with cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


@pytest.fixture
def nodes(shared: list[RedisServer]) -> list[RedisServer]:
    for node in shared:
        node.command("FLUSHALL")
    return shared


@pytest.fixture
async def store(nodes: list[RedisServer]) -> AsyncIterator[Store]:
    async with a_store(of_cluster(nodes[:1])) as opened:
        yield opened


@pytest.fixture
def keys(store: Store) -> Backend:
    return store.namespace("")


def of_cluster(nodes: list[RedisServer]) -> str:
    return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)


def held(nodes: list[RedisServer]) -> list[int]:
    return [int(node.command("DBSIZE")) for node in nodes]


async def test_keys_are_spread_over_the_cluster_and_seen_as_one_store(nodes: list[RedisServer], store: Store, keys: Backend) -> None:
    await asyncio.gather(*(keys.set(name, name, 0) for name in NAMES))
    assert min(held(nodes)) > 0 and sum(held(nodes)) == len(NAMES)
    assert await asyncio.gather(*(keys.get(name) for name in NAMES)) == NAMES
    assert sorted([entry.key async for entry in keys.entries()]) == sorted(NAMES)
    assert (await keys.stats()).texts == len(NAMES)
    await asyncio.gather(*(keys.put(Entry(name, Kind.LIST, (b"1", b"2"))) for name in NAMES))
    assert await asyncio.gather(*(keys.list_add(name, b"3", 9) for name in NAMES)) == [3] * len(NAMES)
    assert await store.trouble() == ""


async def test_sets_on_several_servers_are_united_and_intersected(nodes: list[RedisServer], keys: Backend) -> None:
    for name in NAMES:
        for member in (b"all", name):
            await keys.set_add(name, member, 9)
    assert sorted(await keys.set_union([*NAMES, b"none"])) == sorted([b"all", *NAMES])
    assert await keys.set_intersection(NAMES) == [b"all"]
    assert await keys.set_intersection([*NAMES, b"none"]) == []
    assert sorted(await keys.set_union([b"k1", b"{k1}"])) == [b"all", b"k1"]
    await keys.set(b"text", b"1", 0)
    error = await refusal(keys.set_intersection([*NAMES, b"text"]))
    assert isinstance(error, PreconditionFailed) and "'text' holds text" in str(error)


async def test_two_instances_under_32_callers_lose_no_increment_in_a_cluster(nodes: list[RedisServer]) -> None:
    each = scale(test=50, ci=200, soak=2000)
    async with a_store(of_cluster(nodes)) as one, a_store(of_cluster(nodes)) as other:

        async def count(number: int) -> None:
            keys = (one, other)[number % 2].namespace("team")
            for step in range(each):
                await keys.increment(NAMES[step % 10], 1)

        await asyncio.gather(*(count(number) for number in range(CALLERS)))
        totals = [int(await one.namespace("team").get(name) or b"0") for name in NAMES[:10]]
        assert totals == [CALLERS * each // 10] * 10


async def test_a_slot_that_moves_is_followed_while_it_moves_and_after(nodes: list[RedisServer], keys: Backend) -> None:
    slot = key_slot(b"{moving}")
    await keys.set(b"{moving}old", b"old", 0)
    [source] = [node for node in nodes if node.command("DBSIZE")]
    target = nodes[nodes.index(source) - 1]
    names = [node.command("CLUSTER", "MYID").decode() for node in (source, target)]
    target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", names[0])
    source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", names[1])
    await asyncio.gather(*(keys.increment(b"{moving}new", 1) for _ in range(CALLERS)))
    assert (source.command("DBSIZE"), target.command("DBSIZE")) == (1, 1)
    assert await keys.get(b"{moving}new") == b"%d" % CALLERS
    assert await keys.get(b"{moving}old") == b"old"
    source.command("MIGRATE", "127.0.0.1", target.port, "{moving}old", 0, 5000)
    for node in nodes:
        node.command("CLUSTER", "SETSLOT", slot, "NODE", names[1])
    assert await keys.get(b"{moving}old") == b"old"
    assert await keys.increment(b"{moving}new", 1) == CALLERS + 1
    for node in nodes:
        node.command("FLUSHALL")
        node.command("CLUSTER", "SETSLOT", slot, "NODE", names[0])


async def test_a_cluster_serves_what_is_left_when_a_server_is_lost_and_all_when_its_replica_stands_in(tmp_path: Path) -> None:
    with cluster(tmp_path, replicas=1) as nodes:
        dead = f"127.0.0.1:{free_port()}"
        async with a_store(f"redis+cluster://{dead},127.0.0.1:{nodes[1].port}") as store:
            keys = store.namespace("")
            await asyncio.gather(*(keys.set(name, name, 0) for name in NAMES))
            lost = [name for name in NAMES if key_slot(name) < 16384 // 3]
            left = [name for name in NAMES if name not in lost]
            wait_until(lambda: nodes[3].command("DBSIZE") == len(lost), "the replica does not get the keys")
            nodes[0].kill()
            errors = await asyncio.gather(*(in_a_call(1.0, lambda name=name: refusal(keys.get(name))) for name in lost))  # type: ignore[misc]
            assert all(isinstance(error, Unavailable) for error in errors)
            assert f"127.0.0.1:{nodes[0].port}" in await store.trouble()
            assert await asyncio.gather(*(keys.get(name) for name in left)) == left
            await until_served(lambda: asyncio.gather(*(keys.get(name) for name in lost)), FAIL_OVER)
            assert await asyncio.gather(*(keys.get(name) for name in NAMES)) == NAMES
            assert await store.trouble() == ""


def leads(server: RedisServer) -> bool:
    """Whether it is the primary. One that is just being made it cuts off its clients."""
    try:
        return b"master" in server.command("ROLE")
    except redis.ConnectionError:
        return False


@pytest.mark.parametrize("how", ["killed", "paused"])
async def test_when_the_sentinel_has_replaced_the_primary_its_successor_is_asked(tmp_path: Path, how: str) -> None:
    with sentinels(tmp_path) as (primary, replica, sentinel):
        async with a_store(f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}/{SERVICE}/1") as store:
            keys = store.namespace("")
            await keys.set(b"before", b"1", 0)
            wait_until(lambda: replica.commands(["SELECT", 1], ["DBSIZE"])[1] == 1, "the replica does not get the key")
            going_on, acknowledged = True, 0

            async def write() -> None:
                nonlocal acknowledged
                while going_on:
                    try:
                        await in_a_call(1.0, lambda: keys.increment(b"n", 1))
                        acknowledged += 1
                    except Unavailable:
                        await asyncio.sleep(0.02)

            tasks = [asyncio.create_task(write()) for _ in range(4)]
            (primary.kill if how == "killed" else primary.pause)()
            async with asyncio.timeout(FAIL_OVER):
                while not leads(replica):
                    await asyncio.sleep(0.05)
            acknowledged = 0
            await until_served(lambda: keys.set(b"after", b"1", 0), 10.0)
            while acknowledged < 100:
                await asyncio.sleep(0.01)
            going_on = False
            await asyncio.gather(*tasks)
            with_database = replica.commands(["SELECT", 1], ["GET", "before"], ["GET", "after"])
            assert with_database[1:] == [b"1", b"1"]
            assert await store.trouble() == ""


def taken(sentinel: RedisServer, *words: str) -> bool:
    """Whether the sentinel takes the command: it refuses a change as long as it has not heard enough of the replica."""
    try:
        sentinel.command(*words)
    except redis.ResponseError as error:
        assert "NOGOODSLAVE" in str(error)
        return False
    return True


async def test_a_primary_that_became_a_replica_is_left_for_its_successor(tmp_path: Path) -> None:
    with sentinels(tmp_path) as (primary, replica, sentinel):
        async with a_store(f"redis+sentinel://127.0.0.1:{sentinel.port}/{SERVICE}") as store:
            keys = store.namespace("")
            assert await keys.increment(b"n", 1) == 1
            async with asyncio.timeout(FAIL_OVER):
                while not taken(sentinel, "SENTINEL", "FAILOVER", SERVICE):
                    await asyncio.sleep(0.2)
                while not leads(replica):
                    await asyncio.sleep(0.05)
            primary.command("REPLICAOF", "127.0.0.1", replica.port)
            await until_served(lambda: keys.set(b"after", b"1", 0), 10.0)
            assert replica.command("GET", "after") == b"1"


async def test_a_service_that_the_sentinel_does_not_know_and_sentinels_that_are_gone_are_told(tmp_path: Path) -> None:
    with sentinels(tmp_path) as (_, _, sentinel):
        async with a_store(f"redis+sentinel://127.0.0.1:{sentinel.port}/other") as store:
            assert "knows no service 'other'" in str(await refusal(store.namespace("").get(b"k")))
            assert "knows no service 'other'" in await store.trouble()
    async with a_store(f"redis+sentinel://127.0.0.1:{free_port()}/{SERVICE}") as store:
        error = await refusal(store.namespace("").get(b"k"))
        assert isinstance(error, Unavailable) and "sentinel" in str(error)
    with running(tmp_path / "alone") as server:
        async with a_store(f"redis+sentinel://127.0.0.1:{server.port}/{SERVICE}") as store:
            assert "sentinel" in str(await refusal(store.namespace("").get(b"k")))
