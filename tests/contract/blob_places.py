"""Where the blobs of a test are: what a link is told so that it has a store in which nothing is yet."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from pathlib import Path

from provider_sdk.testing.conformance.blobstore import Capability
from providers.blobstore.backend import EVERYTHING, LONGEST_NAME
from tests.servers.s3 import S3Server

OURS = frozenset({*map(Capability, EVERYTHING), Capability.CREATED_AT, Capability.BARE_NAMES, Capability.CHUNKS, Capability.PIPELINES})
"""What does not depend on the backend, and all names."""


class BlobPlace(ABC):
    """One kind of backend, ready to be used."""

    @abstractmethod
    def values(self) -> dict[str, str]:
        """The link values of a new store."""

    def actor(self) -> str:
        """In whose part of the store a test is, where others use the store as well."""
        return ""

    def prefix(self) -> str:
        """What the names of a test's containers begin with, where others see them as well."""
        return ""

    def clear(self, prefix: str) -> None:
        """Remove the containers of a test that others see: they would get slower and slower."""
        assert not prefix

    def longest_name(self) -> int:
        """Bytes of the longest name of an object."""
        return LONGEST_NAME


class MemoryBlobs(BlobPlace):
    def values(self) -> dict[str, str]:
        return {"url": f"memory://{secrets.token_hex(8)}"}


class Folders(BlobPlace):
    """local: a folder a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def values(self) -> dict[str, str]:
        return {"url": f"file://{self.folder}/{secrets.token_hex(8)}", "durability": "normal", "per_actor": "false"}


class OneBucket(BlobPlace):
    """s3: containers are folders in a bucket that all tests share, each test in the part of an actor of its own."""

    def __init__(self, server: S3Server, bucket: str = "shared-by-all-tests") -> None:
        self.server, self.bucket = server, bucket
        server.client().create_bucket(Bucket=bucket)

    def values(self) -> dict[str, str]:
        return {**self.server.settings, "bucket": self.bucket, "prefix": "tests", "per_actor": "true"}

    def actor(self) -> str:
        return secrets.token_hex(4)

    def longest_name(self) -> int:
        return LONGEST_NAME - len(f"tests/{self.actor()}/box/")


class Buckets(BlobPlace):
    """s3: containers are buckets of a server that all tests share."""

    def __init__(self, server: S3Server) -> None:
        self.server = server

    def values(self) -> dict[str, str]:
        return dict(self.server.settings)

    def prefix(self) -> str:
        return f"{secrets.token_hex(4)}-"

    def clear(self, prefix: str) -> None:
        client = self.server.client()
        for bucket in [item["Name"] for item in client.list_buckets()["Buckets"] if item["Name"].startswith(prefix)]:
            for key in [item["Key"] for item in client.list_objects_v2(Bucket=bucket).get("Contents", ())]:
                client.delete_object(Bucket=bucket, Key=key)
            client.delete_bucket(Bucket=bucket)
