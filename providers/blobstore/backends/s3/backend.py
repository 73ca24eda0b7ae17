"""What one link sees of S3."""

from __future__ import annotations

from collections.abc import Sequence

from provider_sdk import Code, InvalidArgument, ProviderError
from providers.blobstore.backend import (
    LONGEST_NAME,
    Backend,
    Capability,
    ContainerInfo,
    Details,
    First,
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
from providers.blobstore.backends.s3.objects import BATCH, answered, headers, listed, remove
from providers.blobstore.backends.s3.reading import S3Reading, open_reading
from providers.blobstore.backends.s3.writing import AT_ONCE, S3Writing, Target

MISSING = 404


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
        try:
            answer = await self._calls.head("head_object", Bucket=bucket, Key=key)
        except ProviderError as error:
            raise await self._meaning(error, container, name) from error.__cause__
        return answered(answer, name, answer["ContentLength"])

    async def open(self, container: str, name: str, start: int, end: int | None, first: First) -> Reading:
        bucket, key = self._key(container, name)
        try:
            return await self._calls.run(lambda: open_reading(self._calls, bucket, key, name, start, end, first), S3Reading.let_go)
        except ProviderError as error:
            raise await self._meaning(error, container, name) from error.__cause__

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
        try:
            await self._calls.ask("put_object", Bucket=bucket, Key=key, Body=data, **more)
        except ProviderError as error:
            raise await self._meaning(error, container, name) from error.__cause__

    async def remove(self, container: str, names: Sequence[str]) -> dict[str, ProviderError]:
        await self._containers.check(container)
        bucket, base = self._containers.place(container)
        try:
            failures = await remove(self._calls, bucket, [base + name for name in names])
        except ProviderError as error:
            raise self._containers.meaning(error, container) from error.__cause__
        return {key[len(base) :]: error for key, error in failures.items()}

    async def objects(self, container: str, *, prefix: str = "", start: str = "", after: str = "", most: int = 1000) -> Page:
        found: list[ObjectInfo] = []
        if start > after:
            found, after = await self._at(container, start, prefix), start
        more = True
        while more and len(found) < most:
            page, after, more = await self._page(container, prefix, after, min(BATCH, most - len(found)))
            found += page
        if not found:
            await self._containers.check(container)
        return Page(found[:most], more or len(found) > most)

    async def _at(self, container: str, name: str, prefix: str) -> list[ObjectInfo]:
        """The object of just that name, which a listing cannot begin with."""
        try:
            checked_object(name, self.capabilities)
            info = await self.info(container, name) if name.startswith(prefix) else None
        except ProviderError as error:
            if error.code not in (Code.NOT_FOUND, Code.INVALID_ARGUMENT):
                raise
            return []
        return [] if info is None else [ObjectInfo(info.name, info.size, info.modified)]

    async def _page(self, container: str, prefix: str, after: str, most: int) -> tuple[list[ObjectInfo], str, bool]:
        """Objects behind `after`, where the next page goes on, and whether there is one."""
        bucket, base = self._containers.place(container)
        if not after.startswith(prefix):
            # Some servers find nothing where the two do not fit.
            if after > prefix:
                return [], after, False
            after = ""
        behind = {"StartAfter": base + after} if base + after else {}
        try:
            answer = await self._calls.ask("list_objects_v2", Bucket=bucket, Prefix=base + prefix, MaxKeys=most, **behind)
        except ProviderError as error:
            raise self._containers.meaning(error, container) from error.__cause__
        found = [listed(entry, base) for entry in answer.get("Contents", ()) if entry["Key"] != base]
        last = found[-1].name if found else after
        if Capability.ANY_NAME not in self.capabilities:
            # What some tools put there to show a folder cannot be had under that name.
            found = [info for info in found if not info.name.endswith("/")]
        return found, last, bool(answer.get("IsTruncated")) and last != after

    def _key(self, container: str, name: str) -> tuple[str, str]:
        bucket, base = self._containers.place(container)
        key = base + name
        if base and len(key.encode()) > LONGEST_NAME:
            own = len(base.encode())
            raise InvalidArgument(
                f"the name of the object {shown(name)} has {len(key.encode()) - own} bytes, more than the {LONGEST_NAME - own} that S3 has left "
                "behind the prefix and the name of the container"
            )
        return bucket, key

    async def _meaning(self, error: ProviderError, container: str, name: str) -> ProviderError:
        """What an error is to whoever asked for an object."""
        found = self._containers.meaning(error, container)
        if found is not error or status_of(error) != MISSING:
            return found
        try:
            await self._containers.check(container)
        except ProviderError as other:
            return other
        return error if code_of(error) == NO_UPLOAD else no_object(container, name)
