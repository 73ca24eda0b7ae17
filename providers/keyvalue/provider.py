"""Keyvalue: each link is a namespace of a store that its settings choose."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from provider_sdk import Link, Provider
from provider_sdk.contracts.keyvalue import KeyValue
from providers.keyvalue.config import KeyValueConfig
from providers.keyvalue.stores import Stores
from providers.keyvalue.wasmbus import ActorKeyValue


class KeyValueProvider(Provider[KeyValueConfig], serves=(KeyValue,)):
    """Values, counters, lists and sets."""

    _stores: Stores

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        self._stores = Stores(self.data_dir)
        yield

    @asynccontextmanager
    async def link(self, link: Link[KeyValueConfig]) -> AsyncIterator[KeyValue]:
        config = link.config
        if not config.chosen:
            file = config.path or self.data_dir / "keyvalue.db"
            link.log.warning(
                "no store is named: data goes to %s; for Redis as the official provider has it, set url=redis://127.0.0.1:6379", file
            )
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(self._stores.use(config))
            await stack.enter_async_context(link.watched(store.trouble))
            yield ActorKeyValue(store.namespace(namespace_of(config, link.key.peer)), config)


def namespace_of(config: KeyValueConfig, actor: str) -> str:
    """The name of the namespace in the store: the link's, and below it the actor's where each has its own.

    A slash separates them, which is escaped in the link's, so that no two of them meet.
    """
    name = config.namespace.replace("%", "%25").replace("/", "%2F")
    return f"{name}/{actor}" if config.per_actor else name
