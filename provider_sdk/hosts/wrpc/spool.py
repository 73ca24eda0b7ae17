"""Bytes that have come and were not read yet: in memory, then in a file without a name, then no more (the wire has no flow control).

The file's work is done in threads; what waits for that is in memory, and counts as such.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import deque
from contextlib import suppress
from pathlib import Path

from provider_sdk.errors import ResourceExhausted
from provider_sdk.hosts.base import StreamLimits

SHARE = 8
"""A stream takes at most this part of the memory of all."""
READ = 1 << 20


class Budget:
    """What all streams of a process hold together."""

    def __init__(self, limits: StreamLimits) -> None:
        self.limits = limits
        self.memory = 0
        self.spooled = 0


class Spool:
    """The unread bytes of one stream, in order: those in memory at the front, those in the file behind, those on their way there last."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._front: deque[bytes] = deque()
        self._front_size = 0
        self._back: list[bytes] = []
        self._back_size = 0
        self._file: int | None = None
        self._written = self._taken = 0
        self._moving: asyncio.Task[None] | None = None
        self._error: OSError | None = None

    def __bool__(self) -> bool:
        return bool(self._front or self._back or self._written > self._taken)

    def put(self, data: bytes) -> None:
        """Append; ResourceExhausted where neither memory nor file may hold it."""
        budget, limits = self._budget, self._budget.limits
        filed = self._file is not None and (self._back or self._written > self._taken)
        if not filed and self._front_size < limits.memory // SHARE and budget.memory < limits.memory:
            self._front.append(data)
            self._front_size += len(data)
        elif budget.spooled + len(data) > limits.spool or self._back_size > limits.memory or self._error is not None:
            why = f" ({self._error.strerror})" if self._error is not None else ""
            raise ResourceExhausted(f"a stream came faster than it was read: no more room for it in memory and files{why}")
        else:
            budget.spooled += len(data)
            self._back.append(data)
            self._back_size += len(data)
            if self._moving is None:
                self._moving = asyncio.get_running_loop().create_task(self._move(), name="spool")
        budget.memory += len(data)

    async def take(self) -> bytes:
        """Some of the first bytes; none where there are none."""
        if self._front:
            data = self._front.popleft()
            self._front_size -= len(data)
            self._budget.memory -= len(data)
            return data
        if self._written > self._taken:
            assert self._file is not None
            size = min(READ, self._written - self._taken)
            data = await asyncio.to_thread(os.pread, self._file, size, self._taken)
            self._taken += len(data)
            self._budget.spooled -= len(data)
            return data
        if self._moving is not None:
            await asyncio.wait([self._moving])
            if self._written > self._taken:
                return await self.take()
        if self._error is not None:
            raise ResourceExhausted(f"a stream could not be kept in a file: {self._error.strerror}") from self._error
        return b""

    async def _move(self) -> None:
        """Write what waits, and what comes meanwhile."""
        try:
            if self._file is None:
                self._file = await asyncio.to_thread(_unnamed_file)
            while self._back:
                pieces, size = self._back, self._back_size
                self._back, self._back_size = [], 0
                try:
                    await asyncio.to_thread(_write, self._file, pieces, self._written)
                finally:
                    self._budget.memory -= size
                self._written += size
        except OSError as error:
            self._error = error
        finally:
            self._moving = None

    def close(self) -> None:
        """Let go of everything."""
        self._budget.memory -= self._front_size + self._back_size
        self._budget.spooled -= self._written - self._taken + self._back_size
        self._front.clear()
        self._back.clear()
        self._front_size = self._back_size = 0
        self._taken = self._written
        if self._moving is not None:
            self._moving.add_done_callback(lambda _: self._drop())
        else:
            self._drop()

    def _drop(self) -> None:
        self._budget.spooled -= self._written - self._taken
        self._taken = self._written
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
            self._file = None


def _unnamed_file() -> int:
    """A file that nobody can find, and that is gone with the process."""
    try:
        return os.open(tempfile.gettempdir(), os.O_TMPFILE | os.O_RDWR, 0o600)
    except (OSError, AttributeError):
        descriptor, name = tempfile.mkstemp(prefix="wrpc-")
        Path(name).unlink()
        return descriptor


def _write(file: int, pieces: list[bytes], offset: int) -> None:
    for piece in pieces:
        view = memoryview(piece)
        while view:
            written = os.pwrite(file, view, offset)
            offset += written
            view = view[written:]
