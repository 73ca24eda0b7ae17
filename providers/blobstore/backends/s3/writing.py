"""Writing an object: in one request where it fits in a part, else as an upload in parts, some of them on their way at once."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from provider_sdk import Code, ProviderError, Unavailable
from providers.blobstore.backend import Details, Writing, shown
from providers.blobstore.backends.s3.calls import Calls
from providers.blobstore.backends.s3.errors import NO_UPLOAD, code_of, status_of
from providers.blobstore.backends.s3.ledger import Entry, Ledger
from providers.blobstore.backends.s3.objects import headers

MOST_PARTS = 10_000
LARGEST_PART = 5 << 30
MISSING = 404
GROWING = 900
"""Parts after which they get twice as large: so 5 TiB fit in 10,000 parts even where the first are of 5 MiB."""
AT_ONCE = 4
"""Parts of the first size in memory, the one that is being filled included."""


@dataclass(frozen=True)
class Target:
    """Where an object goes. `check`: NotFound where its container has gone; `meaning`: what an error is to the caller."""

    bucket: str
    key: str
    name: str
    details: Details
    check: Callable[[], Awaitable[None]]
    meaning: Callable[[ProviderError], Awaitable[ProviderError]]


def grown(part_size: int, sent: int) -> int:
    """The size of the next part, behind so many of which the last had `part_size`."""
    return part_size if sent % GROWING else min(2 * part_size, LARGEST_PART)


class S3Writing(Writing):
    """Bytes gather until they are a part, which goes off by itself; whoever writes waits where too many are on their way."""

    def __init__(self, calls: Calls, ledger: Ledger, to: Target, part_size: int, size: int | None) -> None:
        self._calls = calls
        self._ledger = ledger
        self._to = to
        self._part_size = max(part_size, -(-(size or 0) // MOST_PARTS))
        self._most = AT_ONCE * part_size
        self._growing = size is None
        self._buffer = bytearray()
        self._filled = 0
        self._spare: list[bytearray] = []
        self._sent: list[asyncio.Task[str]] = []
        self._on_way = 0
        self._room = asyncio.Event()
        self._upload: asyncio.Task[str] | None = None
        self._entry: Entry | None = None
        self._failure: ProviderError | None = None
        self._over = False
        self._aborting: asyncio.Task[None] | None = None

    async def write(self, data: bytes) -> None:
        self._check()
        while self._on_way and self._on_way + self._filled + len(data) > self._most:
            self._room.clear()
            await self._room.wait()
            self._check()
        # From here on nothing waits: a caller that is cancelled has had all of it taken, or nothing.
        rest = memoryview(data)
        while rest:
            room = self._part_size - self._filled
            if not room:
                self._send()
                continue
            self._fill(rest[:room])
            rest = rest[room:]

    def _fill(self, data: memoryview) -> None:
        end = self._filled + len(data)
        if end > len(self._buffer):
            self._buffer += data  # the first part, and most objects have no other
        else:
            with memoryview(self._buffer) as buffer:
                buffer[self._filled : end] = data
        self._filled = end

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._over or self._aborting is not None:
            raise Unavailable(f"the upload of {shown(self._to.name)} has ended")

    def _send(self) -> None:
        part = self._buffer
        del part[self._filled :]
        self._on_way += len(part)
        self._sent.append(self._calls.task(self._part(len(self._sent) + 1, part)))
        if self._growing and (larger := grown(self._part_size, len(self._sent))) != self._part_size:
            self._part_size = larger
            self._spare.clear()
        self._buffer, self._filled = self._spare.pop() if self._spare else bytearray(self._part_size), 0

    async def _part(self, number: int, part: bytearray) -> str:
        try:
            upload_id = await self._begun()
            self._check()
            answer = await self._calls.ask("upload_part", **self._at, UploadId=upload_id, PartNumber=number, Body=part)
            if len(part) == self._part_size:
                self._spare.append(part)  # memory that is given back and asked for again gets scattered, and more
            return str(answer["ETag"])
        except ProviderError as error:
            self._failure = self._failure or await self._to.meaning(error)
            raise
        finally:
            self._on_way -= len(part)
            self._room.set()

    @property
    def _at(self) -> dict[str, Any]:
        return {"Bucket": self._to.bucket, "Key": self._to.key}

    async def _begun(self) -> str:
        """The id of the upload, which the first part begins."""
        if self._upload is None:
            self._upload = self._calls.task(self._calls.run(self._begin))
        return await asyncio.shield(self._upload)

    def _begin(self) -> str:
        entry = self._ledger.note(self._ledger.upload(self._to.bucket, self._to.key))
        try:
            upload_id = str(self._calls.request("create_multipart_upload", **self._at, **headers(self._to.details))["UploadId"])
        except ProviderError as error:
            if error.code is Code.UNAVAILABLE:
                entry.leave()  # it may have begun all the same: the next start looks
            else:
                entry.remove()
            raise
        entry.begun(self._ledger.upload(self._to.bucket, self._to.key, upload_id))
        self._entry = entry
        return upload_id

    async def commit(self) -> None:
        self._check()
        try:
            await self._to.check()
            if self._sent:
                await self._all_parts()
            else:
                await self._calls.ask("put_object", **self._at, Body=self._buffer, **headers(self._to.details))
        except ProviderError as error:
            found = await self._to.meaning(error)
            raise found from found.__cause__
        self._over = True
        self._end()

    async def _all_parts(self) -> None:
        if self._filled:
            self._send()
        tags = await asyncio.gather(*self._sent)
        await self._to.check()
        await self._complete(await self._begun(), tags)

    async def _complete(self, upload_id: str, tags: list[str]) -> None:
        parts = {"Parts": [{"ETag": tag, "PartNumber": number} for number, tag in enumerate(tags, 1)]}
        try:
            await self._calls.ask("complete_multipart_upload", **self._at, UploadId=upload_id, MultipartUpload=parts)
        except ProviderError as error:
            # Where the first answer was lost, the library asked again.
            if code_of(error) != NO_UPLOAD or not await self._is_there(tags):
                raise

    async def _is_there(self, tags: list[str]) -> bool:
        """Whether the object is the one of these parts."""
        try:
            whole = hashlib.md5(b"".join(bytes.fromhex(tag.strip('"')) for tag in tags), usedforsecurity=False).hexdigest()
            answer = await self._calls.ask("head_object", **self._at)
        except (ProviderError, ValueError):
            return False
        return str(answer.get("ETag", "")).strip('"') == f"{whole}-{len(tags)}"

    async def abort(self) -> None:
        if self._over or (self._aborting is None and self._upload is None and not self._sent):
            self._over = True
            self._end()
            return
        if self._aborting is None:
            self._aborting = self._calls.task(self._abort())
        await asyncio.shield(self._aborting)

    async def _abort(self) -> None:
        # A part that arrives after the upload was aborted would stay.
        await asyncio.gather(*self._sent, return_exceptions=True)
        try:
            upload_id = await self._begun()
        except ProviderError:
            return  # it never began
        try:
            await self._calls.ask("abort_multipart_upload", **self._at, UploadId=upload_id)
        except ProviderError as error:
            if status_of(error) != MISSING:
                if self._entry is not None:
                    self._entry.leave()
                raise
        self._over = True
        self._end()

    def _end(self) -> None:
        self._buffer, self._filled = bytearray(), 0
        self._spare.clear()
        self._sent.clear()
        if self._entry is not None:
            self._entry.remove()
