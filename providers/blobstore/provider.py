"""Blobstore: each link is a view of a store that its settings choose."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from provider_sdk import Link, LinkKey, Provider
from provider_sdk.contracts.blobstore import Blobstore, ChunkReceiver
from providers.blobstore.config import BlobstoreConfig
from providers.blobstore.downloads import Downloads
from providers.blobstore.stores import Stores
from providers.blobstore.uploads import Uploads
from providers.blobstore.wasmbus import ActorBlobstore, Streams


class BlobstoreProvider(Provider[BlobstoreConfig], serves=(Blobstore,)):
    """Objects in containers."""

    # Rust hosts wait without end where a call is not chunked (§4.8), and an object on its way to S3 may well take more than 2 s.
    call_timeout = 30.0
    _streams: Streams
    _contexts: Counter[LinkKey]

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        self._streams = Streams(Stores(self.data_dir), Uploads(), Downloads())
        self._contexts = Counter()
        uploads, downloads = self._streams.uploads, self._streams.downloads
        self.metrics.gauge(
            "blobstore_streams",
            "Objects that are on their way in chunks.",
            lambda: {("up",): float(len(uploads)), ("down",): float(len(downloads))},
            "direction",
        )
        yield

    @asynccontextmanager
    async def link(self, link: Link[BlobstoreConfig]) -> AsyncIterator[Blobstore]:
        config, key = link.config, link.key
        if not config.chosen:
            link.log.warning("no store is named: objects go to %s; set root to another folder, or url", self.data_dir / "blobs")
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(self._streams.stores.use(config))
            await stack.enter_async_context(link.watched(store.trouble))
            await stack.enter_async_context(self._streams_of(key))
            receiver = ChunkReceiver.at(link.peer, timeout=config.chunk_timeout)
            blobstore = ActorBlobstore(key, config, store.view(config.scope(key.peer)), receiver, self._streams)
            stack.callback(blobstore.leave)
            yield blobstore

    @asynccontextmanager
    async def _streams_of(self, key: LinkKey) -> AsyncIterator[None]:
        """The streams of a link end with its last context: one that takes the place of another goes on with them."""
        self._contexts[key] += 1
        try:
            yield
        finally:
            self._contexts[key] -= 1
            if not self._contexts[key]:
                del self._contexts[key]
                await asyncio.gather(self._streams.uploads.leave(key), self._streams.downloads.leave(key))
