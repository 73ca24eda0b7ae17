"""What goes out for one call: values in pieces that a message can carry, then streams and futures, each on its path (wrpc-1x.md §3.2)."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Coroutine, Sequence
from contextlib import aclosing
from typing import Any

from provider_sdk.context import Context
from provider_sdk.errors import DeadlineExceeded, ProviderError, Unavailable
from provider_sdk.hosts.wrpc.channels import Pending
from provider_sdk.transport.base import ENDS_WITHIN, Transport

log = logging.getLogger("provider.calls")

AHEAD = 4 << 20
TAKEN_WITHIN = 30.0
# The NATS server slows a fast sender down message by message. Large ones would fill the 64 MiB that it keeps for a slow reader before that
# helps, and the reader loses its connection with all that goes over it.
LARGEST_PIECE = 64 << 10
NOBODY_WITHIN = 0.5
"""Seconds in which the NATS server says that nobody listens."""
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 2.0
_aside: set[asyncio.Task[None]] = set()


class _Way:
    """One path, over the connection on which it begins: what an earlier one has lost would be a gap that the other side does not see."""

    def __init__(self, transport: Transport, subject: str) -> None:
        self._transport = transport
        self._subject = subject
        self._losses = transport.losses
        self._ahead = 0
        self.limit = min(LARGEST_PIECE, transport.max_payload)

    async def send(self, piece: bytes | memoryview) -> None:
        """Send a piece of 1 to `limit` bytes, or the end."""
        transport = self._transport
        await transport.publish(self._subject, piece, within=TAKEN_WITHIN, losses=self._losses)
        self._ahead += len(piece)
        if self._ahead > AHEAD:
            # The other side cannot say that it is slow, but the server takes less from who sends more than is taken.
            await transport.flush(TAKEN_WITHIN)
            self._ahead = 0

    def end_early(self, cut: bytes = b"") -> None:
        """End the path so that the other side sees it: at once, or as soon as that is possible. Who was sending does not wait for it."""
        transport, left = self._transport, [cut, b""] if cut else [b""]
        # Behind a lost connection the other side may be back later than we are.
        while left and transport.losses == self._losses and transport.send(self._subject, left[0]):
            del left[0]
        if left:
            _do_aside(_end_later(transport, self._subject, left))


async def send_value(transport: Transport, subject: str, data: bytes | memoryview) -> None:
    """Send the values on their root subject, and its end. Unavailable, behind an early end, where the connection was lost on the way."""
    way = _Way(transport, subject)
    try:
        if len(data) > transport.max_payload:
            view = memoryview(data)
            for start in range(0, len(view), way.limit):
                await way.send(view[start : start + way.limit])
        elif data:
            await transport.publish(subject, data, within=ENDS_WITHIN)
        await transport.publish(subject, b"", within=ENDS_WITHIN)
    except BaseException:
        way.end_early()
        raise


def end_early(transport: Transport, subject: str, cut: bytes = b"") -> None:
    """End a path of which nothing was sent yet."""
    _Way(transport, subject).end_early(cut)


def _do_aside(work: Coroutine[Any, Any, None]) -> None:
    """Do what nobody waits for."""
    task = asyncio.create_task(work, name="end of what broke off")
    _aside.add(task)
    task.add_done_callback(_aside.discard)


async def _end_later(transport: Transport, subject: str, left: list[bytes]) -> None:
    try:
        await reach(transport, subject, left[0])
        for data in left[1:]:
            await transport.publish(subject, data, within=ENDS_WITHIN)
    except ProviderError as error:
        log.warning("%s: the other side cannot be told that it broke off: %s", subject, error)


async def reach(transport: Transport, subject: str, data: bytes) -> None:
    """Send to who may be back later than we are: again, for ENDS_WITHIN, where the NATS server says that nobody listens. ProviderError."""
    loop = asyncio.get_running_loop()
    until, pause = loop.time() + ENDS_WITHIN, FIRST_PAUSE
    while True:
        try:
            await transport.request(subject, data, timeout=NOBODY_WITHIN)
            return
        except DeadlineExceeded:  # somebody has it, and has no answer to it
            return
        except Unavailable:
            if loop.time() > until:
                raise
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)


async def send_pending(transport: Transport, root: str, pending: list[Pending]) -> None:
    """Send streams and futures, all at once, and those that they turn out to hold; what one raises is raised when all have ended."""
    await _Sending(transport, root, pending).run()


def break_off(transport: Transport, root: str, pending: Sequence[Pending]) -> None:
    """End the paths of what will not be sent."""
    for item in pending:
        end_early(transport, f"{root}.{item.path}", item.cut)


async def discard(pending: Sequence[Pending]) -> None:
    """Let go of sources that will not be sent: a coroutine that is never awaited draws a warning, a file stays open."""
    for item in pending:
        for name in ("aclose", "close", "cancel"):
            end = getattr(item.source, name, None)
            if end is not None:
                ended = end()
                if inspect.isawaitable(ended):
                    await ended
                break


def discard_aside(pending: Sequence[Pending]) -> None:
    """`discard`, where that cannot be waited for."""
    if pending:
        _do_aside(discard(pending))


class _Sending:
    def __init__(self, transport: Transport, root: str, pending: list[Pending]) -> None:
        self._transport = transport
        self._root = root
        self._pending = pending
        self._tasks: list[asyncio.Task[None]] = []
        self._begun: set[int] = set()

    async def run(self) -> None:
        self._begin()
        try:
            while waiting := [task for task in self._tasks if not task.done()]:
                await asyncio.wait(waiting)
        finally:
            for task in self._tasks:
                task.cancel()
            outcomes = await asyncio.gather(*self._tasks, return_exceptions=True)
            # A task that was cancelled before its first step has done nothing, and what a value at fault held has none.
            unsent = [item for item in self._pending if id(item) not in self._begun]
            break_off(self._transport, self._root, unsent)
            await discard(unsent)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    def _begin(self) -> None:
        """Start what has been added: an item of a stream may be a stream."""
        for item in self._pending[len(self._tasks) :]:
            self._tasks.append(asyncio.create_task(self._send(item), name=f"stream {item.path}"))

    async def _send(self, item: Pending) -> None:
        """One path to its end. One that is broken off, by its source or by who stops it, ends early in a way that the other side sees."""
        self._begun.add(id(item))
        Context.lift_deadline()
        subject = f"{self._root}.{item.path}"
        way = _Way(self._transport, subject)
        try:
            async with aclosing(item.pieces(way.limit)) as pieces:
                async for piece in pieces:
                    self._begin()
                    await way.send(piece)
            await way.send(b"")
        except BaseException as error:
            if isinstance(error, ProviderError):
                log.debug("%s: broken off: %s", subject, error)
            way.end_early(item.cut)
            raise
