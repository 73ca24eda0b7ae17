"""Tells a component of changes: in each key's order, a bounded number at once, and not without end to one that does not answer."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

from provider_sdk import Context, Link, PreconditionFailed, ProviderError
from provider_sdk.contracts.wasi_keyvalue import Watcher
from provider_sdk.metrics import Counter, Metrics
from providers.keyvalue.backend import Backend
from providers.keyvalue.changes import Change, Interest

BUCKET = "0"
"""A host reads the bucket as a number (wrpc-1x.md §5.4)."""
AT_ONCE, MOST_WAITING = 16, 10_000
PAUSES = (0.2, 1.0, 3.0)
"""Seconds between attempts at a component that does not answer."""
AGAIN_FIRST, AGAIN_MOST = 0.1, 5.0
READY_WITHIN = 5.0
SAY_EVERY = 10.0


@dataclass(slots=True)
class Counters:
    """Changes that were told, and those that were not, by why: overload, component or store."""

    told: Counter
    lost: Counter

    @staticmethod
    def of(metrics: Metrics) -> Counters:
        """Those of a provider."""
        return Counters(
            metrics.counter("keyvalue_watch_told_total", "Changes that a watching component was told of.", "change"),
            metrics.counter("keyvalue_watch_lost_total", "Changes, or times without any, that no component was told of.", "reason"),
        )


@dataclass(eq=False)
class Watching:
    """One link to a watching component. `trouble` is a line that says what is wrong, or empty."""

    backend: Backend
    interest: Interest
    link: Link[Any]
    counters: Counters
    trouble: str = ""
    _waiting: dict[bytes, deque[Change]] = field(default_factory=dict)
    _queue: deque[bytes] = field(default_factory=deque)
    _workers: set[asyncio.Task[None]] = field(default_factory=set)
    _tasks: asyncio.TaskGroup = field(init=False)
    _unsaid: dict[str, int] = field(default_factory=dict)
    _said: float = 0.0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell as long as it is entered; what waits then is given up."""
        begun = asyncio.Event()
        async with asyncio.TaskGroup() as self._tasks:
            following = self._tasks.create_task(self._follow(begun.set), name=f"watch for {self.link.key}")
            try:
                # A store that is away is no reason to have no link.
                with suppress(TimeoutError):
                    async with asyncio.timeout(READY_WITHIN):
                        await begun.wait()
                yield
            finally:
                self.interest = Interest()
                for task in (following, *self._workers):
                    task.cancel()

    async def _follow(self, begun: Callable[[], None]) -> None:
        def ready() -> None:
            self.trouble = ""
            begun()

        pause = AGAIN_FIRST
        while True:
            since = time.monotonic()
            try:
                await self.backend.watch(self.interest, self.tell, ready)
            except ProviderError as error:
                if not self.trouble:
                    self._lost("store", f"changes are not told for a time: {error}")
                self.trouble = f"changes are not told: {error}"
            begun()
            pause = AGAIN_FIRST if time.monotonic() - since > AGAIN_MOST else min(pause * 2, AGAIN_MOST)
            await asyncio.sleep(pause)

    def tell(self, change: Change, key: bytes) -> None:
        """Note a change. Of one key the last two wait at most: whoever is slower than the changes is told of the last ones."""
        if not self.interest.wants(change, key):
            return
        waiting = self._waiting.get(key)
        if waiting is None:
            if len(self._waiting) >= MOST_WAITING:
                self._lost("overload", f"changes of {MOST_WAITING} keys wait for the component already")
                return
            self._waiting[key] = deque([change], maxlen=2)
            self._queue.append(key)
            self._begin()
        elif not waiting or waiting[-1] is not change:
            waiting.append(change)

    def _begin(self) -> None:
        if len(self._workers) < AT_ONCE:
            self._workers.add(self._tasks.create_task(self._work(), name=f"changes for {self.link.key}"))

    async def _work(self) -> None:
        # A change is told of within the call that makes it, which this outlives.
        Context.detach()
        try:
            while self._queue:
                key = self._queue.popleft()
                waiting = self._waiting[key]
                await self._deliver(waiting.popleft(), key)
                if waiting:
                    self._queue.append(key)
                else:
                    del self._waiting[key]
        finally:
            # At once, not in a callback: a change that comes in between would be left to nobody.
            self._workers.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _deliver(self, change: Change, key: bytes) -> None:
        for pause in (*PAUSES, 0.0):
            try:
                if await self._call(change, key):
                    self.counters.told.add(change)
                return
            except ProviderError as error:
                if not error.retryable or not pause:
                    self._lost("component", str(error))
                    return
            await asyncio.sleep(pause)

    async def _call(self, change: Change, key: bytes) -> bool:
        """One attempt; False where there is nothing to tell: the value is gone by now, which is told too, or the key is no text."""
        watcher = Watcher.at(self.link.peer)
        try:
            name = key.decode()
            value = await self.backend.get(key) if change is Change.SET else b""
        except (UnicodeDecodeError, PreconditionFailed):
            return False
        if value is None:
            return False
        await (watcher.on_set(BUCKET, name, value) if change is Change.SET else watcher.on_delete(BUCKET, name))
        return True

    def _lost(self, reason: str, why: str) -> None:
        """Count what is not told, and say so, not for each."""
        self.counters.lost.add(reason)
        self._unsaid[reason] = self._unsaid.get(reason, 0) + 1
        now = time.monotonic()
        if now - self._said > SAY_EVERY:
            self._said = now
            counts = ", ".join(f"{number} ({name})" for name, number in self._unsaid.items())
            self._unsaid.clear()
            self.link.log.warning("changes were not told to the component: %s; the last one because %s", counts, why)
