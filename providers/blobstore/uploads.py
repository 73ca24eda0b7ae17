"""Uploads that are on their way: chunks come in turn, and what is not gone on with is given up.

They outlive the link's context in which they began, so that a link whose store is changed finishes on the old one what began there.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

from provider_sdk import InvalidArgument, LinkKey, NotFound, OutOfRange, PreconditionFailed, ProviderError, ResourceExhausted
from providers.blobstore.backend import Writing, shown

log = logging.getLogger("provider")

OVERTAKEN = 0.5
"""Seconds that a chunk waits for one that it has overtaken on the way."""


@dataclass(eq=False)
class Upload:
    """One object on its way. `held` is what has to stay open for it, the store."""

    key: LinkKey
    container: str
    name: str
    writing: Writing
    held: AsyncExitStack
    id: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    offset: int = 0
    ended: bool = False
    turn: asyncio.Condition = field(default_factory=asyncio.Condition)
    used: float = 0.0


class Uploads:
    """The uploads of all links of a process."""

    def __init__(self) -> None:
        self._by_id: dict[str, Upload] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._by_id)

    def room(self, key: LinkKey, most: int) -> None:
        """ResourceExhausted where `most` uploads of the link are on their way."""
        if sum(other.key == key for other in self._by_id.values()) >= most:
            raise ResourceExhausted(f"{most} uploads of this link are on their way, the most that max_streams allows")

    async def begin(self, upload: Upload, data: bytes, timeout: float) -> str:
        """Take the first chunk; the id for those that follow. An upload that has none for `timeout` seconds is given up."""
        self._by_id[upload.id] = upload
        self._keep(asyncio.create_task(self._watch(upload, timeout), name=f"upload {upload.id}"))
        await self._through(self._append(upload, 0, data, last=False))
        return upload.id

    def find(self, key: LinkKey, stream: str | None, container: str, name: str) -> Upload:
        """The upload of a link by its id, or without one that of the object; NotFound."""
        if stream is None:
            found = [item for item in self._by_id.values() if (item.key, item.container, item.name) == (key, container, name)]
            if len(found) > 1:
                raise PreconditionFailed(f"{len(found)} uploads of {shown(name)} are on their way: say the streamId of one")
        else:
            found = [item for item in (self._by_id.get(stream),) if item is not None and item.key == key]
        if not found:
            raise NotFound(
                f"no upload of {shown(name)} is on its way under this streamId: it has ended, or another instance of the provider has it"
            )
        if (found[0].container, found[0].name) != (container, name):
            raise InvalidArgument(f"the streamId is that of an upload of {shown(found[0].name)} in {shown(found[0].container)}")
        return found[0]

    async def go_on(self, upload: Upload, offset: int, data: bytes, *, last: bool) -> None:
        """Append a chunk; after the last the object is there. OutOfRange for another offset than the next.

        A caller that gives up leaves a chunk whole or untaken: it is written by a task of its own.
        """
        await self._through(self._append(upload, offset, data, last=last))

    async def cancel(self, upload: Upload) -> None:
        """End an upload without an object."""
        async with upload.turn:
            await self._end(upload)

    async def leave(self, key: LinkKey) -> None:
        """End all uploads of a link."""
        await asyncio.gather(*(self.cancel(upload) for upload in [*self._by_id.values()] if upload.key == key))

    async def _append(self, upload: Upload, offset: int, data: bytes, *, last: bool) -> None:
        async with upload.turn:
            if offset > upload.offset and not upload.ended:
                with suppress(TimeoutError):
                    async with asyncio.timeout(OVERTAKEN):
                        await upload.turn.wait_for(lambda: upload.ended or offset <= upload.offset)
            if upload.ended:
                raise NotFound(f"the upload of {shown(upload.name)} has ended")
            if offset != upload.offset:
                raise OutOfRange(f"the next chunk of {shown(upload.name)} begins at {upload.offset}, and this one at {offset}")
            upload.used = asyncio.get_running_loop().time()
            try:
                if data:
                    await upload.writing.write(data)
                if last:
                    await upload.writing.commit()
            except BaseException:
                await self._end(upload)
                raise
            upload.offset += len(data)
            upload.used = asyncio.get_running_loop().time()
            if last:
                await self._end(upload)
            upload.turn.notify_all()

    async def _through(self, work: Coroutine[Any, Any, None]) -> None:
        await asyncio.shield(self._keep(asyncio.create_task(work)))

    def _keep(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for it is told; where nobody does any more, there is nobody to tell

    async def _end(self, upload: Upload) -> None:
        if upload.ended:
            return
        upload.ended = True
        self._by_id.pop(upload.id, None)
        try:
            await upload.writing.abort()
        except ProviderError as error:
            log.warning("the rest of an upload of %s could not be removed: %s", shown(upload.name), error)
        finally:
            await upload.held.aclose()
            upload.turn.notify_all()

    async def _watch(self, upload: Upload, timeout: float) -> None:
        loop = asyncio.get_running_loop()
        upload.used = loop.time()
        while not upload.ended:
            left = upload.used + timeout - loop.time()
            if left > 0:
                await asyncio.sleep(left)
                continue
            async with upload.turn:
                if upload.used + timeout <= loop.time() and not upload.ended:
                    log.warning("an upload of %s had no chunk for %g s and is given up", shown(upload.name), timeout)
                    await self._end(upload)
