"""The 1.x interface on the backend local, in this process and through a provider that a 1.x host started."""

from __future__ import annotations

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
    __test__ = True
    backend = "local"
    capabilities = CAPABILITIES
