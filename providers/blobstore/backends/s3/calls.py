"""Calls of the AWS library, in a bounded pool of threads because it blocks, with errors as callers know them; and how they went of late."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from provider_sdk import Code, ProviderError, Unavailable
from providers.blobstore.backends.s3.errors import FAILURES, code_of, refusal

T = TypeVar("T")
FRESH = 15.0
"""Seconds for which it is believed how the last call went."""
PATIENCE = 0.4
SILENT = 5.0
TROUBLES = frozenset({Code.UNAVAILABLE, Code.UNAUTHENTICATED})
UNEXPLAINED = frozenset({"400", "403"})
ENDING = 5.0


class Calls:
    """What goes to one server. `where` names it."""

    def __init__(self, client: Any, where: str, threads: int) -> None:
        self.client = client
        self.where = where
        self._pool = ThreadPoolExecutor(threads, "s3")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._line = ""
        self._noted = -FRESH
        self._probe: asyncio.Task[None] | None = None
        self._asked = 0.0

    async def ask(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """One operation; a ProviderError whose cause is the library's."""
        return await self.run(lambda: self.request(operation, **parameters))

    def request(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """As ask, in the thread of the caller."""
        try:
            answer: dict[str, Any] = getattr(self.client, operation)(**parameters)
        except FAILURES as error:
            raise self._failed(refusal(self.where, error)) from error
        self.note("")
        return answer

    async def head(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """As ask, for HEAD."""
        return await self.run(lambda: self.request_head(operation, **parameters))

    def request_head(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """As request, for HEAD: a refusal has no body to say why, so that another request asks for the reason."""
        try:
            return self.request(operation, **parameters)
        except ProviderError as error:
            if code_of(error) in UNEXPLAINED:
                self.request("list_objects_v2", Bucket=parameters["Bucket"], MaxKeys=1)
            raise

    async def run(self, work: Callable[[], T], drop: Callable[[T], None] | None = None) -> T:
        """What `work` gives in a thread. Where nobody waits for that any more, it goes to `drop`."""
        if self._closed:
            raise Unavailable(f"S3 at {self.where} is not used any more: the link has changed")
        future = self._pool.submit(work)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if drop is not None:
                future.add_done_callback(lambda done: _dropped(done, drop))
            raise

    def begin(self, work: Callable[[], None]) -> None:
        """Do something in a thread that nobody waits for."""
        self._pool.submit(work)

    def task(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task that goes on when its caller is cancelled, and that closing waits for."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for it is told

    def _failed(self, error: ProviderError) -> ProviderError:
        self.note(error.message if error.code in TROUBLES else "")
        return error

    def note(self, line: str) -> None:
        """How the last call went: empty where it went well."""
        self._line, self._noted = line, time.monotonic()

    async def trouble(self, probe: Callable[[], Coroutine[Any, Any, str]]) -> str:
        """What is wrong, as the calls of late have shown, or a probe where there were none: one at a time, and not waited for long."""
        if time.monotonic() - self._noted < FRESH:
            return self._line
        if self._probe is None or self._probe.done():
            self._asked = time.monotonic()
            self._probe = asyncio.create_task(self._learn(probe))
        await asyncio.wait([self._probe], timeout=PATIENCE)
        waited = time.monotonic() - self._asked
        if not self._probe.done() and waited > SILENT:
            return f"S3 at {self.where} has not answered for {waited:.0f} s"
        return self._line

    async def _learn(self, probe: Callable[[], Coroutine[Any, Any, str]]) -> None:
        try:
            self.note(await probe())
        except ProviderError as error:
            self.note("" if error.code is Code.PERMISSION_DENIED else error.message)

    async def close(self) -> None:
        """Let what is being cleaned up end, for some seconds, and take no more."""
        if self._probe is not None:
            self._probe.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=ENDING)
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.client.close()


def _dropped(future: Future[T], drop: Callable[[T], None]) -> None:
    if not future.cancelled() and future.exception() is None:
        with suppress(Exception):
            drop(future.result())
