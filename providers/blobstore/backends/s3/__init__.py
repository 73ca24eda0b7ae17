"""S3: AWS, and every server that speaks the same. Containers are buckets, or folders in one bucket."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

from providers.blobstore.backend import Store
from providers.blobstore.backends.s3.client import make_client
from providers.blobstore.backends.s3.store import S3Store
from providers.blobstore.config import BlobstoreConfig

SHARED = (
    *(
        "bucket",
        "prefix",
        "endpoint",
        "region",
        "bucket_region",
        "access_key_id",
        "secret_access_key",
        "session_token",
        "sts_config",
        "addressing",
        "ca_file",
    ),
    *("proxy", "checksums", "retry_mode", "max_attempts", "connect_timeout", "read_timeout", "connections", "part_size"),
)


def open_store(config: BlobstoreConfig, data_dir: Path) -> Store:
    """The store of a configuration. Uploads that a killed process has left are aborted in the background."""
    return S3Store(config, data_dir, make_client(config))


def store_key(config: BlobstoreConfig, data_dir: Path) -> Hashable:
    """Links that ask in the same way, in the same place, share one."""
    return tuple(getattr(config, name) for name in SHARED)
