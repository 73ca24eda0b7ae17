"""The blobstore provider as one that knows version 0.1.0 alone: hosts ask for that where nobody serves 0.2.0."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from provider_sdk import Interface, Link, main
from provider_sdk.contracts.wasi_blobstore import EarlyWasiBlobstore
from providers.blobstore.config import BlobstoreConfig
from providers.blobstore.provider import BlobstoreProvider


class OlderBlobstore(BlobstoreProvider, serves=(EarlyWasiBlobstore,)):
    @asynccontextmanager
    async def link(self, link: Link[BlobstoreConfig]) -> AsyncIterator[tuple[Interface, ...]]:
        async with super().link(link) as implementations:
            yield tuple(one for one in implementations if isinstance(one, EarlyWasiBlobstore))


if __name__ == "__main__":
    main(OlderBlobstore)
