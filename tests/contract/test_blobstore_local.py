"""The backend local: files, which outlive killed providers and are shared by those that run."""

from __future__ import annotations

from provider_sdk.testing.conformance.blobstore import BlobstoreConformance, Capability
from tests.contract.blob_doors import BlobDirect, BlobProcess

CAPABILITIES = frozenset(Capability)


class TestDirect(BlobDirect, BlobstoreConformance):
    __test__ = True
    backend = "local"
    capabilities = CAPABILITIES


class TestProcess(BlobProcess, BlobstoreConformance):
    __test__ = True
    backend = "local"
    capabilities = CAPABILITIES
