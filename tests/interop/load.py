"""Many HTTP calls over a few connections, each of which has a moment to be answered: a call that hangs is found, and not waited for."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

PATIENCE = 3.0
END = b"0\r\n\r\n"


@dataclass(eq=False)
class Load:
    """`calls` requests for `path` over `connections` at once. `hung` had no answer within PATIENCE, `failed` one that is no success."""

    port: int
    path: str
    calls: int
    connections: int = 32
    answered: int = 0
    hung: int = 0
    failed: list[str] = field(default_factory=list)
    begun: int = 0
    per_second: float = 0.0
    """Calls answered per second until the last was begun: behind that ever fewer connections are at work, and what hangs is awaited."""
    _started: float = 0.0

    async def run(self) -> None:
        """Make all calls."""
        self._started = time.perf_counter()
        await asyncio.gather(*(self._connection() for _ in range(min(self.connections, self.calls))))

    def begin(self) -> bool:
        """Whether there is a call left to make, which is then counted as begun."""
        if self.begun == self.calls:
            return False
        self.begun += 1
        if self.begun == self.calls:
            self.per_second = self.answered / (time.perf_counter() - self._started)
        return True

    async def _connection(self) -> None:
        loop = asyncio.get_running_loop()
        while self.begun < self.calls:
            _, caller = await loop.create_connection(lambda: _Caller(self), "127.0.0.1", self.port)
            await caller.done


class _Caller(asyncio.Protocol):
    """One connection, until it breaks, a call on it hangs, or there is nothing left to ask."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._request = f"GET {load.path} HTTP/1.1\r\nHost: probe\r\n\r\n".encode()
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self._buffer = b""
        self._waiting = False
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        if not self._load.begin():
            self._transport.close()
            return
        self._waiting = True
        self._patience = self._loop.call_later(PATIENCE, self._hangs)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._buffer.endswith(END):
            answer, self._buffer = self._buffer, b""
            self._answered(answer)

    def _answered(self, answer: bytes) -> None:
        self._rest()
        if answer.startswith(b"HTTP/1.1 200 "):
            self._load.answered += 1
        else:
            self._load.failed.append(answer.decode(errors="replace"))
        self._ask()

    def _hangs(self) -> None:
        self._rest()
        self._load.hung += 1
        self._transport.abort()

    def _rest(self) -> None:
        self._waiting = False
        if self._patience is not None:
            self._patience.cancel()

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiting:
            self._load.failed.append(f"connection lost: {error}")
        self._rest()
        self.done.set_result(None)
