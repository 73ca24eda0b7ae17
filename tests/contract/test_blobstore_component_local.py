"""The 1.x interface on the backend local, in this process and through a provider that a 1.x host started."""

from __future__ import annotations

from provider_sdk.hosts.wrpc.era import Era
from provider_sdk.testing.conformance.blobstore import Capability, EarlyWasiBlobstoreConformance, WasiBlobstoreConformance
from tests.contract.blob_component_doors import ComponentDirect, ComponentProcess

CAPABILITIES = frozenset(Capability)


class TestDirect(ComponentDirect, WasiBlobstoreConformance):
    __test__ = True
    backend = "local"
    capabilities = CAPABILITIES


class TestProcess(ComponentProcess, WasiBlobstoreConformance):
    __test__ = True
    backend = "local"
    capabilities = CAPABILITIES


class TestEarlyProcess(ComponentProcess, EarlyWasiBlobstoreConformance):
    """What hosts of v1.1 ask."""

    __test__ = True
    backend = "local"
    capabilities = CAPABILITIES


class TestFirstEra(ComponentProcess, EarlyWasiBlobstoreConformance):
    """What hosts of v1.0 ask, on their wire."""

    __test__ = True
    backend = "local"
    capabilities = CAPABILITIES
    era = Era.FIRST
