"""Where the blobs of a test are: what a link is told so that it has a store in which nothing is yet."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from pathlib import Path

from provider_sdk.testing.conformance.blobstore import Capability
from providers.blobstore.backend import EVERYTHING

OURS = frozenset({*map(Capability, EVERYTHING), Capability.CREATED_AT, Capability.BARE_NAMES, Capability.CHUNKS, Capability.PIPELINES})
"""What does not depend on the backend, and all names."""


class BlobPlace(ABC):
    """One kind of backend, ready to be used."""

    @abstractmethod
    def values(self) -> dict[str, str]:
        """The link values of a new store."""

    def prefix(self) -> str:
        """What the names of a test's containers begin with, where others use the store as well."""
        return ""


class MemoryBlobs(BlobPlace):
    def values(self) -> dict[str, str]:
        return {"url": f"memory://{secrets.token_hex(8)}"}


class Folders(BlobPlace):
    """local: a folder a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def values(self) -> dict[str, str]:
        return {"url": f"file://{self.folder}/{secrets.token_hex(8)}", "durability": "normal", "per_actor": "false"}
