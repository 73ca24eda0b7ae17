"""Work on files is done in threads, a bounded number; whoever waits for it may give up, and nothing is left open by that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from provider_sdk import Unavailable
from providers.blobstore.backends.local.errors import failure

T = TypeVar("T")


class Held(Protocol):
    """Something that holds a file."""

    @property
    def ended(self) -> bool:
        """Whether there is nothing to close any more."""

    def close(self) -> None:
        """Let go of it."""


class Threads:
    """The threads of one store."""

    def __init__(self, most: int) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="blobstore local")

    async def run(self, what: str, work: Callable[[], T], undo: Callable[[T], None] | None = None) -> T:
        """The result of `work`, or a ProviderError about `what`; `undo` gets the result where nobody waits for it any more."""
        future = self._submit(lambda: _told(what, work))
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if undo is not None:
                future.add_done_callback(lambda done: None if done.cancelled() or done.exception() else undo(done.result()))
            raise

    async def let_go(self, thing: Held) -> None:
        """Close something, whether or not the caller waits, or the store is closed already."""
        if thing.ended:
            return
        what = "what is left of a stream cannot be removed"
        try:
            future = self._pool.submit(_told, what, thing.close)
        except RuntimeError:
            _told(what, thing.close)
        else:
            await asyncio.shield(asyncio.wrap_future(future))

    def later(self, work: Callable[[], None]) -> None:
        """Have something done for which nobody waits."""
        self._submit(work)

    async def close(self) -> None:
        """Finish what was begun."""
        await asyncio.to_thread(self._pool.shutdown)

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        try:
            return self._pool.submit(work)
        except RuntimeError:
            raise Unavailable("the store is closed") from None


def _told(what: str, work: Callable[[], T]) -> T:
    try:
        return work()
    except OSError as error:
        raise failure(error, what) from error
