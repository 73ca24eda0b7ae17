"""What a link has of its store, whichever generation of hosts asks: names as its settings mean them, and the store held for streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from provider_sdk import InvalidArgument, LinkKey, NotFound, ProviderError, Unavailable
from providers.blobstore.backend import Backend, checked_container, checked_object
from providers.blobstore.config import ALIAS, BlobstoreConfig
from providers.blobstore.downloads import Downloads
from providers.blobstore.flows import Flows
from providers.blobstore.stores import Stores
from providers.blobstore.tasks import Tasks
from providers.blobstore.uploads import Uploads


@dataclass
class Streams:
    """What the links of a process share: the stores, and what is on its way."""

    stores: Stores
    uploads: Uploads
    downloads: Downloads
    flows: Flows = field(default_factory=Flows)
    tasks: Tasks = field(default_factory=Tasks)


class LinkedStore:
    """One context of a link."""

    def __init__(self, key: LinkKey, config: BlobstoreConfig, backend: Backend, streams: Streams) -> None:
        self.key = key
        self.config = config
        self.backend = backend
        self.streams = streams
        self._left = False

    def leave(self) -> None:
        """The context is being left: what is still being answered begins no stream any more, for nobody would end it."""
        self._left = True

    def container(self, name: str) -> str:
        """The container that a name means; InvalidArgument."""
        return checked_container(unaliased(name, self.config), self.backend.capabilities)

    def object(self, container: str, name: str) -> tuple[str, str]:
        """The object that two names mean; InvalidArgument."""
        return self.container(container), checked_object(name, self.backend.capabilities)

    async def container_exists(self, name: str) -> bool:
        """Whether it is there."""
        try:
            await self.backend.container(self.container(name))
        except NotFound:
            return False
        return True

    async def remove(self, container: str, names: list[str]) -> dict[str, ProviderError]:
        """Remove objects that are there; those that could not be, and why. NotFound for the container."""
        meant = self.container(container)
        good: list[str] = []
        failures: dict[str, ProviderError] = {}
        for name in names:
            try:
                good.append(checked_object(name, self.backend.capabilities))
            except InvalidArgument as error:
                failures[name] = error
        return failures | await self.backend.remove(meant, good)

    @asynccontextmanager
    async def holding(self) -> AsyncIterator[AsyncExitStack]:
        """What keeps the store open for a stream, however soon the link is changed."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.streams.stores.use(self.config))
            yield stack

    async def still_linked(self, held: AsyncExitStack) -> None:
        """Unavailable, and nothing is held any more, where the context is being left."""
        if self._left:
            await self.streams.tasks.finish(held.aclose())
            raise Unavailable("the link was left before the stream began")


def unaliased(name: str, config: BlobstoreConfig) -> str:
    """The container that a name means: where there are aliases, or could be, `alias_` before it is no part of it (§9.4 of 0.x, §5.3)."""
    aliases: Mapping[str, str] = config.aliases
    if not aliases and not (config.kind == "s3" and config.bucket is None):
        return name
    bare = name.removeprefix(ALIAS)
    return aliases.get(bare, bare)
