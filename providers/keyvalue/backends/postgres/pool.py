"""Statements of many callers on a few connections, each held by a worker of its own; what happens while the server is away."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from provider_sdk import Code, Context, ProviderError, ResourceExhausted, Unavailable
from providers.keyvalue.backends.postgres.connection import STATEMENT_LIMIT, Connection
from providers.keyvalue.backends.postgres.errors import REPEATABLE, STALE, failed, is_lost, renewed, sqlstate

Row: TypeAlias = Any
"""A record of asyncpg: members by position or name."""

ATTEMPTS = 4
SWEEP = 0.05
# Of the time that a caller has left: so that it hears Unavailable, and not only that its time is over.
SHARE = 0.9
REST = 1.0
TOGETHER, TOGETHER_SIZE = 16, 1 << 20
RECONNECT_FIRST, RECONNECT_MOST, RECONNECT_REFUSED = 0.1, 0.8, 5.0
CLOSE_LIMIT = 0.2


@dataclass(slots=True, eq=False)
class _Job:
    text: str
    arguments: tuple[object, ...]
    answer: asyncio.Future[list[Row]]
    since: float
    until: float
    again: bool
    together: str
    attempts: int = 0

    def fail(self, error: ProviderError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class Pool:
    """At most `most` connections, made as they are needed and held."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], most: int, where: str) -> None:
        self._connect = connect
        self._most = most
        self._where = where
        self._jobs: deque[_Job] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._connections: set[Connection] = set()
        self._running: dict[Connection, list[_Job]] = {}
        self._woken = 0
        self._connecting = 0
        self._rest_until = 0.0
        self._down: ProviderError | None = None
        self._reviving: asyncio.Task[None] | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = False
        self.answered = 0.0
        self.tried = False

    @property
    def down(self) -> str:
        """Why there is no connection; empty while there is one, or none was tried."""
        return self._down.message if self._down else ""

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return any(not connection.closed for connection in self._connections)

    async def run(self, text: str, *arguments: object, again: bool = False, together: str = "", within: float = 0.0) -> list[Row]:
        """Carry out a statement and give its rows; `again` says that twice does no more than once.

        `together` is a statement that does what several calls of this one do: it takes a list for each argument, and each of its rows
        begins with the position, from 1, of the call whose row it is. Without `again` no two of them have the same first two arguments.
        A call has `within` seconds, or what is left of the call that is being served. Unavailable, or what the table of errors says.
        """
        if self._down is not None:
            raise renewed(self._down)
        if self._closed:
            raise Unavailable(f"the store at {self._where} is closed")
        loop = asyncio.get_running_loop()
        if not within:
            context = Context.or_none()
            within = context.remaining() * SHARE if context else STATEMENT_LIMIT + REST
        now = loop.time()
        job = _Job(text, arguments, loop.create_future(), now, now + within, again, together)
        self._jobs.append(job)
        if not self._woken:
            self._wake(loop)
        if self._sweeping is None:
            self._sweeping = loop.call_later(SWEEP, self._sweep)
        return await job.answer

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._idle:
            waiting = self._idle.popleft()
            if not waiting.done():
                self._woken += 1
                waiting.set_result(None)
                return
        if len(self._workers) < self._most and self._connecting < len(self._jobs) and loop.time() >= self._rest_until:
            self._start_worker(None)

    def _start_worker(self, connection: Connection | None) -> None:
        self._connecting += connection is None
        worker = asyncio.get_running_loop().create_task(self._work(connection), name=f"connection to {self._where}")
        self._workers.add(worker)
        worker.add_done_callback(self._workers.discard)

    async def _work(self, connection: Connection | None) -> None:
        # It was started within a call, and outlives it.
        Context.detach()
        try:
            if connection is None:
                connection = await self._connected()
            while connection is not None:
                if connection.closed:
                    self._connections.discard(connection)
                    self._connecting += 1
                    connection = await self._connected()
                elif jobs := self._next():
                    await self._carry_out(connection, jobs)
                else:
                    await self._wait()
        finally:
            if connection is not None:
                self._connections.discard(connection)
                await connection.close(CLOSE_LIMIT)

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        waiting = loop.create_future()
        self._idle.append(waiting)
        try:
            await waiting
        finally:
            self._woken -= waiting.done() and not waiting.cancelled()

    def _next(self) -> list[_Job]:
        """The next job, and those behind it that can be done with it; another worker is woken for what is left."""
        jobs: list[_Job] = []
        while self._jobs and (not jobs or _join(jobs, self._jobs[0])):
            job = self._jobs.popleft()
            if not job.answer.done():
                jobs.append(job)
        if self._jobs and not self._woken:
            self._wake(asyncio.get_running_loop())
        return jobs

    async def _connected(self) -> Connection | None:
        failure: ProviderError | None = None
        try:
            connection = await self._connect()
        except ProviderError as error:
            failure = error
        finally:
            self._connecting -= 1
            self.tried = True
        if failure is not None:
            self._not_connected(failure)
            return None
        self._down = None
        self._connections.add(connection)
        return connection

    def _not_connected(self, error: ProviderError) -> None:
        if self.connected or self._connecting:
            # There are others, who know better, or will.
            loop = asyncio.get_running_loop()
            self._rest_until = loop.time() + REST
            self._wake(loop)
            return
        self._down = error
        while self._jobs:
            self._jobs.popleft().fail(renewed(error))
        if self._reviving is None and not self._closed:
            self._reviving = asyncio.get_running_loop().create_task(self._revive(), name=f"reconnecting to {self._where}")

    async def _revive(self) -> None:
        """Try until there is a connection again."""
        Context.detach()
        wait = RECONNECT_FIRST
        while True:
            refused = self._down is not None and self._down.code is not Code.UNAVAILABLE
            await asyncio.sleep(RECONNECT_REFUSED if refused and wait >= RECONNECT_MOST else wait)
            wait = min(wait * 2, RECONNECT_MOST)
            if self._down is None:
                break
            try:
                connection = await self._connect()
            except ProviderError as error:
                self._down = error
                continue
            self._down = None
            self._connections.add(connection)
            self._start_worker(connection)
            break
        self._reviving = None

    async def _carry_out(self, connection: Connection, jobs: list[_Job]) -> None:
        self._running[connection] = jobs
        sent = False
        try:
            statement = await connection.prepare(jobs[0].together if jobs[1:] else jobs[0].text)
            sent = True
            if jobs[1:]:
                rows = await statement.fetch(*map(list, zip(*(job.arguments for job in jobs), strict=True)))
            else:
                rows = await statement.fetch(*jobs[0].arguments)
        except Exception as error:
            for job in reversed(jobs):
                self._failed(connection, job, error, sent, alone=not jobs[1:])
        else:
            self.answered = asyncio.get_running_loop().time()
            _answer(jobs, rows)
        finally:
            del self._running[connection]

    def _failed(self, connection: Connection, job: _Job, error: Exception, sent: bool, *, alone: bool) -> None:
        state = sqlstate(error)
        lost = connection.closed or is_lost(error)
        if state in STALE or lost:
            connection.drop()
        job.attempts += 1
        # Of several that fail together each is tried alone: the one that is to blame gets its error.
        undone = not sent or state in REPEATABLE or state == "0A000" or not (alone or lost)
        repeatable = lost or state in REPEATABLE or state in STALE or not alone
        if job.attempts < ATTEMPTS and repeatable and (undone or job.again) and not job.answer.done():
            if not lost:
                job.together = ""
            self._jobs.appendleft(job)
        else:
            job.fail(failed(self._where, error, "; whether the change was made is not known" if lost and sent and not job.again else ""))

    def _sweep(self) -> None:
        """End the waiting of those whose time is over; go on while anybody waits."""
        now = asyncio.get_running_loop().time()
        for job in self._jobs:
            if job.until <= now:
                job.fail(self._too_late(job))
        self._jobs = deque(job for job in self._jobs if not job.answer.done())
        for connection, jobs in list(self._running.items()):
            for late in [job for job in jobs if job.until <= now]:
                more = "" if late.again else "; whether the change was made is not known"
                late.fail(Unavailable(f"PostgreSQL at {self._where} did not answer in time{more}"))
                # Should the server have vanished without a word, nobody else is to wait for it on this connection.
                connection.drop()
        waiting = self._jobs or self._running
        self._sweeping = asyncio.get_running_loop().call_later(SWEEP, self._sweep) if waiting else None

    def _too_late(self, job: _Job) -> ProviderError:
        if self.answered > job.since:
            return ResourceExhausted(f"all {self._most} connections to PostgreSQL at {self._where} were in use (the setting connections)")
        return Unavailable(f"PostgreSQL at {self._where} did not answer anybody in time")

    async def close(self) -> None:
        """Let go of the connections; who waits gets Unavailable."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        for job in (*self._jobs, *itertools.chain(*self._running.values())):
            job.fail(Unavailable(f"the store at {self._where} is closed"))
        self._jobs.clear()
        tasks = [*self._workers, *([self._reviving] if self._reviving else [])]
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


def _answer(jobs: list[_Job], rows: list[Row]) -> None:
    """Give each its rows."""
    answers = [rows]
    if jobs[1:]:
        answers = [[] for _ in jobs]
        for number, *row in rows:
            answers[number - 1].append(row)
    for job, answer in zip(jobs, answers, strict=True):
        if not job.answer.done():
            job.answer.set_result(answer)


def _join(jobs: list[_Job], other: _Job) -> bool:
    """Whether the other job can be done together with these."""
    if not other.together or other.together != jobs[0].together or len(jobs) >= TOGETHER:
        return False
    if other.again:
        return True
    return all(job.arguments[:2] != other.arguments[:2] for job in jobs) and sum(map(_size, (*jobs, other))) <= TOGETHER_SIZE


def _size(job: _Job) -> int:
    return sum(len(argument) for argument in job.arguments if isinstance(argument, bytes))
