"""The backend postgres, on a real server."""

from __future__ import annotations

import pytest

from provider_sdk.testing.conformance.keyvalue import Capability
from tests.contract.doors import Direct, Process, Unnamed

pytestmark = pytest.mark.needs("initdb")
CAPABILITIES = frozenset(Capability)


class TestDirect(Direct):
    __test__ = True
    backend = "postgres"
    capabilities = CAPABILITIES


class TestProcess(Process):
    __test__ = True
    backend = "postgres"
    capabilities = CAPABILITIES


class TestUnnamed(Unnamed):
    __test__ = True
    backend = "postgres"
    capabilities = CAPABILITIES
