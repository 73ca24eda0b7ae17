"""Keyvalue: each link is a namespace of a store that its settings choose."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from provider_sdk import Interface, Link, Provider, Role
from provider_sdk.contracts.keyvalue import KeyValue
from provider_sdk.contracts.wasi_keyvalue import Atomics, Batch, Store
from providers.keyvalue.backend import Backend
from providers.keyvalue.backend import Store as Place
from providers.keyvalue.config import KeyValueConfig
from providers.keyvalue.namespaces import Buckets
from providers.keyvalue.stores import Stores
from providers.keyvalue.wasmbus import ActorKeyValue
from providers.keyvalue.watching import Counters, Watching
from providers.keyvalue.wrpc import ComponentAtomics, ComponentBatch, ComponentStore

WATCHER = "watcher"


class KeyValueProvider(Provider[KeyValueConfig], serves=(KeyValue, Store, Atomics, Batch)):
    """Values, counters, lists and sets."""

    _stores: Stores
    _counters: Counters

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        self._stores = Stores(self.data_dir)
        self._counters = Counters.of(self.metrics)
        yield

    @asynccontextmanager
    async def link(self, link: Link[KeyValueConfig]) -> AsyncIterator[tuple[Interface, ...]]:
        config = link.config
        if not config.chosen:
            link.log.info("data goes to %s", self.data_dir / "keyvalue.db")
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(self._stores.use(config))
            buckets = Buckets(store, config, link.key.peer, link.log)
            if link.key.role is Role.TARGET:
                await stack.enter_async_context(link.watched(store.trouble))
                yield implementations(buckets, config)
            else:
                await stack.enter_async_context(self._telling(link, buckets.own, store))
                yield ()

    @asynccontextmanager
    async def _telling(self, link: Link[KeyValueConfig], backend: Backend, store: Place) -> AsyncIterator[None]:
        """Tell the component at the other end of changes, where it wants to hear of any."""
        watching = Watching(backend, link.config.interest, link, self._counters)

        async def trouble() -> str:
            return await store.trouble() or watching.trouble

        if not watching.interest or WATCHER not in link.interfaces:
            link.log.warning("nothing is watched: a link from this provider needs the interface %s and the setting watch", WATCHER)
            yield
            return
        async with watching.running(), link.watched(trouble):
            yield


def implementations(buckets: Buckets, config: KeyValueConfig) -> tuple[Interface, ...]:
    """What a link answers, for both generations of hosts."""
    components = (ComponentStore(buckets, config), ComponentAtomics(buckets, config), ComponentBatch(buckets, config))
    return (ActorKeyValue(buckets.own, config), *components)
