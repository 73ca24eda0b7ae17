"""Bytes that have come and were not read yet: in memory, then in a file without a name, then no more (the wire has no flow control).

The file is written in a thread; what waits for that is in memory, and counts as such. Where the file is slower than the network the reading
of the network waits: there is no other way to tell the sender.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

from provider_sdk.errors import ResourceExhausted
from provider_sdk.hosts.base import StreamLimits

SHARE = 8
"""A stream takes at most this part of the memory of all."""
READ = 1 << 20
LONGEST_STALL = 0.2
"""Seconds that the reading of the network may wait for the disk: the server cuts off who takes nothing while 64 MiB come."""
_threads = ThreadPoolExecutor(2, "spool")


class Budget:
    """What all streams of a process hold together, and the arguments of calls that are still coming."""

    def __init__(self, limits: StreamLimits) -> None:
        self.limits = limits
        self.memory = 0
        self.spooled = 0
        self.arguments = 0


class Spool:
    """The unread bytes of one stream, in order: those in memory at the front, those in the file behind, those on their way there last."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._loop = asyncio.get_running_loop()
        self._front: deque[bytes] = deque()
        self._front_size = 0
        self._back: list[bytes] = []
        self._back_size = 0
        self._file: int | None = None
        self._written = self._taken = 0
        self._writing: Future[int] | None = None
        self._writing_size = 0
        self._error: OSError | None = None
        self._reading = self._closed = False

    def __bool__(self) -> bool:
        return bool(self._front or self._filed)

    @property
    def _filed(self) -> bool:
        return bool(self._written > self._taken or self._writing or self._back)

    def put(self, data: bytes) -> None:
        """Append; ResourceExhausted where neither memory nor file may hold it. Waits for the file where that is slower than the network."""
        budget, limits, size = self._budget, self._budget.limits, len(data)
        if not self._filed and self._front_size < limits.memory // SHARE and budget.memory < limits.memory:
            self._front.append(data)
            self._front_size += size
            budget.memory += size
            return
        if self._error is not None:
            raise _no_file(self._error)
        if budget.spooled + size > limits.spool:
            raise ResourceExhausted("a stream came faster than it was read: no more room for it in memory and files")
        budget.spooled += size
        budget.memory += size
        self._back.append(data)
        self._back_size += size
        if self._writing is None:
            self._write()
        elif self._back_size > limits.memory // 2:
            if not wait([self._writing], LONGEST_STALL).done:
                raise ResourceExhausted("a stream came faster than it was read, and the disk that was to keep it is slower still")
            self._landed(self._writing)

    async def take(self) -> bytes:
        """Some of the first bytes; none where there are none."""
        if self._front:
            data = self._front.popleft()
            self._front_size -= len(data)
            self._budget.memory -= len(data)
            return data
        while self._written == self._taken and self._writing is not None:
            writing = self._writing
            await asyncio.wait([asyncio.wrap_future(writing)])
            self._landed(writing)
        if self._error is not None:
            raise _no_file(self._error) from self._error
        if self._written == self._taken or self._file is None:
            return b""
        size = min(READ, self._written - self._taken)
        self._reading = True
        try:
            data = await asyncio.to_thread(os.pread, self._file, size, self._taken)
        except OSError as error:
            raise _no_file(error) from error
        finally:
            self._reading = False
            if self._closed:
                self._drop()
        if self._closed:
            return b""
        self._taken += len(data)
        self._budget.spooled -= len(data)
        return data

    def _write(self) -> None:
        """Have what waits written; over what was read, where all was."""
        if self._written == self._taken:
            self._written = self._taken = 0
        pieces, self._writing_size = self._back, self._back_size
        self._back, self._back_size = [], 0
        writing = self._writing = _threads.submit(_write, self._file, pieces, self._written)
        writing.add_done_callback(self._tell)

    def _tell(self, writing: Future[int]) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._landed, writing)

    def _landed(self, writing: Future[int]) -> None:
        """What was being written is in the file, or never will be. Called once by whoever is first."""
        if writing is not self._writing:
            return
        self._writing = None
        self._budget.memory -= self._writing_size
        try:
            self._file = writing.result()
            self._written += self._writing_size
        except OSError as error:
            self._error = error
            self._budget.spooled -= self._writing_size
        if self._closed:
            self._drop()
        elif self._back and self._error is None:
            self._write()

    def close(self) -> None:
        """Let go of everything."""
        self._closed = True
        self._budget.memory -= self._front_size + self._back_size
        self._budget.spooled -= self._back_size
        self._front.clear()
        self._back.clear()
        self._front_size = self._back_size = 0
        self._drop()

    def _drop(self) -> None:
        """Let go of the file when nobody is at it any more: its number would soon be another's."""
        if self._reading or self._writing is not None:
            return
        self._budget.spooled -= self._written - self._taken
        self._taken = self._written
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
            self._file = None


def _no_file(error: OSError) -> ResourceExhausted:
    return ResourceExhausted(f"a stream came faster than it was read, and could not be kept in a file: {error.strerror}")


def _unnamed_file() -> int:
    """A file that nobody can find, and that is gone with the process."""
    try:
        return os.open(tempfile.gettempdir(), os.O_TMPFILE | os.O_RDWR, 0o600)
    except (OSError, AttributeError):
        descriptor, name = tempfile.mkstemp(prefix="wrpc-")
        Path(name).unlink()
        return descriptor


def _write(file: int | None, pieces: list[bytes], offset: int) -> int:
    """Write at `offset`; the file, which is made where there is none yet."""
    into = _unnamed_file() if file is None else file
    try:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                written = os.pwrite(into, view, offset)
                offset += written
                view = view[written:]
    except OSError:
        if file is None:
            os.close(into)
        raise
    return into
