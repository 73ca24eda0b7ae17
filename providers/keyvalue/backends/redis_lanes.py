"""Many callers on few connections: what is asked within one turn of the event loop leaves in one write, and replies come in that order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import chain
from typing import Any

import hiredis

from provider_sdk import Context, ProviderError, Unavailable
from providers.keyvalue.backends.redis_errors import not_connected, refusal

PATIENCE = 30.0
"""Seconds for what is asked outside of a call."""
SLOW = 0.025
"""A connection whose next reply takes longer than this is passed by."""
SILENT = 0.5
"""A connection on which nobody waits for the replies that are due is given up after so long."""
TICK = 0.05
LARGE = 64 << 10
_PARTIAL = object()

Reply = Any
"""bytes, int, None, a list of those, or hiredis.ReplyError."""
Dial = Callable[[], Awaitable[asyncio.StreamWriter]]


def time_left(patience: float) -> float:
    """Seconds to wait: a little less than the call has, so that its error is ours; `patience` outside of a call."""
    context = Context.or_none()
    if context is None:
        return patience
    left = context.remaining()
    return min(patience, left - min(0.2, left / 5))


class Ask:
    """One command, packed. `skip` replies come before its own; `again`: it may be sent a second time, since it changes nothing."""

    __slots__ = ("again", "early", "future", "limit", "payload", "retried", "skip")

    def __init__(self, payload: bytes, future: asyncio.Future[Reply], limit: float, again: bool, skip: int) -> None:
        self.payload = payload
        self.future = future
        self.limit = limit
        self.again = again
        self.skip = skip
        self.early = skip
        self.retried = False


class Lane(asyncio.Protocol):
    """One connection, taken over when redis-py has logged in."""

    def __init__(self, writer: asyncio.StreamWriter, node: Node) -> None:
        self._writer = writer
        self._transport = writer.transport
        self._node = node
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(errors="replace", notEnoughData=_PARTIAL)
        self.asked: deque[Ask] = deque()
        self.since = self._loop.time()
        self.lost = self._loop.create_future()
        self._transport.set_protocol(self)

    def send(self, asks: list[Ask]) -> None:
        """Write all of them at once."""
        if not self.asked:
            self.since = self._loop.time()
        self.asked.extend(asks)
        small: list[bytes] = []
        for ask in asks:
            if len(ask.payload) < LARGE:
                small.append(ask.payload)
            else:
                self._write_large(small, ask)
                small = []
        if small:
            self._transport.write(b"".join(small))

    def _write_large(self, before: list[bytes], ask: Ask) -> None:
        self._transport.write(b"".join(before))
        self._transport.write(ask.payload)
        if not ask.again:
            ask.payload = b""  # a large value is not to be held twice until its reply comes

    def data_received(self, data: bytes) -> None:
        """Hand replies to those who asked."""
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not _PARTIAL:
                self._answer(reply)
        except (hiredis.HiredisError, IndexError):
            self.abort()
            return
        self._node.readable(self)

    def _answer(self, reply: Reply) -> None:
        ask = self.asked[0]
        self.since = self._loop.time()
        if ask.early:
            ask.early -= 1
            return
        self.asked.popleft()
        if not ask.future.done():
            ask.future.set_result(reply)

    def slow(self, now: float) -> bool:
        """Whether a reply has been due for some time."""
        return bool(self.asked) and now - self.since > SLOW

    def forsaken(self, now: float) -> bool:
        """Whether nobody waits any more for what it does not answer."""
        return bool(self.asked) and now - self.since > SILENT and all(ask.future.done() for ask in self.asked)

    def eof_received(self) -> None:
        """The server is gone: this is known a turn before the transport is closed."""
        self._node.lost(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Let the node decide what becomes of what was asked."""
        if not self.lost.done():
            self.lost.set_result(None)
        self._node.lost(self)

    def close(self) -> None:
        """Say good-bye."""
        self._writer.close()

    def abort(self) -> None:
        """Break the connection."""
        self._transport.abort()


