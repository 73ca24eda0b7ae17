"""What a container is: a bucket, as for the official provider, or a folder in one bucket."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from typing import Any
from urllib.parse import unquote

from provider_sdk import ProviderError, Unavailable
from providers.blobstore.backend import ContainerInfo, no_container, shown
from providers.blobstore.backends.s3.calls import Calls
from providers.blobstore.backends.s3.errors import NO_BUCKET, code_of, status_of
from providers.blobstore.backends.s3.objects import nanoseconds, remove_all

KNOWN = 2.0
"""Seconds for which a container is taken to be there still: S3 cannot put an object and look at that in one step, so that a container
which somebody else removes at the moment of a put can come back anyway; a look before each put would double its time for no certainty.
"""
MISSING = 404
US_EAST = ("", "us-east-1", "aws-global")
TRIES = 3
IN_THE_WAY = ("BucketNotEmpty", "ClientDisconnected")
"""What a server says while others write to a bucket, and minio, wrongly, while others remove it too."""
LONGEST, PIECE = 240, 60
"""Bytes between slashes that servers on plain files take, with what they add to it; characters that are never more."""
GOES_ON = "%/"
CONTROL = {code: f"%{code:02X}" for code in (*range(32), 127)}


class Containers(ABC):
    """The containers of one view. `known` says until when a container is taken to be there; all views of a store share it."""

    def __init__(self, calls: Calls, known: dict[str, float]) -> None:
        self._calls = calls
        self._known = known

    @abstractmethod
    def place(self, container: str) -> tuple[str, str]:
        """Its bucket, and what the keys of its objects begin with there."""

    @abstractmethod
    async def all(self) -> list[ContainerInfo]:
        """In the order of their names' bytes."""

    @abstractmethod
    async def look(self, container: str) -> ContainerInfo:
        """One; NotFound."""

    @abstractmethod
    async def create(self, container: str) -> None:
        """Make it, if it is not there."""

    @abstractmethod
    async def remove(self, container: str) -> None:
        """Remove it with all that is in it; nothing where it is not there."""

    async def check(self, container: str) -> None:
        """NotFound where it is not there, as far as that is known."""
        place = "/".join(self.place(container))
        if self._known.get(place, 0.0) <= time.monotonic():
            await self.look(container)

    async def check_for_put(self, container: str) -> None:
        """As check, where the server itself would not refuse an object."""
        await self.check(container)

    @abstractmethod
    def meaning(self, error: ProviderError, container: str) -> ProviderError:
        """What it means that the server has no such bucket; any other error as it is."""

    def found(self, container: str) -> None:
        """It is there: somebody has just seen it."""
        if len(self._known) > 1000:
            self._known.clear()
        self._known["/".join(self.place(container))] = time.monotonic() + KNOWN

    def gone(self, container: str) -> None:
        """It is not there, or soon will not be."""
        self._known.pop("/".join(self.place(container)), None)


class Buckets(Containers):
    """Each container is a bucket; `region` is where new ones are made, by default that of the client."""

    def __init__(self, calls: Calls, known: dict[str, float], region: str | None = None) -> None:
        super().__init__(calls, known)
        self._region = region

    def place(self, container: str) -> tuple[str, str]:
        return container, ""

    async def all(self) -> list[ContainerInfo]:
        found: list[ContainerInfo] = []
        more: dict[str, str] = {}
        while True:
            answer = await self._calls.ask("list_buckets", **more)
            found += [ContainerInfo(item["Name"], nanoseconds(item.get("CreationDate"))) for item in answer.get("Buckets", ())]
            if not answer.get("ContinuationToken"):
                return sorted(found, key=lambda info: info.name.encode())
            more = {"ContinuationToken": answer["ContinuationToken"]}

    async def look(self, container: str) -> ContainerInfo:
        seen, created = await asyncio.gather(self._head(container), self._created(container), return_exceptions=True)
        if isinstance(seen, BaseException):
            raise seen
        self.found(container)
        return ContainerInfo(container, None if isinstance(created, BaseException) else created)

    async def _head(self, container: str) -> None:
        try:
            await self._calls.head("head_bucket", Bucket=container)
        except ProviderError as error:
            self.gone(container)
            if status_of(error) == MISSING:
                raise no_container(container) from None
            raise

    async def _created(self, container: str) -> int | None:
        answer = await self._calls.ask("list_buckets", Prefix=container)
        return next((nanoseconds(item.get("CreationDate")) for item in answer.get("Buckets", ()) if item["Name"] == container), None)

    async def check_for_put(self, container: str) -> None:
        pass

    def meaning(self, error: ProviderError, container: str) -> ProviderError:
        if code_of(error) != NO_BUCKET:
            return error
        self.gone(container)
        return no_container(container)

    async def create(self, container: str) -> None:
        region = self._region or self._calls.client.meta.region_name or ""
        where: Any = {} if region in US_EAST else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        try:
            await self._calls.ask("create_bucket", Bucket=container, **where)
        except ProviderError as error:
            if code_of(error) == "BucketAlreadyExists":
                await self._ours(container, error)
            elif code_of(error) != "BucketAlreadyOwnedByYou":
                raise
        self.found(container)

    async def _ours(self, container: str, error: ProviderError) -> None:
        """Nothing where the bucket is among our own: some servers have one answer for those and for other people's."""
        if not any(info.name == container for info in await self.all()):
            raise error

    async def remove(self, container: str) -> None:
        self.gone(container)
        try:
            for left in reversed(range(TRIES)):
                await remove_all(self._calls, container, "")
                try:
                    await self._calls.ask("delete_bucket", Bucket=container)
                    return
                except ProviderError as error:
                    if code_of(error) not in IN_THE_WAY or not left:
                        raise
        except ProviderError as error:
            if code_of(error) != NO_BUCKET:
                raise
        finally:
            self.gone(container)


