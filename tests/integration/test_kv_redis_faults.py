"""The Redis store while its server goes away, hangs, refuses or cannot be trusted."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from pathlib import Path

import pytest

from provider_sdk import Code, InvalidArgument, ProviderError, Secret, Unavailable
from providers.keyvalue.backend import Backend, Store
from tests.integration.certificates import Authority
from tests.integration.kv_redis import CALLERS, RETURN, a_store, in_a_call, refusal, until_served
from tests.servers.ports import free_port
from tests.servers.redis import RedisServer, cluster, running
from tests.tiers import scale

pytestmark = pytest.mark.needs("redis-server")

DEADLINE = 1.0
PASSWORD = "hush:/@ hush"
ROUNDS = scale(test=2, ci=5, soak=50)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running(tmp_path / "server", "--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[Store]:
    async with a_store(server.url) as opened:
        yield opened


@pytest.fixture
def keys(store: Store) -> Backend:
    return store.namespace("")


async def test_nothing_is_connected_before_the_first_call(server: RedisServer) -> None:
    async with a_store(server.url) as store:
        keys = store.namespace("")
        await asyncio.sleep(0.1)
        assert clients(server) == 0
        await keys.get(b"k")
        assert clients(server) == 1


async def test_a_server_that_was_never_there_is_unavailable_at_once_until_it_comes(tmp_path: Path) -> None:
    port = free_port()
    async with a_store(f"redis://127.0.0.1:{port}") as store:
        keys = store.namespace("")
        error = await in_a_call(DEADLINE, lambda: refusal(keys.set(b"k", b"v", 0)))
        assert isinstance(error, Unavailable) and error.retryable and f"127.0.0.1:{port}" in str(error)
        assert f"127.0.0.1:{port} cannot be reached" in await store.trouble()
        with running(tmp_path, port=port):
            await until_served(lambda: keys.set(b"k", b"v", 0))
            assert await store.trouble() == ""


async def test_a_server_killed_and_begun_again_under_load_has_all_that_was_acknowledged_and_nothing_twice(
    server: RedisServer, keys: Backend
) -> None:
    acknowledged, doubtful = [0] * CALLERS, [0] * CALLERS
    going_on = True

    async def count(number: int) -> None:
        while going_on:
            try:
                await in_a_call(DEADLINE, lambda: keys.increment(b"k%d" % number, 1))
                acknowledged[number] += 1
            except Unavailable as error:
                doubtful[number] += "not known" in str(error)
                await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(count(number)) for number in range(CALLERS)]
    for _ in range(ROUNDS):
        await asyncio.sleep(0.3)
        server.kill()
        before = sum(acknowledged)
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(RETURN):
            while sum(acknowledged) < before + CALLERS:
                await asyncio.sleep(0.01)
    going_on = False
    await asyncio.gather(*tasks)
    for number in range(CALLERS):
        total = int(server.command("GET", f"k{number}"))
        assert acknowledged[number] <= total <= acknowledged[number] + doubtful[number]


async def test_a_server_that_hangs_is_unavailable_within_the_deadline_and_serves_when_it_goes_on(
    server: RedisServer, store: Store, keys: Backend
) -> None:
    await keys.set(b"k", b"v", 0)
    server.pause()
    try:
        for _ in range(3):
            errors = await asyncio.gather(*(in_a_call(DEADLINE, lambda: refusal(keys.increment(b"n", 1))) for _ in range(CALLERS)))
            assert {error.code for error in errors} == {Code.UNAVAILABLE}
        started = time.monotonic()
        assert f"127.0.0.1:{server.port}" in await store.trouble()
        assert time.monotonic() - started < 5
    finally:
        server.resume()
    await until_served(lambda: keys.get(b"k"))
    assert await store.trouble() == ""


async def test_calls_that_hang_take_no_more_connections_than_are_allowed(server: RedisServer) -> None:
    async with a_store(server.url, connections=3, connect_timeout=0.3) as store:
        keys = store.namespace("")
        server.pause()
        try:
            for _ in range(3):
                await asyncio.gather(*(in_a_call(0.5, lambda: refusal(keys.get(b"k"))) for _ in range(CALLERS)))
        finally:
            server.resume()
        await until_served(lambda: keys.get(b"k"))
        await asyncio.gather(*(keys.get(b"k") for _ in range(CALLERS)))
        assert clients(server) <= 3


async def test_reads_are_asked_again_when_their_connection_breaks(server: RedisServer, keys: Backend) -> None:
    await keys.set(b"k", b"v", 0)
    going_on = True

    async def read() -> int:
        count = 0
        while going_on:
            assert await keys.get(b"k") == b"v"
            count += 1
        return count

    tasks = [asyncio.create_task(read()) for _ in range(CALLERS)]
    for _ in range(10):
        await asyncio.sleep(0.02)
        await asyncio.to_thread(server.command, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    going_on = False
    assert min(await asyncio.gather(*tasks)) > 0


async def test_a_write_whose_connection_breaks_is_not_sent_again(server: RedisServer, keys: Backend) -> None:
    await keys.increment(b"n", 1)
    server.pause()
    call = asyncio.create_task(keys.increment(b"n", 1))
    await asyncio.sleep(0.1)
    server.kill()
    assert "not known" in str(await refusal(call))
    server.start()
    assert server.command("GET", "n") == b"1"


async def test_a_connection_that_broke_while_idle_costs_no_call(server: RedisServer, keys: Backend) -> None:
    for number in range(1, 4):
        assert await keys.increment(b"n", 1) == number
        server.kill()
        await asyncio.to_thread(server.start)


async def test_after_closing_calls_are_refused(server: RedisServer) -> None:
    async with a_store(server.url) as store:
        keys = store.namespace("")
        await keys.get(b"k")
        assert clients(server) == 1
    assert isinstance(await refusal(keys.get(b"k")), Unavailable)
    assert clients(server) == 0


LOST: list[list[str | int]] = [
    ["CONFIG", "SET", "replica-serve-stale-data", "no"],
    ["CONFIG", "SET", "replica-read-only", "no"],
    ["REPLICAOF", "127.0.0.1", 1],
]
REFUSALS: dict[str, tuple[Sequence[Sequence[str | int]], Code, str]] = {
    "no memory": ([["CONFIG", "SET", "maxmemory", 1]], Code.RESOURCE_EXHAUSTED, "maxmemory"),
    "too few replicas": ([["CONFIG", "SET", "min-replicas-to-write", 1]], Code.UNAVAILABLE, "replicas"),
    "a replica": ([["REPLICAOF", "127.0.0.1", 1]], Code.UNAVAILABLE, "takes no writes"),
    "a lost replica": (LOST, Code.UNAVAILABLE, "primary"),
    "a password": ([["CONFIG", "SET", "requirepass", "hush"]], Code.UNAUTHENTICATED, "password"),
    "no right": ([["ACL", "SETUSER", "default", "-@write"]], Code.PERMISSION_DENIED, "allow"),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_what_the_server_refuses_has_a_code_and_words(server: RedisServer, keys: Backend, name: str) -> None:
    commands, code, words = REFUSALS[name]
    server.commands(*commands)
    error = await refusal(keys.set(b"k", b"v", 0))
    assert error.code == code and words in str(error) and f"127.0.0.1:{server.port}" in str(error)
    assert error.__cause__ is not None


async def test_a_server_that_takes_no_more_clients_serves_when_it_does(server: RedisServer, keys: Backend) -> None:
    server.command("CONFIG", "SET", "maxclients", 1)
    with socket.create_connection(("127.0.0.1", server.port)) as other:
        other.sendall(b"PING\r\n")
        assert await asyncio.to_thread(other.recv, 100) == b"+PONG\r\n"
        error = await refusal(keys.get(b"k"))
        assert isinstance(error, Unavailable) and "maxclients" in str(error)
    await until_served(lambda: keys.get(b"k"))


async def test_a_busy_server_is_unavailable_and_serves_when_the_script_is_over(server: RedisServer, store: Store, keys: Backend) -> None:
    server.command("CONFIG", "SET", "lua-time-limit", 50)
    await keys.get(b"k")
    script = asyncio.create_task(asyncio.to_thread(lambda: server.command("EVAL", "while redis.call('EXISTS', 'x') == 0 do end", 0)))
    try:
        async with asyncio.timeout(20):
            while (error := await outcome(keys.get(b"k"))) is None:
                await asyncio.sleep(0.05)
        assert error.code == Code.UNAVAILABLE and "script" in str(error)
        assert "script" in await store.trouble()
    finally:
        await asyncio.to_thread(server.command, "SCRIPT", "KILL")
        await asyncio.gather(script, return_exceptions=True)
    await until_served(lambda: keys.get(b"k"))


async def test_a_wrong_number_of_a_database_and_a_url_of_the_wrong_form_are_told(server: RedisServer, tmp_path: Path) -> None:
    async with a_store(f"{server.url}/99") as store:
        error = await refusal(store.namespace("").get(b"k"))
        assert error.code == Code.INVALID_ARGUMENT and "database" in str(error)
    async with a_store(server.url.replace("redis", "redis+cluster", 1)) as store:
        error = await refusal(store.namespace("").get(b"k"))
        assert error.code == Code.INVALID_ARGUMENT and "no part of a cluster" in str(error)
    with cluster(tmp_path / "cluster") as nodes:
        async with a_store(nodes[0].url) as store:
            keys = store.namespace("")
            told = await asyncio.gather(*(keys.get(b"k%d" % number) for number in range(50)), return_exceptions=True)
            errors = [error for error in told if error is not None]
            assert errors and all(isinstance(error, InvalidArgument) and "redis+cluster://" in str(error) for error in errors)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[RedisServer]:
    users = tmp_path / "users.acl"
    users.write_text("user default off\nuser writer on >hush ~* &* +@all\nuser reader on >hush ~* +@read +@connection\n")
    with running(tmp_path / "server", "--aclfile", str(users), username="writer", password="hush") as server:
        server.command("ACL", "SETUSER", "writer", f">{PASSWORD}")
        yield server


async def test_users_log_in_with_the_password_of_the_url_or_of_its_own_setting(guarded: RedisServer) -> None:
    address = guarded.url.removeprefix("redis://")
    for url, settings in (
        (f"redis://writer:hush%3A%2F%40%20hush@{address}", {}),
        (f"redis://writer:wrong@{address}", {"password": Secret(PASSWORD)}),
        (f"redis://{address}", {"username": "writer", "password": Secret(PASSWORD)}),
    ):
        async with a_store(url, **settings) as store:
            assert await store.namespace("").increment(b"n", 1) > 0


async def test_a_wrong_login_is_told_without_the_password(guarded: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for user in ("writer:verysecret@", "nobody:verysecret@", "", ":verysecret@"):
        async with a_store(guarded.url.replace("//", f"//{user}")) as store:
            error = await refusal(store.namespace("").get(b"k"))
            trouble = await store.trouble()
        assert error.code == Code.UNAUTHENTICATED and trouble == str(error)
        shown = [repr(error), str(error), error.detail, repr(error.__cause__), str(error.__cause__), caplog.text]
        assert not [text for text in shown if "verysecret" in text]


async def test_a_user_may_do_what_the_server_lets_it(guarded: RedisServer) -> None:
    guarded.command("SET", "k", "v")
    async with a_store(guarded.url.replace("//", "//reader:hush@")) as store:
        keys = store.namespace("")
        assert await keys.get(b"k") == b"v"
        assert (await refusal(keys.set(b"k", b"w", 0))).code == Code.PERMISSION_DENIED
        assert (await refusal(keys.increment(b"k", 1))).code == Code.PERMISSION_DENIED


@pytest.mark.needs("openssl")
async def test_tls_is_spoken_to_a_server_whose_certificate_is_trusted_and_to_no_other(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki", "trusted")
    stranger = Authority(tmp_path / "pki", "stranger")
    with running(tmp_path / "server", tls=(authority.issue("localhost"), authority.cert)) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        for found in (url, url.replace("rediss", "valkeys")):
            async with a_store(found, ca_file=authority.cert) as store:
                assert await store.namespace("").increment(b"n", 1) > 0
                assert await store.trouble() == ""
        for address, settings, words in (
            (url, {"ca_file": stranger.cert}, "certificate verify failed"),
            (url, {}, "certificate verify failed"),
            (server.url, {"ca_file": authority.cert}, "IP address mismatch"),
            (url, {"ca_file": tmp_path / "none.pem"}, "none.pem cannot be used: No such file"),
            (url.replace("rediss", "redis"), {}, "cannot be reached"),
        ):
            async with a_store(address, **settings) as store:
                assert words in str(await refusal(store.namespace("").get(b"k")))


@pytest.mark.needs("openssl")
async def test_a_tls_server_killed_and_begun_again_serves_again(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki", "trusted")
    with running(tmp_path / "server", tls=(authority.issue("localhost"), authority.cert)) as server:
        async with a_store(server.url.replace("127.0.0.1", "localhost"), ca_file=authority.cert) as store:
            keys = store.namespace("")
            await asyncio.gather(*(keys.increment(b"n", 1) for _ in range(CALLERS)))
            server.kill()
            assert isinstance(await refusal(keys.set(b"k", b"v", 0)), Unavailable)
            await asyncio.to_thread(server.start)
            await until_served(lambda: keys.set(b"k", b"v", 0))
            large = bytes(4 << 20)
            await keys.set(b"large", large, 0)
            assert await asyncio.gather(*(keys.get(b"large") for _ in range(4))) == [large] * 4


async def outcome(call: Awaitable[object]) -> ProviderError | None:
    """The error of a call, if it has one."""
    try:
        await call
    except ProviderError as error:
        return error
    return None


def clients(server: RedisServer) -> int:
    """Connections beside the one that asks."""
    return int(server.command("CLIENT", "LIST", "TYPE", "normal").count(b"\n")) - 1
