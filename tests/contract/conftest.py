"""The backends, and providers of them on a lattice, as long as a class of tests needs them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from provider_sdk.testing import a_lattice
from tests.contract.doors import Instances
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


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def instances(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Instances]:
    folder: Path = tmp_path_factory.mktemp("data")
    async with a_lattice(rpc_timeout=15.0) as lattice:
        instances = Instances(lattice, folder, as_process=request.cls.as_process)
        await instances.start()
        yield instances