class Folders(Containers):
    """Each container is what begins with its name in one bucket; an empty object with nothing behind the slash keeps it there."""

    def __init__(self, calls: Calls, known: dict[str, float], bucket: str, base: str) -> None:
        super().__init__(calls, known)
        self._bucket = bucket
        self._base = base

    def place(self, container: str) -> tuple[str, str]:
        return self._bucket, f"{self._base}{escaped(container)}/"

    async def all(self) -> list[ContainerInfo]:
        found = [unescaped(folder[len(self._base) : -1]) for folder in await self._folders(self._base)]
        return [ContainerInfo(name) for name in sorted(found, key=str.encode)]

    async def _folders(self, base: str) -> list[str]:
        found: list[str] = []
        more: dict[str, str] = {}
        while True:
            answer = await self._ask("list_objects_v2", Prefix=base, Delimiter="/", **more)
            for folder in (item["Prefix"] for item in answer.get("CommonPrefixes", ())):
                found += await self._folders(folder) if folder.endswith(GOES_ON) else [folder] if folder != f"{base}/" else []
            if not answer.get("IsTruncated"):
                return found
            more = {"ContinuationToken": answer["NextContinuationToken"]}

    async def look(self, container: str) -> ContainerInfo:
        _, marker = self.place(container)
        try:
            answer = await self._head(marker)
        except ProviderError as error:
            if status_of(error) != MISSING:
                raise
            answer = {}
            if not (await self._ask("list_objects_v2", Prefix=marker, MaxKeys=1)).get("Contents"):
                self.gone(container)
                raise no_container(container) from None
        self.found(container)
        return ContainerInfo(container, nanoseconds(answer.get("LastModified")))

    async def create(self, container: str) -> None:
        _, marker = self.place(container)
        try:
            await self._head(marker)
        except ProviderError as error:
            if status_of(error) != MISSING:
                raise
            await self._ask("put_object", Key=marker, Body=b"")
        self.found(container)

    async def probe(self) -> None:
        """An error where the bucket cannot be used."""
        await self._ask("list_objects_v2", Prefix=self._base, MaxKeys=1)

    async def remove(self, container: str) -> None:
        self.gone(container)
        try:
            await remove_all(self._calls, *self.place(container))
        except ProviderError as error:
            raise self.meaning(error, "") from error.__cause__
        finally:
            self.gone(container)

    async def _head(self, key: str) -> dict[str, Any]:
        return await self._calls.head("head_object", Bucket=self._bucket, Key=key)

    async def _ask(self, operation: str, **parameters: Any) -> dict[str, Any]:
        try:
            return await self._calls.ask(operation, Bucket=self._bucket, **parameters)
        except ProviderError as error:
            raise self.meaning(error, "") from error.__cause__

    def meaning(self, error: ProviderError, container: str) -> ProviderError:
        if code_of(error) != NO_BUCKET:
            return error
        found = Unavailable(f"S3 at {self._calls.where} has no bucket {shown(self._bucket)}: make it, or correct bucket")
        self._calls.note(found.message)
        return found


def escaped(container: str) -> str:
    """The name as a part between slashes which no server takes for anything else, or as several where it is too long for one."""
    text = container.replace("%", "%25").replace("/", "%2F").translate(CONTROL)
    if text in (".", ".."):
        return text.replace(".", "%2E")
    return text if len(text.encode()) <= LONGEST else GOES_ON.join(text[at : at + PIECE] for at in range(0, len(text), PIECE))


def unescaped(part: str) -> str:
    """The name of a container again."""
    return unquote(part.replace(GOES_ON, ""))
