"""The 1.x interface on the backend memory."""

from __future__ import annotations

from provider_sdk.testing.conformance.blobstore import Capability, EarlyWasiBlobstoreConformance, WasiBlobstoreConformance
from providers.blobstore.backend import EVERYTHING
from tests.contract.blob_component_doors import ComponentDirect

CAPABILITIES = frozenset({*map(Capability, EVERYTHING), Capability.CREATED_AT, Capability.SNAPSHOTS})


class TestDirect(ComponentDirect, WasiBlobstoreConformance):
    __test__ = True
    backend = "memory_blobs"
    capabilities = CAPABILITIES


class TestEarlyDirect(ComponentDirect, EarlyWasiBlobstoreConformance):
    __test__ = True
    backend = "memory_blobs"
    capabilities = CAPABILITIES
