"""What one link sees of S3."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from provider_sdk import Code, InvalidArgument, ProviderError
from providers.blobstore.backend import (
    LONGEST_NAME,
    Backend,
    Capability,
    ContainerInfo,
    Details,
    First,
    Named,
    ObjectInfo,
    Page,
    Reading,
    Writing,
    checked_object,
    no_object,
    shown,
)
from providers.blobstore.backends.s3.calls import Calls
from providers.blobstore.backends.s3.containers import Containers
from providers.blobstore.backends.s3.errors import NO_UPLOAD, code_of, status_of
from providers.blobstore.backends.s3.ledger import Ledger
from providers.blobstore.backends.s3.listing import Asked, parents, some
from providers.blobstore.backends.s3.objects import answered, headers, remove
from providers.blobstore.backends.s3.reading import S3Reading, open_reading
from providers.blobstore.backends.s3.writing import AT_ONCE, S3Writing, Target

MISSING = 404
LARGEST_COPY = 5 << 30
"""Bytes of an object that S3 itself copies in one request."""


class S3Backend(Backend):
    """One view."""

    def __init__(self, calls: Calls, ledger: Ledger, containers: Containers, capabilities: frozenset[Capability], part_size: int) -> None:
        self._calls = calls
        self._ledger = ledger
        self._containers = containers
        self._part_size = part_size
        self.capabilities = capabilities

    async def containers(self) -> list[ContainerInfo]:
        return await self._containers.all()

    async def container(self, name: str) -> ContainerInfo:
        return await self._containers.look(name)

    async def create_container(self, name: str) -> None:
        await self._containers.create(name)

    async def remove_container(self, name: str) -> None:
        await self._containers.remove(name)

    async def info(self, container: str, name: str) -> ObjectInfo:
        bucket, key = self._key(container, name)
        async with self._meant(container, name):
            answer = await self._calls.head("head_object", Bucket=bucket, Key=key)
        return answered(answer, name, answer["ContentLength"])

    async def open(self, container: str, name: str, start: int, end: int | None, first: First) -> Reading:
        bucket, key = self._key(container, name)
        async with self._meant(container, name):
            return await self._calls.run(lambda: open_reading(self._calls, bucket, key, name, start, end, first), S3Reading.let_go)

    async def create(self, container: str, name: str, details: Details, size: int | None = None) -> Writing:
        headers(details)
        bucket, key = self._key(container, name)
        await self._containers.check(container)
        to = Target(
            bucket,
            key,
            name,
            details,
            lambda: self._containers.check_for_put(container),
            lambda error: self._meaning(error, container, name),
        )
        return S3Writing(self._calls, self._ledger, to, self._part_size, size)

    async def put(self, container: str, name: str, data: bytes, details: Details) -> None:
        if len(data) > AT_ONCE * self._part_size:
            await super().put(container, name, data, details)
            return
        bucket, key = self._key(container, name)
        more = headers(details)
        await self._containers.check_for_put(container)
        async with self._meant(container, name):
            await self._calls.ask("put_object", Bucket=bucket, Key=key, Body=data, **more)

    async def copy(self, source: Named, target: Named) -> None:
        info = await self.info(*source)
        if info.size > LARGEST_COPY:
            await super().copy(source, target)
            return
        (bucket, key), (other, name) = self._key(*source), self._key(*target)
        await self._containers.check_for_put(target[0])
        async with self._meant(target[0]):
            await self._calls.ask("copy_object", Bucket=other, Key=name, CopySource={"Bucket": bucket, "Key": key})

    async def remove(self, container: str, names: Sequence[str]) -> dict[str, ProviderError]:
        await self._containers.check(container)
        bucket, base = self._containers.place(container)
        async with self._meant(container):
            failures = await remove(self._calls, bucket, [base + name for name in names])
        return {key[len(base) :]: error for key, error in failures.items()}

    async def objects(self, container: str, *, prefix: str = "", start: str = "", after: str = "", most: int = 1000) -> Page:
        bucket, base = self._containers.place(container)
        asked = Asked(base, prefix, max(start, after), Capability.ANY_NAME in self.capabilities)
        # A listing begins behind a name: the object of just that name is asked for.
        exact = [start] if start > after and start.startswith(prefix) else []
        above = [] if Capability.SIDE_BY_SIDE in self.capabilities else parents(asked.behind)
        there = await asyncio.gather(*(self._there(container, name) for name in (*exact, *above)))
        # Behind what would be below an object, minio does not find all.
        begin = next((info.name for info in there[len(exact) :] if info is not None), asked.behind)

        async def ask(question: dict[str, Any]) -> dict[str, Any]:
            async with self._meant(container):
                return await self._calls.ask("list_objects_v2", Bucket=bucket, **question)

        found = [ObjectInfo(info.name, info.size, info.modified) for info in there[: len(exact)] if info is not None]
        behind, more = await some(asked, begin, max(1, most - len(found)), ask)
        found += behind
        if not found:
            await self._containers.check(container)
        return Page(found[:most], more or len(found) > most)

    async def _there(self, container: str, name: str) -> ObjectInfo | None:
        """The object of just that name, which may be one that there cannot be."""
        try:
            return await self.info(container, checked_object(name, self.capabilities))
        except ProviderError as error:
            if error.code not in (Code.NOT_FOUND, Code.INVALID_ARGUMENT):
                raise
            return None

    def _key(self, container: str, name: str) -> tuple[str, str]:
        bucket, base = self._containers.place(container)
        key = base + name
        left = LONGEST_NAME - len(base.encode())
        if len(name.encode()) > left:
            raise InvalidArgument(
                f"the name of the object {shown(name)} has {len(name.encode())} bytes, more than the {left} that S3 has left behind "
                "prefix and container"
            )
        return bucket, key

    @asynccontextmanager
    async def _meant(self, container: str, name: str = "") -> AsyncIterator[None]:
        try:
            yield
        except ProviderError as error:
            found = await self._meaning(error, container, name)
            raise found from found.__cause__

    async def _meaning(self, error: ProviderError, container: str, name: str) -> ProviderError:
        """What an error is to whoever asked for a container, or for an object in it."""
        found = self._containers.meaning(error, container)
        if found is not error or status_of(error) != MISSING:
            return found
        try:
            await self._containers.check(container)
        except ProviderError as other:
            return other
        return no_object(container, name) if name and code_of(error) != NO_UPLOAD else error
