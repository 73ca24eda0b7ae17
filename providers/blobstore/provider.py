"""Blobstore: each link is a view of a store that its settings choose."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from provider_sdk import Interface, Link, LinkKey, Provider
from provider_sdk.contracts.blobstore import Blobstore, ChunkReceiver
from provider_sdk.contracts.wasi_blobstore import CONTRACT, EarlyWasiBlobstore, WasiBlobstore
from providers.blobstore.config import BlobstoreConfig
from providers.blobstore.downloads import Downloads
from providers.blobstore.flows import Way
from providers.blobstore.linked import LinkedStore, Streams
from providers.blobstore.stores import Stores
from providers.blobstore.uploads import Uploads
from providers.blobstore.wasmbus import ActorBlobstore
from providers.blobstore.wrpc import ComponentBlobstore, EarlyComponentBlobstore


class BlobstoreProvider(Provider[BlobstoreConfig], serves=(Blobstore, WasiBlobstore, EarlyWasiBlobstore)):
    """Objects in containers."""

    # Rust hosts wait without end where a call is not chunked (§4.8), and an object on its way to S3 may well take more than 2 s.
    call_timeout = 30.0
    _streams: Streams
    _contexts: Counter[LinkKey]

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        self._streams = Streams(Stores(self.data_dir), Uploads(), Downloads())
        self._contexts = Counter()
        self.metrics.gauge("blobstore_streams", "Objects that are on their way as streams.", self._on_their_way, "direction")
        yield

    def _on_their_way(self) -> dict[tuple[str, ...], float]:
        flows = self._streams.flows.count()
        up, down = len(self._streams.uploads) + flows[Way.UP], len(self._streams.downloads) + flows[Way.DOWN]
        return {("up",): float(up), ("down",): float(down)}

    @asynccontextmanager
    async def link(self, link: Link[BlobstoreConfig]) -> AsyncIterator[tuple[Interface, ...]]:
        config, key = link.config, link.key
        scope = config.scope(key.peer, component=key.contract == CONTRACT)
        if config.kind == "local":
            link.log.info("objects are in %s", self.data_dir / (config.root or "blobs") / scope)
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(self._streams.stores.use(config))
            await stack.enter_async_context(link.watched(store.trouble))
            await stack.enter_async_context(self._streams_of(key))
            receiver = ChunkReceiver.at(link.peer, timeout=config.chunk_timeout)
            linked = LinkedStore(key, config, store.view(scope), self._streams)
            stack.callback(linked.leave)
            yield ActorBlobstore(linked, receiver), ComponentBlobstore(linked), EarlyComponentBlobstore(linked)

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
                streams = self._streams
                await asyncio.gather(streams.uploads.leave(key), streams.downloads.leave(key), streams.flows.leave(key))
