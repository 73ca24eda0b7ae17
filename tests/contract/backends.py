"""The backends as fixtures, each a place for stores; a conftest that wants them imports them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.places import Files, Memory, Server


@pytest.fixture(scope="session")
def memory() -> Memory:
    return Memory()


@pytest.fixture(scope="session")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    from tests.servers.redis import running

    with running(tmp_path_factory.mktemp("redis")) as server:
        yield Server(server.url)


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    from tests.servers.redis import cluster

    with cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield Server("redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    from tests.servers.postgres import PostgresServer

    with PostgresServer.running() as server:
        yield Server(server.url())
