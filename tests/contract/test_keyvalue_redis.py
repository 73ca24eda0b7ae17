"""The backend redis, on a real server; what is durable is the server's."""

from __future__ import annotations

import pytest

from provider_sdk.testing.conformance.keyvalue import Capability
from tests.contract.doors import Direct, Process, Unnamed

pytestmark = pytest.mark.needs("redis-server")
CAPABILITIES = frozenset(Capability)


class TestDirect(Direct):
    __test__ = True
    backend = "redis"
    capabilities = CAPABILITIES


class TestProcess(Process):
    __test__ = True
    backend = "redis"
    capabilities = CAPABILITIES


class TestUnnamed(Unnamed):
    __test__ = True
    backend = "redis"
    capabilities = CAPABILITIES


class TestCluster(Direct):
    __test__ = True
    backend = "redis_cluster"
    capabilities = CAPABILITIES
