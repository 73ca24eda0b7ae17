"""The backend s3, on real servers and on moto; containers are folders of a bucket, or buckets. What is durable is the server's."""

from __future__ import annotations

import pytest

from provider_sdk.testing.conformance.blobstore import Capability
from tests.contract.blob_doors import BlobDirectKept, BlobProcess
from tests.tiers import scale

OF_A_SERVER = frozenset(Capability) - {Capability.ANY_NAME, Capability.SIDE_BY_SIDE, Capability.SNAPSHOTS}
EXAMPLES, STEPS, ROUNDS = scale(test=4, ci=8, soak=300), scale(test=15, ci=20, soak=60), scale(test=2, ci=3, soak=20)


class OnS3(BlobDirectKept):
    """Times of S3 are of seconds, and each request is a few milliseconds of both processes."""

    resolution = 1.0
    many = 30
    examples, steps, rounds = EXAMPLES, STEPS, ROUNDS


class TestMoto(OnS3):
    __test__ = True
    backend = "moto_bucket"
    capabilities = OF_A_SERVER


@pytest.mark.needs("minio")
class TestMinio(OnS3):
    __test__ = True
    backend = "minio_bucket"
    capabilities = OF_A_SERVER
    many = 1010


@pytest.mark.needs("minio")
class TestMinioProcess(BlobProcess):
    __test__ = True
    backend = "minio_buckets"
    capabilities = OF_A_SERVER - {Capability.ANY_CONTAINER}
    resolution = 1.0
    many = 30
    examples, steps, rounds = EXAMPLES, STEPS, ROUNDS


@pytest.mark.needs("versitygw")
class TestVersitygw(OnS3):
    __test__ = True
    backend = "versitygw_buckets"
    capabilities = OF_A_SERVER - {Capability.ANY_CONTAINER}
