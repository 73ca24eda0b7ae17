"""A store goes from one backend to the next with `provider kv`, real servers at each end, and is the same everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from providers.keyvalue.backend import Entry, Kind
from tests.integration.test_kv_tools import LATER, SAMPLE, Terminal
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer
from tests.servers.redis import running as running_redis

pytestmark = pytest.mark.needs("redis-server", "initdb")

MANY = (
    *SAMPLE,
    *(Entry(b"number %d" % index, Kind.TEXT, (b"%d" % index,), LATER if index % 3 == 0 else 0.0) for index in range(500)),
    Entry(b"long", Kind.LIST, tuple(b"%d" % index for index in range(5000))),
    Entry(b"wide", Kind.SET, tuple(b"%d" % index for index in range(5000))),
)


@dataclass
class Servers:
    """Two servers that want a password, by URLs that hold none, and what is typed."""

    terminal: Terminal
    redis: RedisServer
    postgres: PostgresServer

    @property
    def stores(self) -> list[str]:
        return [self.terminal.here, self.redis.url, self.postgres.url(login="postgres"), self.terminal.there]

    def type(self, code: int, *words: str) -> str:
        stores = [word for word in words if "://" in word]
        passwords = ["postgres" if store.startswith("postgres") else "hunter2" for store in [*stores, stores[0]]]
        environment = {"PROVIDER_KV_PASSWORD": passwords[0], "PROVIDER_KV_OTHER_PASSWORD": passwords[1]}
        done = self.terminal.type(*words, environment=environment)
        assert done.returncode == code, done
        return (done.stdout if code == 0 else done.stderr).decode()


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with (
        running_redis(tmp_path / "redis", "--requirepass", "hunter2", password="hunter2") as redis,
        PostgresServer.running() as postgres,
    ):
        yield Servers(Terminal(tmp_path), redis, postgres)


def test_a_store_that_went_round_all_backends_is_the_same(servers: Servers) -> None:
    servers.terminal.fill(servers.stores[0], MANY)
    for source, target in zip(servers.stores, servers.stores[1:], strict=False):
        servers.type(0, "export", source, "all.jsonl")
        assert servers.type(0, "import", target, "all.jsonl") == f"{len(MANY)} entries imported\n"
        assert servers.type(0, "compare", source, target) == f"{len(MANY)} entries are equal\n"
        assert "not empty" in servers.type(1, "import", target, "all.jsonl")
        assert servers.type(0, "import", target, "all.jsonl", "--keep") == f"0 entries imported, {len(MANY)} kept as they were\n"
    assert servers.type(0, "compare", servers.stores[0], servers.stores[-1]) == f"{len(MANY)} entries are equal\n"


def test_a_namespace_is_moved_without_its_neighbours(servers: Servers) -> None:
    servers.terminal.fill(servers.stores[0], SAMPLE, "a")
    servers.terminal.fill(servers.stores[0], SAMPLE[:1], "b")
    servers.type(0, "export", servers.stores[0], "a.jsonl", "--namespace", "a")
    for target in servers.stores[1:]:
        servers.type(0, "import", target, "a.jsonl", "--namespace", "c")
        same = servers.type(0, "compare", servers.stores[0], target, "--namespace", "a", "--other-namespace", "c")
        assert same == "6 entries are equal\n"


def test_a_wrong_password_is_one_line_that_does_not_show_it(servers: Servers) -> None:
    (servers.terminal.folder / "wrong").write_text("wr0ng\n")
    for store in servers.stores[1:3]:
        complaint = servers.type(1, "stats", store, "--password-file", "wrong")
        assert (complaint.count("\n"), complaint.startswith("provider: "), "wr0ng" in complaint) == (1, True, False)
        assert "password" in complaint
