"""Stores of the blobstore as fixtures: what a link is told so that it has one in which nothing is yet."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

BlobPlace = Callable[[], dict[str, Any]]
"""The values of a link to a new store."""


@pytest.fixture(scope="session")
def blobs_in_memory() -> BlobPlace:
    return lambda: {"url": f"memory://{secrets.token_hex(8)}"}


@pytest.fixture(scope="session")
def blobs_on_disk(tmp_path_factory: pytest.TempPathFactory) -> BlobPlace:
    folder: Path = tmp_path_factory.mktemp("blobs")
    return lambda: {"url": f"file://{folder}/{secrets.token_hex(8)}", "durability": "normal"}


@pytest.fixture(scope="session")
def blobs_in_moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlobPlace]:
    from tests.servers.s3 import moto

    with moto(tmp_path_factory.mktemp("moto")) as server:
        yield lambda: server.settings


@pytest.fixture(scope="session")
def blobs_in_minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlobPlace]:
    from tests.servers.s3 import minio

    with minio(tmp_path_factory.mktemp("minio")) as server:
        yield lambda: server.settings
