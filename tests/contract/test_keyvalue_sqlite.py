"""The backend sqlite: a file, which outlives killed providers and is shared by those that run."""

from __future__ import annotations

from provider_sdk.testing.conformance.keyvalue import Capability
from tests.contract.doors import Direct, Process

CAPABILITIES = frozenset(Capability)


class TestDirect(Direct):
    __test__ = True
    backend = "sqlite"
    capabilities = CAPABILITIES


class TestProcess(Process):
    __test__ = True
    backend = "sqlite"
    capabilities = CAPABILITIES
