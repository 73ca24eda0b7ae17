"""Uploads that are on their way: chunks come in turn, and what is not gone on with is given up.

They outlive the link's context in which they began, so that a link whose store is changed finishes on the old one what began there.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from provider_sdk import InvalidArgument, LinkKey, NotFound, OutOfRange, PreconditionFailed, ResourceExhausted
from providers.blobstore.backend import Writing, shown
from providers.blobstore.tasks import Tasks

log = logging.getLogger("provider")

OVERTAKEN = 1.0
"""Seconds without progress that a chunk waits for one that it has overtaken on the way."""
LEFT_WITHIN = 5.0
"""Seconds that leaving a link waits for the end of its uploads, which goes on behind that."""


@dataclass(eq=False)
class Upload:
    """One object on its way. `held` ends with it: the writing is aborted, the store let go of. `used`: when something happened."""

    key: LinkKey
    container: str
    name: str
    writing: Writing
    held: AsyncExitStack
    id: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    offset: int = 0
    unwanted: bool = False
    ended: bool = False
    turn: asyncio.Condition = field(default_factory=asyncio.Condition)
    used: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    watch: asyncio.TimerHandle | None = None


class Uploads:
    """The uploads of all links of a process."""

    def __init__(self) -> None:
        self._by_id: dict[str, Upload] = {}
        self._beginning: Counter[LinkKey] = Counter()
        self._tasks = Tasks()

    def __len__(self) -> int:
        return len(self._by_id)

    @contextmanager
    def place(self, key: LinkKey, most: int) -> Iterator[None]:
        """Room for an upload that is about to begin; ResourceExhausted where `most` of the link are on their way."""
        if self._beginning[key] + sum(other.key == key for other in self._by_id.values()) >= most:
            raise ResourceExhausted(f"{most} uploads of this link are on their way, the most that max_streams allows")
        self._beginning[key] += 1
        try:
            yield
        finally:
            self._beginning[key] -= 1
            if not self._beginning[key]:
                del self._beginning[key]

    def add(self, upload: Upload, timeout: float) -> None:
        """Begin an upload. One that has no chunk for `timeout` seconds is given up."""
        self._by_id[upload.id] = upload
        self._look_again(upload, timeout)

    async def first(self, upload: Upload, data: bytes) -> None:
        """Take the first chunk. A caller that gives up learns no streamId, so nothing is left of the upload then."""
        try:
            await self.go_on(upload, 0, data, last=False)
        except asyncio.CancelledError:
            self._give_up(upload)
            raise

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
        await self._tasks.finish(self._append(upload, offset, data, last=last))

    async def cancel(self, upload: Upload) -> None:
        """End an upload without an object, after the chunk that is being written; NotFound where that was its last."""
        if not await asyncio.shield(self._give_up(upload)):
            raise _over(upload)

    async def leave(self, key: LinkKey) -> None:
        """End all uploads of a link."""
        ending = [self._give_up(upload) for upload in [*self._by_id.values()] if upload.key == key]
        if ending:
            _, late = await asyncio.wait(ending, timeout=LEFT_WITHIN)
            if late:
                log.warning("%d uploads are still being ended: their store does not answer", len(late), extra={"link": str(key)})

    def _give_up(self, upload: Upload) -> asyncio.Task[bool]:
        upload.unwanted = True
        return self._tasks.start(self._end_in_turn(upload))

    async def _end_in_turn(self, upload: Upload) -> bool:
        async with upload.turn:
            if upload.ended:
                return False
            await self._end(upload)
            return True

    async def _append(self, upload: Upload, offset: int, data: bytes, *, last: bool) -> None:
        async with upload.turn:
            await _awaited(upload, offset)
            if upload.ended or upload.unwanted:
                raise _over(upload)
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

    async def _end(self, upload: Upload) -> None:
        """Let go of it; whoever calls has its turn. After a commit nothing is taken back, and no failure is the caller's any more."""
        if upload.ended:
            return
        upload.ended = True
        self._by_id.pop(upload.id, None)
        if upload.watch is not None:
            upload.watch.cancel()
        upload.turn.notify_all()
        try:
            await upload.held.aclose()
        except Exception as error:
            log.warning("the rest of an upload of %s could not be removed: %s", shown(upload.name), error)

    def _look_again(self, upload: Upload, timeout: float) -> None:
        upload.watch = asyncio.get_running_loop().call_at(upload.used + timeout, self._look, upload, timeout)

    def _look(self, upload: Upload, timeout: float) -> None:
        now = asyncio.get_running_loop().time()
        if upload.turn.locked():
            upload.used = now  # a chunk is being written, however long that takes
        if upload.used + timeout > now:
            self._look_again(upload, timeout)
            return
        log.warning("an upload of %s had no chunk for %g s and is given up", shown(upload.name), timeout, extra={"link": str(upload.key)})
        self._give_up(upload)


def _over(upload: Upload) -> NotFound:
    return NotFound(f"the upload of {shown(upload.name)} has ended")


async def _awaited(upload: Upload, offset: int) -> None:
    """Wait for the chunks before `offset`, as long as they go on coming."""
    loop = asyncio.get_running_loop()
    since = loop.time()
    while offset > upload.offset and not upload.ended and not upload.unwanted:
        left = max(since, upload.used) + OVERTAKEN - loop.time()
        if left <= 0:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(left):
                await upload.turn.wait()
