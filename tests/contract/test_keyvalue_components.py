"""Every backend as components of 1.x see it, without a lattice and on one."""

from __future__ import annotations

import pytest

from provider_sdk.testing.conformance.keyvalue import ImportsCapability
from tests.contract.component_doors import PAGE, ComponentDirect, ComponentProcess

ALL = frozenset(ImportsCapability)


class TestMemory(ComponentDirect):
    __test__ = True
    backend = "memory"
    capabilities = ALL - {ImportsCapability.SHARED}


class TestSqlite(ComponentDirect):
    __test__ = True
    backend = "sqlite"
    capabilities = ALL


@pytest.mark.needs("redis-server")
class TestRedis(ComponentDirect):
    __test__ = True
    backend = "redis"
    # SCAN may give a key again when the server makes its table smaller.
    capabilities = ALL - {ImportsCapability.UNREPEATED}
    longest_page = 10 * PAGE


@pytest.mark.needs("redis-server")
class TestRedisCluster(ComponentDirect):
    __test__ = True
    backend = "redis_cluster"
    capabilities = ALL - {ImportsCapability.UNREPEATED, ImportsCapability.ATOMIC_BATCH}
    longest_page = 10 * PAGE


@pytest.mark.needs("initdb")
class TestPostgres(ComponentDirect):
    __test__ = True
    backend = "postgres"
    capabilities = ALL


class TestBucketsIgnored(ComponentDirect):
    """As the official Redis provider has it."""

    __test__ = True
    backend = "sqlite"
    settings = {"keys_per_page": str(PAGE), "buckets": "ignore"}  # noqa: RUF012  # of its base class
    capabilities = ALL - {ImportsCapability.BUCKETS}


class TestMemoryProcess(ComponentProcess):
    __test__ = True
    backend = "memory"
    capabilities = ALL - {ImportsCapability.SHARED, ImportsCapability.ACTORS}


class TestSqliteProcess(ComponentProcess):
    __test__ = True
    backend = "sqlite"
    capabilities = ALL


@pytest.mark.needs("redis-server")
class TestRedisProcess(ComponentProcess):
    __test__ = True
    backend = "redis"
    capabilities = ALL - {ImportsCapability.UNREPEATED}
    longest_page = 10 * PAGE


@pytest.mark.needs("initdb")
class TestPostgresProcess(ComponentProcess):
    __test__ = True
    backend = "postgres"
    capabilities = ALL
