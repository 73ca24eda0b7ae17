"""The two threads that an embedded store runs on: one commits all waiting writes together, one answers all waiting reads together.

A hop to a thread and back costs more than the operation, so there is one for each batch, and none for each operation.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Concatenate, ParamSpec, TypeVar

from provider_sdk import PreconditionFailed, ProviderError, Unavailable
from providers.keyvalue.backends.sqlite_file import LOCK_WAIT, SCHEMA, DatabaseFile, busy, damaged, fatal, roll_back
from providers.keyvalue.backends.sqlite_statements import shrink, sweep, to_sweep

MOST_TOGETHER = 500
SWEEP_EVERY, SWEEP_ON = 1.0, 0.02

T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]


_Outcome = tuple[asyncio.Future[Any], Any, Exception | None]
_CANCELLED = Unavailable("the caller has gone")


class Worker(ABC):
    """A thread with a connection of its own; both are made at first use. `trouble` is a line that says what is wrong, or empty."""

    name: str

    def __init__(self, file: DatabaseFile) -> None:
        self.trouble = ""
        self.busy_since = 0.0
        self._file = file
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._closed = False
        self._db: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._damaged = False
        self._noted = ""

    async def run(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `work` on the thread's connection; a caller that is cancelled before its turn is passed over."""
        if self._closed:
            raise Unavailable(f"{self._file.path} is closed")
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._main, name=f"keyvalue {self.name}", daemon=True)
            self._thread.start()
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Job(lambda db: work(db, *args, **kwargs), future))
        return await future

    async def close(self) -> None:
        """Finish what waits, then end."""
        self._closed = True
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)

    @abstractmethod
    def _serve(self, db: sqlite3.Connection, jobs: list[_Job]) -> list[_Outcome]: ...

    @abstractmethod
    def _patience(self) -> float | None:
        """For how long the thread may wait for work."""

    @abstractmethod
    def _between(self) -> None:
        """What is done after a batch, or when patience is over."""

    @abstractmethod
    def _open(self) -> sqlite3.Connection: ...

    def _main(self) -> None:
        more = True
        while more:
            jobs, more = self._take()
            if jobs:
                self.busy_since = time.monotonic()
                outcomes = self._outcomes(jobs)
                self.busy_since = 0.0
                # The loop is closed where the program ended without closing the store.
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(_deliver, outcomes)
                # The names would keep the last batch alive until the next.
                del jobs, outcomes
            self._between()
        self._end()

    def _take(self) -> tuple[list[_Job], bool]:
        """All that waits, and whether more may come."""
        jobs: list[_Job] = []
        with contextlib.suppress(Empty):
            job = self._queue.get(timeout=self._patience())
            while job is not None:
                jobs.append(job)
                if len(jobs) == MOST_TOGETHER:
                    return jobs, True
                job = self._queue.get_nowait()
            return jobs, False
        return jobs, True

    def _outcomes(self, jobs: list[_Job]) -> list[_Outcome]:
        self._noted = ""
        try:
            outcomes = self._serve(self._database(), jobs)
        except Exception as error:
            outcomes = [(job.future, None, self._failure(error)) for job in jobs]
        if self._noted:
            self.trouble = self._noted
        return outcomes

    def _well(self) -> None:
        """Say that what was wrong is over."""
        if not self._damaged:
            self.trouble = ""

    def _database(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = self._open()
            self._identity = self._file.identity()
        elif self._file.identity() != self._identity:
            raise self._note(PreconditionFailed(f"{self._file.path} was removed or replaced while it was open: restart the provider"))
        return self._db

    def _failure(self, error: Exception) -> Exception:
        """What a caller is told; the connection is given up where it may be the reason."""
        if isinstance(error, sqlite3.Error):
            self._damaged = self._damaged or damaged(error)
            # Before the connection is given up, which makes the log shorter.
            told = self._file.error(error)
            if fatal(error):
                self._give_up()
            return self._note(told)
        if self._db is None and isinstance(error, ProviderError):
            return self._note(error)
        return error

    def _note(self, error: Exception) -> Exception:
        self._noted = self._noted or str(error)
        return error

    def _give_up(self) -> None:
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def _end(self) -> None:
        self._give_up()


class Reader(Worker):
    """Answers reads, all that wait from one state of the store."""

    name = "reader"
    _sees_changes = True

    def _patience(self) -> None:
        return None

    def _open(self) -> sqlite3.Connection:
        db, self._sees_changes = self._file.open_for_reading()
        db.execute("PRAGMA query_only = ON")
        return db

    def _serve(self, db: sqlite3.Connection, jobs: list[_Job]) -> list[_Outcome]:
        outcomes = [self._answer(job) for job in jobs]
        if self._db is not None:
            roll_back(self._db)
        if not self._noted:
            self._well()
        return outcomes

    def _answer(self, job: _Job) -> _Outcome:
        try:
            db = self._db or self._database()
            if not db.in_transaction:
                db.execute("BEGIN")
            return _done(db, job)
        except Exception as error:
            # After an error SQLite answers the whole transaction with it.
            if self._db is not None and isinstance(error, sqlite3.Error):
                roll_back(self._db)
            return job.future, None, self._failure(error)

    def _between(self) -> None:
        if not self._sees_changes:
            self._give_up()


class Writer(Worker):
    """Commits writes, all that wait at once: one that fails is taken back alone. Between them it sweeps."""

    name = "writer"
    _wrote = False
    _next_sweep = 0.0

    def touch(self, db: sqlite3.Connection) -> None:
        """Write where the last write failed, to see whether that is over."""
        if self.trouble:
            db.execute(f"PRAGMA user_version = {len(SCHEMA)}")
            self._wrote = True

    def _patience(self) -> float:
        return max(0.0, self._next_sweep - time.monotonic())

    def _open(self) -> sqlite3.Connection:
        db = self._file.open_for_writing()
        # SQLite waits for a lock in longer and longer naps, which a busy process leaves no chance.
        db.execute("PRAGMA busy_timeout = 0").fetchall()
        return db

    def _serve(self, db: sqlite3.Connection, jobs: list[_Job]) -> list[_Outcome]:
        try:
            return self._together(db, jobs)
        except _NotBegun as error:
            raise error.reason from None
        except Exception as error:
            if len(jobs) == 1:
                return [(jobs[0].future, None, self._failure(error))]
            return [outcome for job in jobs for outcome in self._outcomes_of_one(job)]

    def _outcomes_of_one(self, job: _Job) -> list[_Outcome]:
        try:
            return self._serve(self._database(), [job])
        except Exception as error:
            return [(job.future, None, self._failure(error))]

    def _together(self, db: sqlite3.Connection, jobs: list[_Job]) -> list[_Outcome]:
        """One transaction; it is taken back whole where SQLite fails in it."""
        _begin(db, LOCK_WAIT)
        before, self._wrote = db.total_changes, False
        try:
            outcomes = []
            for job in jobs:
                try:
                    outcomes.append(_done(db, job))
                except ProviderError as error:
                    outcomes.append((job.future, None, error))
            db.execute("COMMIT")
        except BaseException:
            roll_back(db)
            raise
        if self._wrote or db.total_changes != before:
            self._well()
        return outcomes

    def _between(self) -> None:
        now = time.monotonic()
        if now < self._next_sweep:
            return
        self._next_sweep = now + SWEEP_EVERY
        if self._db is None:
            return
        try:
            if to_sweep(self._db):
                self._sweep(self._db)
                self._next_sweep = now + SWEEP_ON
        except _NotBegun:
            return
        except sqlite3.Error as error:
            roll_back(self._db)
            if not busy(error):
                self.trouble = str(self._failure(error))

    def _sweep(self, db: sqlite3.Connection) -> None:
        _begin(db, 0.0)
        sweep(db)
        db.execute("COMMIT")
        shrink(db)
        if not to_sweep(db):
            # What is gone from the log alone would stay in the file until the log is full.
            db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _end(self) -> None:
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        super()._end()


class _NotBegun(Exception):
    def __init__(self, reason: sqlite3.Error) -> None:
        super().__init__(reason)
        self.reason = reason


def _begin(db: sqlite3.Connection, wait: float) -> None:
    """Take the lock of the file, for which others are waited `wait` seconds."""
    until = time.monotonic() + wait
    while True:
        try:
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if not busy(error) or time.monotonic() >= until:
                raise _NotBegun(error) from error
            time.sleep(random.uniform(0.0005, 0.002))
        else:
            return


def _done(db: sqlite3.Connection, job: _Job) -> _Outcome:
    if job.future.cancelled():
        return job.future, None, _CANCELLED
    return job.future, job.work(db), None


def _deliver(outcomes: list[_Outcome]) -> None:
    for future, value, error in outcomes:
        if future.done():
            continue
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)
