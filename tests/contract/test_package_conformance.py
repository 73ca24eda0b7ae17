"""The conformance suites against the providers as frozen programs, started by a host with nothing around them."""

from __future__ import annotations

from provider_sdk.testing.conformance import blobstore, keyvalue
from provider_sdk.testing.conformance.blobstore.downloads import Downloads
from provider_sdk.testing.conformance.blobstore.uploads import Uploads
from tests.contract.blob_component_doors import ComponentProcess as BlobComponentProcess
from tests.contract.blob_doors import BlobProcess
from tests.contract.component_doors import ComponentProcess
from tests.contract.doors import Process
from tests.tiers import scale


class TestKeyValue(Process):
    __test__ = True
    frozen = "keyvalue"
    backend = "sqlite"
    capabilities = frozenset(keyvalue.Capability)


class TestKeyValueOfComponents(ComponentProcess):
    __test__ = True
    frozen = "keyvalue"
    backend = "sqlite"
    capabilities = frozenset(keyvalue.ImportsCapability)


class TestBlobstore(BlobProcess, blobstore.BlobstoreConformance):
    __test__ = True
    frozen = "blobstore"
    backend = "local"
    capabilities = frozenset(blobstore.Capability)


class TestBlobstoreOfComponents(BlobComponentProcess, blobstore.WasiBlobstoreConformance):
    __test__ = True
    frozen = "blobstore"
    backend = "local"
    capabilities = frozenset(blobstore.Capability)


class TestBlobstoreOnS3(BlobProcess, Uploads, Downloads):
    """What the trimmed AWS library has to do; the servers that judge it are asked from source."""

    __test__ = True
    frozen = "blobstore"
    backend = "moto_bucket"
    capabilities = frozenset(blobstore.Capability) - {
        blobstore.Capability.ANY_CONTAINER,
        blobstore.Capability.ANY_NAME,
        blobstore.Capability.SIDE_BY_SIDE,
        blobstore.Capability.SNAPSHOTS,
    }
    resolution = 1.0
    many = 30
    examples, rounds = scale(test=4, ci=6, soak=300), scale(test=2, ci=3, soak=20)