class Node:
    """One server and the connections to it, of which there are more than one only while the first is slow to answer."""

    def __init__(self, name: str, dial: Dial, connections: int) -> None:
        self.name = name
        self._dial = dial
        self._most = connections
        self._lanes: list[Lane] = []
        self._queue: list[Ask] = []
        self._dialling: asyncio.Task[None] | None = None
        self._flushing = False
        self._ticking = False
        self._closed = False

    async def ask(self, payload: bytes, again: bool = False, skip: int = 0, patience: float = PATIENCE) -> Reply:
        """The reply to a packed command. Unavailable where there is none within the call's deadline, or `patience` outside of a call."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        self._queue.append(Ask(payload, future, loop.time() + time_left(patience), again, skip))
        self._flush_soon(loop)
        if not self._ticking:
            self._ticking = True
            loop.call_later(TICK, self._tick, loop)
        return await future

    async def connection(self) -> asyncio.StreamWriter:
        """A connection of its own, for what is no question and answer; Unavailable where there is none."""
        try:
            return await self._dial()
        except Exception as error:
            raise not_connected(self.name, error) from error

    def _flush_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._flushing:
            self._flushing = True
            loop.call_soon(self._flush, loop)

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        self._flushing = False
        self._queue = [ask for ask in self._queue if not ask.future.done()]
        if not self._queue:
            return
        lane = self._free_lane(loop.time())
        if lane is not None:
            queue, self._queue = self._queue, []
            lane.send(queue)
        elif self._closed:
            self._fail_queue(Unavailable(f"redis at {self.name}: the connections are closed"))
        elif self._dialling is None:
            self._dialling = loop.create_task(self._open_lane(), name=f"connecting to {self.name}")

    def _free_lane(self, now: float) -> Lane | None:
        for lane in self._lanes:
            if not lane.slow(now):
                return lane
        return max(self._lanes, key=lambda lane: lane.since) if len(self._lanes) >= self._most else None

    async def _open_lane(self) -> None:
        Context.detach()
        try:
            self._lanes.append(Lane(await self._dial(), self))
        except Exception as error:  # whatever it is, those who wait are told
            self._fail_queue(error)
        finally:
            self._dialling = None
        if self._queue:
            self._flush_soon(asyncio.get_running_loop())

    def _fail_queue(self, error: Exception) -> None:
        queue, self._queue = self._queue, []
        if self._lanes and not self._closed:
            max(self._lanes, key=lambda lane: lane.since).send(queue)
            return
        for ask in queue:
            _fail(ask, not_connected(self.name, error))

    def readable(self, lane: Lane) -> None:
        """A connection answers: what waits for one may have it."""
        if self._queue:
            self._flush_soon(asyncio.get_running_loop())

    def lost(self, lane: Lane) -> None:
        """A connection has ended: what may be asked again is, once; of the rest nobody knows."""
        if lane in self._lanes:
            self._lanes.remove(lane)
        asked, lane.asked = lane.asked, deque()
        for ask in asked:
            if ask.again and not ask.retried and not self._closed:
                ask.retried = True
                ask.early = ask.skip
                self._queue.append(ask)
            else:
                _fail(ask, Unavailable(f"the connection to redis at {self.name} broke{_doubt(ask)}"))
        if self._queue:
            self._flush_soon(asyncio.get_running_loop())

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for ask in self._queue:
            if ask.limit <= now:
                _fail(ask, Unavailable(f"redis at {self.name} cannot be reached: no answer in time"))
        for ask in chain.from_iterable(lane.asked for lane in self._lanes):
            if ask.limit <= now:
                _fail(ask, Unavailable(f"redis at {self.name} did not answer in time{_doubt(ask)}"))
        for lane in self._lanes:
            if lane.forsaken(now):
                lane.abort()
        self._ticking = not self.idle
        if self._ticking:
            loop.call_later(TICK, self._tick, loop)

    async def trouble(self, patience: float) -> str:
        """What is wrong with the server, as a line; empty where it answers."""
        try:
            reply = await self.ask(PING, again=True, patience=patience)
        except ProviderError as error:
            return str(error)
        return str(refusal(self.name, reply)) if isinstance(reply, hiredis.ReplyError) else ""

    @property
    def idle(self) -> bool:
        """Whether nobody waits for it."""
        return not self._queue and not any(lane.asked for lane in self._lanes)

    def drop(self) -> None:
        """Break all connections: the server is no longer the one to ask."""
        for lane in list(self._lanes):
            lane.abort()
            self.lost(lane)

    async def close(self) -> None:
        """End all connections."""
        self._closed = True
        if self._dialling is not None:
            self._dialling.cancel()
        self._fail_queue(Unavailable(f"redis at {self.name}: the connections are closed"))
        lanes = list(self._lanes)
        for lane in lanes:
            lane.close()
        if lanes:
            await asyncio.wait([lane.lost for lane in lanes], timeout=SILENT)
        self.drop()


def pack(*parts: bytes | str | int) -> bytes:
    """A command in the wire's form."""
    packed: bytes = hiredis.pack_command(parts)  # type: ignore[arg-type]  # its stub says a tuple of one
    return packed


PING = pack("PING")


def _doubt(ask: Ask) -> str:
    return "" if ask.again else ": whether the operation was carried out is not known"


def _fail(ask: Ask, error: ProviderError) -> None:
    if not ask.future.done():
        ask.future.set_exception(error)
