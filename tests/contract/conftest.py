"""Providers on a lattice, as long as a class of tests needs them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from provider_sdk import Layer
from provider_sdk.lattice.wrpc.providers import Supervision
from provider_sdk.testing import a_lattice
from provider_sdk.testing.wrpc_lattice import a_wrpc_lattice
from providers.blobstore.config import BlobstoreConfig
from providers.blobstore.stores import Stores
from tests.contract.backends import memory, postgres, redis, redis_cluster, sqlite
from tests.contract.blob_backends import (
    local,
    memory_blobs,
    minio,
    minio_bucket,
    minio_buckets,
    moto,
    moto_bucket,
    versitygw,
    versitygw_buckets,
)
from tests.contract.blob_component_doors import ComponentInstances
from tests.contract.blob_doors import BlobInstances
from tests.contract.blob_places import BlobPlace
from tests.contract.component_doors import KeyValueInstances
from tests.contract.doors import Instances
from tests.frozen import frozen

__all__ = [
    "blob_instances",
    "component_instances",
    "instances",
    "kept_stores",
    "keyvalue_instances",
    "local",
    "memory",
    "memory_blobs",
    "minio",
    "minio_bucket",
    "minio_buckets",
    "moto",
    "moto_bucket",
    "postgres",
    "redis",
    "redis_cluster",
    "sqlite",
    "versitygw",
    "versitygw_buckets",
]


def _program(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The frozen program of a class that names one in `frozen`."""
    name = getattr(request.cls, "frozen", "")
    return {"program": frozen(name)} if name else {}


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def instances(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Instances]:
    folder: Path = tmp_path_factory.mktemp("data")
    async with a_lattice(rpc_timeout=15.0) as lattice:
        instances = Instances(lattice, folder, request.cls.as_process, **_program(request))
        await instances.start()
        yield instances


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def keyvalue_instances(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KeyValueInstances]:
    async with a_wrpc_lattice(rpc_timeout=15.0) as lattice:
        instances = KeyValueInstances(lattice, tmp_path_factory.mktemp("data"), **_program(request))
        await instances.start()
        yield instances


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def blob_instances(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BlobInstances]:
    folder: Path = tmp_path_factory.mktemp("data")
    async with a_lattice(rpc_timeout=15.0) as lattice:
        instances = BlobInstances(lattice, folder, request.cls.as_process, **_program(request))
        await instances.start()
        place: BlobPlace = request.getfixturevalue(request.cls.backend)
        async with instances.kept(place.values()):
            yield instances


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def kept_stores(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stores]:
    place: BlobPlace = request.getfixturevalue(request.cls.backend)
    stores = Stores(tmp_path_factory.mktemp("stores"))
    async with stores.use(BlobstoreConfig.load(Layer("test", place.values())).config):
        yield stores


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def component_instances(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ComponentInstances]:
    folder: Path = tmp_path_factory.mktemp("data")
    async with a_wrpc_lattice(era=request.cls.era, supervision=Supervision(restart_pause=0.1)) as lattice:
        instances = ComponentInstances(lattice, folder, **_program(request))
        await instances.start()
        yield instances
