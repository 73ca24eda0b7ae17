"""The backends of the blobstore as fixtures, each a place for stores; a conftest that wants them imports them."""

from __future__ import annotations

import pytest

from tests.contract.blob_places import Folders, MemoryBlobs


@pytest.fixture(scope="session")
def memory_blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return Folders(tmp_path_factory.mktemp("blobs"))
