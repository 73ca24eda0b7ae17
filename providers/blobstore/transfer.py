"""Objects of one store brought to another, or compared with it: several at once, each as a stream.

An object counts as equal when the SHA-256 of both sides agree, as read. What was written is therefore read back; what had been seen to be
equal in an earlier run, and has the size and the times of then on both sides, is not read again (journal.py). So the same command goes on
where it was interrupted, and a later run moves what has changed since.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from provider_sdk import Internal, NotFound, ProviderError
from providers.blobstore.backend import Backend, ObjectInfo, checked_container, checked_object, shown
from providers.blobstore.contents import Content, End, Gone
from providers.blobstore.journal import Journal
from providers.blobstore.pairs import listing, pairs

ATTEMPTS = 3
GIVE_UP_AFTER = 10
"""Failures in a row that may pass by themselves: the store is not there, and more of them would tell nothing new."""
Tell = Callable[[int, int], None]
"""Told how many objects more are done, and how many bytes more are on their way."""


class Existing(StrEnum):
    """What is done where the target has another object of that name."""

    OLDER = "older"
    OVERWRITE = "overwrite"
    KEEP = "keep"


@dataclass(frozen=True)
class Wish:
    """What is to be done. `containers` are pairs of names, the source's and the target's; `verify`: contents are compared."""

    containers: list[tuple[str, str]]
    prefix: str = ""
    existing: Existing = Existing.OLDER
    parallel: int = 8
    check: bool = False
    verify: bool = True
    most: int = 20


@dataclass
class Done:
    """What has become of the objects. `size` counts the bytes that were copied; `lines` are the first of what there is to tell."""

    copied: int = 0
    replaced: int = 0
    equal: int = 0
    kept: int = 0
    gone: int = 0
    missing: int = 0
    different: int = 0
    extra: int = 0
    failed: int = 0
    size: int = 0
    lines: list[str] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether all that was wished is there."""
        return not (self.missing or self.different or self.failed)


@dataclass(frozen=True, slots=True)
class _Work:
    source: ObjectInfo
    target: ObjectInfo | None
    near: End
    far: End


