"""Streams of 1.x calls that are on their way, each moved by a task of its own: it outlives the link's context, and ends with the link.

What a task has in memory is bounded by whoever takes it: one batch waits while the next is being made.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from provider_sdk import Context, DeadlineExceeded, Internal, LinkKey, ProviderError, ResourceExhausted, Unavailable
from provider_sdk.contracts.wasi_blobstore import Outcome
from provider_sdk.errors import error_of, error_text
from provider_sdk.types import Err, Ok

T = TypeVar("T")

log = logging.getLogger("provider")

LEFT_WITHIN = 5.0
"""Seconds that leaving a link waits for the end of its streams, which goes on behind that."""
GIVEN_UP = error_text(Unavailable("the stream was given up: its link was deleted, or the call that it belongs to has ended"))


class Way(StrEnum):
    """Into the store, or out of it."""

    UP = "uploads"
    DOWN = "downloads"


@dataclass(frozen=True, slots=True)
class Flow:
    """What a task moves. `what` is for the log."""

    key: LinkKey
    way: Way
    what: str


class Stream(AsyncIterator[T], Generic[T]):
    """What a task makes, batch by batch, for one reader; `patience`: seconds for which a batch waits to be taken.

    It ends with `outcome`. With `breaks` an error of that is raised behind the last item; without, the stream ends as after its last item,
    for whoever reads it has the outcome too.
    """

    def __init__(self, patience: float, *, breaks: bool) -> None:
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._patience = patience
        self._breaks = breaks
        self._room = asyncio.Semaphore(1)
        self._batches: asyncio.Queue[list[T]] = asyncio.Queue()
        self._batch: list[T] = []
        self.outcome.add_done_callback(lambda _: self._batches.put_nowait([]))

    @staticmethod
    def whole(batch: list[T]) -> Stream[T]:
        """A stream of what is there already."""
        stream = Stream[T](0, breaks=False)
        if batch:
            stream._batches.put_nowait(batch)
        stream.outcome.set_result(Ok(None))
        return stream

    async def put(self, batch: list[T]) -> None:
        """Hand on a batch that is not empty, in its turn; DeadlineExceeded where nobody takes the one before."""
        try:
            async with asyncio.timeout(self._patience):
                await self._room.acquire()
        except TimeoutError:
            raise DeadlineExceeded(f"for {self._patience:g} s nobody has taken what comes next") from None
        self._batches.put_nowait(batch)

    async def __anext__(self) -> T:
        if not self._batch:
            batch = await self._batches.get()
            if not batch:
                self._batches.put_nowait(batch)  # whoever asks again is told again
                raise self._end()
            self._room.release()
            self._batch = batch[::-1]
        return self._batch.pop()

    def _end(self) -> Exception:
        if not self._breaks:
            return StopAsyncIteration()
        found = Err(GIVEN_UP) if self.outcome.cancelled() else self.outcome.result()
        return error_of(found.value) if isinstance(found, Err) else StopAsyncIteration()

    async def aclose(self) -> None:
        """The reader wants no more."""
        self.outcome.cancel()


class Flows:
    """The streams of all links of a process."""

    def __init__(self) -> None:
        self._running: dict[asyncio.Task[None], Flow] = {}

    def __len__(self) -> int:
        return len(self._running)

    def count(self) -> Counter[Way]:
        """How many are on their way."""
        return Counter(flow.way for flow in self._running.values())

    def room(self, key: LinkKey, way: Way, most: int) -> None:
        """ResourceExhausted where `most` of a link are on their way."""
        if sum((flow.key, flow.way) == (key, way) for flow in self._running.values()) >= most:
            raise ResourceExhausted(f"{most} {way} of this link are on their way, the most that max_streams allows")

    def start(self, flow: Flow, work: Coroutine[Any, Any, None], outcome: asyncio.Future[Outcome]) -> None:
        """Begin. `outcome` is set at the end; the work ends where that is cancelled."""
        task = asyncio.create_task(_run(flow, work, outcome), name=f"stream of {flow.key}")
        self._running[task] = flow
        task.add_done_callback(self._running.pop)
        outcome.add_done_callback(lambda _: task.cancel())

    async def leave(self, key: LinkKey) -> None:
        """End all streams of a link."""
        await asyncio.sleep(0)  # a task that is cancelled before its first step would close nothing
        tasks = [task for task, flow in self._running.items() if flow.key == key]
        for task in tasks:
            task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=LEFT_WITHIN)
            if late:
                log.warning("%d streams are still being ended: their store does not answer", len(late), extra={"link": str(key)})


async def _run(flow: Flow, work: Coroutine[Any, Any, None], outcome: asyncio.Future[Outcome]) -> None:
    Context.detach()
    found: Outcome = Ok(None)
    try:
        await work
    except asyncio.CancelledError:
        found = Err(GIVEN_UP)
    except ProviderError as error:
        found = Err(error_text(error))
        log.warning("%s broke off: %s", flow.what, error, extra={"link": str(flow.key)})
    except Exception as error:
        found = Err(error_text(Internal(f"{flow.what} failed inside the provider; its log says more")))
        log.error("%s failed: %s", flow.what, error, extra={"link": str(flow.key)}, exc_info=error)
    if not outcome.done():
        outcome.set_result(found)
