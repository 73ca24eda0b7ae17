"""The backend memory: what it has is gone with its process and seen by nobody else."""

from __future__ import annotations

from types import MappingProxyType

from provider_sdk.testing.conformance.blobstore import BlobstoreConformance, Capability
from tests.contract.blob_doors import BlobDirect, BlobInProcess
from tests.contract.blob_places import OURS

CAPABILITIES = OURS | {Capability.SNAPSHOTS}


class TestDirect(BlobDirect, BlobstoreConformance):
    __test__ = True
    backend = "memory_blobs"
    capabilities = CAPABILITIES


class TestTinyChunks(BlobDirect, BlobstoreConformance):
    """Every object is several chunks, so that all tests are tests of streams."""

    __test__ = True
    backend = "memory_blobs"
    capabilities = CAPABILITIES
    settings = MappingProxyType({"max_chunk_size": "7"})
    in_one, in_several, large, piece = 7, 100, 5000, 600


class TestInProcess(BlobInProcess, BlobstoreConformance):
    __test__ = True
    backend = "memory_blobs"
    capabilities = CAPABILITIES
