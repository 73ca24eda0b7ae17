"""The backend s3, on real servers and on moto; containers are folders of a bucket, or buckets. What is durable is the server's."""

from __future__ import annotations

import pytest

from provider_sdk.testing.conformance.blobstore import Capability
from tests.contract.blob_doors import BlobDirect, BlobProcess

OF_A_SERVER = frozenset(Capability) - {Capability.ANY_NAME, Capability.SIDE_BY_SIDE, Capability.SNAPSHOTS}
IN_ONE_BUCKET = OF_A_SERVER
BUCKETS = OF_A_SERVER - {Capability.ANY_CONTAINER}


class OnS3(BlobDirect):
    """Times of S3 are of seconds, and each request is a few milliseconds of both processes."""

    resolution = 1.0
    many = 30


class TestMoto(OnS3):
    __test__ = True
    backend = "moto_bucket"
    capabilities = IN_ONE_BUCKET


@pytest.mark.needs("minio")
class TestMinio(OnS3):
    __test__ = True
    backend = "minio_bucket"
    capabilities = IN_ONE_BUCKET
    many = 1010


@pytest.mark.needs("minio")
class TestMinioBuckets(OnS3):
    __test__ = True
    backend = "minio_buckets"
    capabilities = BUCKETS


@pytest.mark.needs("minio")
class TestMinioProcess(BlobProcess):
    __test__ = True
    backend = "minio_bucket"
    capabilities = IN_ONE_BUCKET
    resolution = 1.0
    many = 30


@pytest.mark.needs("versitygw")
class TestVersitygw(OnS3):
    __test__ = True
    backend = "versitygw_buckets"
    capabilities = BUCKETS