class Transfer:
    """One run; `done` is kept up to date."""

    def __init__(self, source: Backend, target: Backend, wish: Wish, journal: Journal, tell: Tell, done: Done) -> None:
        self._source = source
        self._target = target
        self._wish = wish
        self._journal = journal
        self._tell = tell
        self._in_a_row = 0
        self.done = done

    async def run(self) -> None:
        """Do it. ProviderError where it cannot go on; what concerns one object is noted, and the others are done."""
        queue: asyncio.Queue[_Work | None] = asyncio.Queue(2 * self._wish.parallel)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._wish.parallel):
                    group.create_task(self._worker(queue))
                async for work in self._all():
                    await queue.put(work)
                for _ in range(self._wish.parallel):
                    await queue.put(None)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _all(self) -> AsyncIterator[_Work]:
        for name, other in self._wish.containers:
            near, far = End(self._source, name), End(self._target, other)
            try:
                checked_container(other, self._target.capabilities)
                await self._ready(far)
            except ProviderError as error:
                if error.retryable:
                    raise
                self._failure(f"the container {shown(name)}, with all that is in it", error)
                continue
            found = pairs(listing(self._source, name, self._wish.prefix), listing(self._target, other, self._wish.prefix))
            async for pair in found:
                if pair.source is None:
                    self.done.extra += 1
                else:
                    yield _Work(pair.source, pair.target, near, far)

    async def _ready(self, far: End) -> None:
        if not self._wish.check:
            await far.backend.create_container(far.container)
            return
        try:
            await far.backend.container(far.container)
        except NotFound:
            self._say(f"the container {shown(far.container)} is not in the target")
            self.done.missing += 1

    async def _worker(self, queue: asyncio.Queue[_Work | None]) -> None:
        while (work := await queue.get()) is not None:
            try:
                await self._object(work)
                self._in_a_row = 0
            except Gone:
                self.done.gone += 1
            except ProviderError as error:
                self._failure(_where(work), error)
                self._in_a_row += error.retryable
                if self._in_a_row >= GIVE_UP_AFTER:
                    raise
            self._tell(1, 0)

    async def _object(self, work: _Work) -> None:
        wish, done, target = self._wish, self.done, work.target
        if target is None:
            if wish.check:
                done.missing += 1
                self._say(f"{_where(work)} is not in the target")
            else:
                await self._copy(work)
                done.copied += 1
        elif not wish.check and (wish.existing is Existing.KEEP):
            done.kept += 1
        elif difference := await self._difference(work, target):
            await self._differs(work, target, difference)
        else:
            done.equal += 1

    async def _differs(self, work: _Work, target: ObjectInfo, difference: str) -> None:
        if self._wish.check:
            self._journal.forget(work.near.container, target.name)
            self.done.different += 1
            self._say(f"{_where(work)} {difference}")
            return
        ours = self._journal.left(work.near.container, target)
        if self._wish.existing is Existing.OLDER and not ours and (target.modified or 0) > (work.source.modified or 0):
            self.done.failed += 1
            self._say(f"{_where(work)} {difference}, is newer there, and stays as it is: --overwrite replaces it")
            return
        await self._copy(work)
        self.done.replaced += 1

    async def _difference(self, work: _Work, target: ObjectInfo) -> str:
        """In what the two differ, empty where they are equal."""
        source, wish = work.source, self._wish
        if source.size != target.size:
            return f"has {target.size} bytes in the target and {source.size} in the source"
        if not wish.check and self._journal.equal(work.near.container, source, target):
            return ""
        if not wish.verify and source.modified is not None and target.modified is not None and target.modified > source.modified:
            return ""
        near, far = await self._both(work)
        if near.digest != far.digest:
            return "has another content in the target"
        if near.info.details != far.info.details:
            return "has another content type or encoding in the target"
        self._journal.note(work.near.container, near.info, far.info)
        return ""

    async def _both(self, work: _Work) -> tuple[Content, Content]:
        async def near() -> Content:
            try:
                return await work.near.content(work.source.name)
            except NotFound as error:
                raise Gone from error

        try:
            async with asyncio.TaskGroup() as group:
                mine, theirs = group.create_task(near()), group.create_task(work.far.content(work.source.name))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return mine.result(), theirs.result()

    async def _copy(self, work: _Work) -> None:
        """Copy, read back, and make sure that the source is still what was copied."""
        name, near, far = checked_object(work.source.name, self._target.capabilities), work.near, work.far
        for attempt in range(ATTEMPTS):
            try:
                sent = await near.send(name, far, lambda count: self._tell(0, count))
                if await self._arrived(near, far, sent):
                    self.done.size += sent.info.size
                    return
            except ProviderError:
                if attempt + 1 == ATTEMPTS or await near.unchanged(work.source):
                    raise
        raise Internal(f"it changes while it is copied; {ATTEMPTS} attempts were made")

    async def _arrived(self, near: End, far: End, sent: Content) -> bool:
        """False where the source has another version meanwhile; Internal where what was read back is something else."""
        name = sent.info.name
        if not self._wish.verify:
            return await near.unchanged(sent.info)
        back = await far.content(name)
        if not await near.unchanged(sent.info):
            return False
        if back.digest != sent.digest or back.info.details != sent.info.details:
            raise Internal("what the target gives back is not what was written: it damages what it keeps, or somebody else writes to it")
        self._journal.note(near.container, sent.info, back.info)
        return True

    def _failure(self, where: str, error: ProviderError) -> None:
        self.done.failed += 1
        self._say(f"{where}: {error.message}")

    def _say(self, line: str) -> None:
        if len(self.done.lines) < self._wish.most:
            self.done.lines.append(line)


def _where(work: _Work) -> str:
    return shown(f"{work.near.container}/{work.source.name}")
