"""What the foreign suites of stores run on. They need packages of their own: .ci/foreign-stores installs them and runs this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.backends import memory, postgres, redis, sqlite
from tests.contract.blob_backends import local, memory_blobs, minio, minio_bucket, minio_buckets, moto, moto_buckets
from tests.foreign.background import Background, running

__all__ = [
    "local",
    "memory",
    "memory_blobs",
    "minio",
    "minio_bucket",
    "minio_buckets",
    "moto",
    "moto_buckets",
    "postgres",
    "redis",
    "sqlite",
]


def pytest_configure(config: pytest.Config) -> None:
    for name in ("time_intensive", "ess", "ess_maybe", "fails_on_aws", "fails_on_ess", "fails_on_rgw"):
        config.addinivalue_line("markers", f"{name}: a mark of the suites")


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    with running() as found:
        yield found
