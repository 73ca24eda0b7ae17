"""Work on a store that outlives a caller who gives up: what was begun is finished, or undone, and never lost on the way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

log = logging.getLogger("provider")


class Tasks:
    """Tasks that go on whether or not somebody waits for them."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin. Its errors are for who waits for it; where nobody does any more, there is nobody to tell."""
        task = asyncio.create_task(work, name="blobstore work")
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    async def finish(self, work: Coroutine[Any, Any, T], undo: Callable[[T], Awaitable[None]] | None = None) -> T:
        """The result of `work`, which is not interrupted when the caller is. What it gives when nobody waits any more is undone."""
        task = self.start(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if undo is not None:
                self.start(_undone(task, undo))
            raise

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()


async def _undone(task: asyncio.Task[T], undo: Callable[[T], Awaitable[None]]) -> None:
    await asyncio.wait([task])
    if task.cancelled() or task.exception() is not None:
        return
    try:
        await undo(task.result())
    except Exception as error:
        log.warning("what a call had begun that was given up could not be undone: %s", error)
