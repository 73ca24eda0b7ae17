"""The 1.x interface on the backend s3: containers are folders of a bucket, or buckets. What is durable is the server's."""

from __future__ import annotations

import pytest

from provider_sdk.testing.conformance.blobstore import Capability, EarlyWasiBlobstoreConformance, WasiBlobstoreConformance
from provider_sdk.testing.conformance.blobstore.component_objects import ComponentCopies
from provider_sdk.testing.conformance.blobstore.component_places import ComponentPlaces
from provider_sdk.testing.conformance.blobstore.component_streams import ComponentFutures, ComponentStreams
from provider_sdk.testing.conformance.blobstore.component_suite import WasiBlobstoreSuite
from tests.contract.blob_component_doors import ComponentDirectKept, ComponentProcess
from tests.tiers import scale

IN_ONE_BUCKET = frozenset(Capability) - {Capability.ANY_NAME, Capability.SIDE_BY_SIDE, Capability.SNAPSHOTS}
BUCKETS = IN_ONE_BUCKET - {Capability.ANY_CONTAINER}


class OnS3(WasiBlobstoreSuite):
    """Times of S3 are of seconds, and each request is a few milliseconds of both processes."""

    __test__ = False

    resolution = 1.0
    many = 30
    examples = scale(test=4, ci=6, soak=300)


class Streams(ComponentStreams, ComponentFutures, ComponentCopies, ComponentPlaces):
    """What a lattice between is in the way of."""


class OfMoto(scale(test=WasiBlobstoreConformance, ci=Streams, soak=WasiBlobstoreConformance)):  # type: ignore[misc]  # one of two classes
    """Everything where the real servers may not be."""


class TestMoto(OnS3, ComponentDirectKept, OfMoto):
    __test__ = True
    backend = "moto_bucket"
    capabilities = IN_ONE_BUCKET


@pytest.mark.needs("minio")
class TestMinio(OnS3, ComponentDirectKept, WasiBlobstoreConformance):
    __test__ = True
    backend = "minio_bucket"
    capabilities = IN_ONE_BUCKET
    many = 1010


@pytest.mark.needs("minio")
class TestMinioProcess(OnS3, ComponentProcess, Streams):
    __test__ = True
    backend = "minio_buckets"
    capabilities = BUCKETS


@pytest.mark.needs("versitygw")
class TestVersitygwEarly(OnS3, ComponentDirectKept, EarlyWasiBlobstoreConformance):
    __test__ = True
    backend = "versitygw_buckets"
    capabilities = BUCKETS
