"""What comes to one call on its paths (wrpc-1x.md §3.2, §3.3): bytes by path, each path ended by an empty message."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager

from provider_sdk.errors import DeadlineExceeded, InvalidArgument, ProviderError, ResourceExhausted
from provider_sdk.hosts.wrpc.spool import Budget, Spool

MOST_UNOPENED = 256
_PATH = re.compile(r"[0-9]{1,10}(\.[0-9]{1,10}){0,15}", re.ASCII)


class Pipe:
    """A Channel (see channels.py): the bytes of one path."""

    def __init__(self, incoming: Incoming, path: str) -> None:
        self._incoming = incoming
        self._path = path
        self._spool = Spool(incoming.budget)
        self._ended = False
        self._error: ProviderError | None = None
        self._news: asyncio.Future[None] | None = None
        self.opened = False
        self.closed = False

    def feed(self, data: bytes) -> None:
        """Bytes have come; none mean the end."""
        if not data:
            self._ended = True
        if self.closed and self._ended:
            self._incoming.forget(self._path)
        if self.closed or self._error is not None:
            return
        if data:
            try:
                self._spool.put(data)
            except ResourceExhausted as error:
                self.fail(error)
                return
        self._wake()

    def fail(self, error: ProviderError) -> None:
        """What has not been read is no good; one that is over already stays as it is."""
        if not self._ended and self._error is None:
            self._error = error
            self._spool.close()
            self._wake()

    async def read(self) -> bytes:
        """See Channel."""
        while True:
            if self._error is not None:
                raise self._error
            if self._spool:
                data = await self._spool.take()
                if data:
                    return data
                continue
            if self._ended or self.closed:
                self.close()
                return b""
            await self._wait()

    async def _wait(self) -> None:
        """Until something comes here. A call of which anything else moves stands not still: a future waits for a stream."""
        incoming, idle = self._incoming, self._incoming.budget.limits.idle
        loop = asyncio.get_running_loop()
        since = loop.time()
        while True:
            self._news = loop.create_future()
            try:
                async with asyncio.timeout_at(since + idle):
                    await self._news
                return
            except TimeoutError:
                if incoming.moved <= since:
                    raise DeadlineExceeded(f"nothing has come of a stream for {idle:g} s") from None
                since = incoming.moved
            finally:
                self._news = None

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def close(self) -> None:
        """See Channel."""
        if not self.closed:
            self.closed = True
            self._spool.close()
            self._wake()
            if self.opened:
                self._incoming.closed_one()
            if self._ended:
                self._incoming.forget(self._path)


class Incoming:
    """The Channels (see channels.py) of one call."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._now = asyncio.get_running_loop().time
        self._moved = self._now()
        self._sending = False
        self._pipes: dict[str, Pipe] = {}
        self._unopened = 0
        self._open = 0
        self._closed = False
        self._error: ProviderError | None = None
        self._news: asyncio.Event | None = None

    def open(self, path: str) -> Pipe:
        """See Channels."""
        pipe = self._pipes.get(path)
        if pipe is None:
            pipe = self._begun(path)
        else:
            self._unopened -= 1
        pipe.opened = True
        self._open += 1
        return pipe

    @property
    def moved(self) -> float:
        """When something of the call came or went last, in the event loop's time."""
        return self._now() if self._sending else self._moved

    @contextmanager
    def sending(self) -> Iterator[None]:
        """As long as it is entered something goes the other way."""
        self._sending = True
        try:
            yield
        finally:
            self._sending, self._moved = False, self._now()

    def feed(self, path: str, data: bytes) -> None:
        """A message on a path that may be opened later, or never."""
        if self._closed:
            return
        self._moved = self._now()
        pipe = self._pipes.get(path)
        if pipe is None:
            if self._unopened >= MOST_UNOPENED or not _PATH.fullmatch(path):
                self.fail(InvalidArgument(f"no more than {MOST_UNOPENED} streams may come before their values, on paths of numbers"))
                return
            pipe = self._begun(path)
            self._unopened += 1
        pipe.feed(data)

    def fail(self, error: ProviderError) -> None:
        """Nothing that comes any more can be trusted."""
        self._error = self._error or error
        for pipe in self._pipes.values():
            pipe.fail(error)

    def close(self) -> None:
        """The call is over: nothing that still comes is kept."""
        self._closed = True
        for pipe in list(self._pipes.values()):
            pipe.close()

    @property
    def in_use(self) -> bool:
        """Whether some path is open."""
        return self._open > 0

    async def unused(self) -> None:
        """Returns when no path is open."""
        while self._open > 0:
            self._news = self._news or asyncio.Event()
            self._news.clear()
            await self._news.wait()

    def closed_one(self) -> None:
        """An open path was closed."""
        self._open -= 1
        if self._news is not None:
            self._news.set()

    def forget(self, path: str) -> None:
        """Nobody reads there any more, and nothing comes: a stream of streams has as many paths as items."""
        self._pipes.pop(path, None)

    def _begun(self, path: str) -> Pipe:
        pipe = self._pipes[path] = Pipe(self, path)
        if self._error is not None:
            pipe.fail(self._error)
        return pipe
