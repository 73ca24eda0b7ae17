"""The backend s3, on real servers and on moto; containers are folders of a bucket, or buckets. What is durable is the server's."""

from __future__ import annotations

import pytest

from provider_sdk.testing.conformance.blobstore import BlobstoreConformance, BlobstoreSuite, Capability
from provider_sdk.testing.conformance.blobstore.downloads import Downloads
from provider_sdk.testing.conformance.blobstore.places import Places
from provider_sdk.testing.conformance.blobstore.sequences import Sequences
from provider_sdk.testing.conformance.blobstore.uploads import Uploads
from tests.contract.blob_doors import BlobDirectKept, BlobProcess
from tests.tiers import scale

IN_ONE_BUCKET = frozenset(Capability) - {Capability.ANY_NAME, Capability.SIDE_BY_SIDE, Capability.SNAPSHOTS}
BUCKETS = IN_ONE_BUCKET - {Capability.ANY_CONTAINER}


class OnS3(BlobstoreSuite):
    """Times of S3 are of seconds, and each request is a few milliseconds of both processes."""

    __test__ = False

    resolution = 1.0
    many = 30
    examples, steps, rounds = scale(test=4, ci=6, soak=300), scale(test=15, ci=20, soak=60), scale(test=2, ci=3, soak=20)


class Streams(Uploads, Downloads, Places):
    """What a lattice between is in the way of."""


class OfMoto(scale(test=BlobstoreConformance, ci=Sequences, soak=BlobstoreConformance)):  # type: ignore[misc]  # one of two classes
    """Everything where the real servers may not be."""


class TestMoto(OnS3, BlobDirectKept, OfMoto):
    __test__ = True
    backend = "moto_bucket"
    capabilities = IN_ONE_BUCKET


@pytest.mark.needs("minio")
class TestMinio(OnS3, BlobDirectKept, BlobstoreConformance):
    __test__ = True
    backend = "minio_bucket"
    capabilities = IN_ONE_BUCKET
    many = 1010


@pytest.mark.needs("minio")
class TestMinioProcess(OnS3, BlobProcess, Streams):
    __test__ = True
    backend = "minio_buckets"
    capabilities = BUCKETS


@pytest.mark.needs("versitygw")
class TestVersitygw(OnS3, BlobDirectKept, BlobstoreConformance):
    __test__ = True
    backend = "versitygw_buckets"
    capabilities = BUCKETS
