"""The backends of the blobstore as fixtures, each a place for stores; a conftest that wants them imports them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.blob_places import Buckets, Folders, MemoryBlobs, OneBucket
from tests.servers import s3


@pytest.fixture(scope="session")
def memory_blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return Folders(tmp_path_factory.mktemp("blobs"))


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3Server]:
    with s3.moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3Server]:
    with s3.minio(tmp_path_factory.mktemp("minio")) as server:
        yield server


@pytest.fixture(scope="session")
def versitygw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3Server]:
    with s3.versitygw(tmp_path_factory.mktemp("versitygw")) as server:
        yield server


@pytest.fixture(scope="session")
def moto_bucket(moto: s3.S3Server) -> OneBucket:
    return OneBucket(moto)


@pytest.fixture(scope="session")
def moto_buckets(moto: s3.S3Server) -> Buckets:
    return Buckets(moto)


@pytest.fixture(scope="session")
def minio_bucket(minio: s3.S3Server) -> OneBucket:
    return OneBucket(minio)


@pytest.fixture(scope="session")
def minio_buckets(minio: s3.S3Server) -> Buckets:
    return Buckets(minio)


@pytest.fixture(scope="session")
def versitygw_buckets(versitygw: s3.S3Server) -> Buckets:
    return Buckets(versitygw)
