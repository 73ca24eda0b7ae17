"""Which store a configuration means, and the stores that are open: links with the same settings share one."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from provider_sdk import Shared, Unsupported
from providers.blobstore.backend import Store
from providers.blobstore.config import BlobstoreConfig
from providers.blobstore.tasks import Tasks

OpenStore = Callable[[BlobstoreConfig, Path], Store]
"""Makes the store that a configuration means; the path is the folder for embedded data. It connects to nothing yet."""
KeyOf = Callable[[BlobstoreConfig, Path], Hashable]
"""What two configurations have to have in common to mean the same store."""


class _Backend(Protocol):
    """What a module below `backends/` offers."""

    open_store: OpenStore
    store_key: KeyOf


class Stores:
    """The open stores of a process."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._open = Shared[Store](lambda store: store.close())
        self._modules: dict[str, _Backend] = {}
        self._tasks = Tasks()

    @asynccontextmanager
    async def use(self, config: BlobstoreConfig) -> AsyncIterator[Store]:
        """The store of `config`, closed when nobody uses it any more. Unsupported where its library is not installed."""
        module = self._modules.get(config.kind)
        if module is None:
            module = self._modules[config.kind] = await asyncio.to_thread(_module, config.kind)
        key = (config.kind, module.store_key(config, self._data_dir))

        async def make() -> Store:
            # In a thread, because boto3 reads descriptions of its services: a tenth of a second and more.
            return await self._tasks.finish(asyncio.to_thread(module.open_store, config, self._data_dir), lambda store: store.close())

        async with self._open.use(key, make) as store:
            yield store


@asynccontextmanager
async def one_store(config: BlobstoreConfig, data_dir: Path) -> AsyncIterator[Store]:
    """The store of `config`, for a program that needs only that."""
    async with Stores(data_dir).use(config) as store:
        yield store


def _module(kind: str) -> _Backend:
    try:
        return importlib.import_module(f"providers.blobstore.backends.{kind}")
    except ModuleNotFoundError as error:
        raise Unsupported(f"the backend {kind} needs the package {error.name}: install provider-sdk[blobstore]") from error
