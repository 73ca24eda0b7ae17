"""A request's body that is handed on as it arrives, under the limits that count for a whole one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from aiohttp.web import RequestPayloadError

from provider_sdk import Unavailable
from providers.httpserver.answer import Refused

if TYPE_CHECKING:
    from providers.httpserver.exchange import Exchange

LEAST_WAIT = 0.001


class Upload(AsyncIterator[bytes]):
    """The parts of one body, for one reader. The client's pace is measured only while it is waited for: the reader may take its time.

    `failure` is what the client is answered where the body is too long, too slow, broken off, or more than memory has room for; the
    reader gets Unavailable then. `over` is done when nobody reads any more: at the end, behind a failure, or when the reader left.
    """

    def __init__(self, exchange: Exchange, longest: int, memory: int) -> None:
        self.failure: Refused | None = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._exchange = exchange
        self._content = exchange.request.content
        self._limits = exchange.connection.limits
        self._longest, self._memory = longest, memory
        self._received = 0
        self._held = 0
        self._reading = False
        # Of the present span: how long the client was waited for, and what came in it.
        self._waited, self._came = 0.0, 0

    async def __anext__(self) -> bytes:
        self._let_go()
        if self.over.done():
            raise StopAsyncIteration
        self._reading = True
        try:
            part = await self._next()
        except BaseException:
            self._end()
            raise
        finally:
            self._reading = False
        if not part:
            self._end()
            raise StopAsyncIteration
        return part

    async def aclose(self) -> None:
        """The reader wants no more. One that is reading is about to be cancelled, and over then."""
        if not self._reading:
            self._let_go()
            self._end()

    async def _next(self) -> bytes:
        try:
            part = await self._read()
            self._received += len(part)
            if self._received > self._longest:
                raise self._exchange.refuse(413, end=True)
            self._exchange.hold(len(part), self._memory)
        except Refused as refused:
            self.failure = refused
            raise Unavailable(f"the request's body broke off: {refused.answer.status}") from None
        self._held = len(part)
        return part

    async def _read(self) -> bytes:
        exchange, span, clock = self._exchange, self._limits.body_timeout, asyncio.get_running_loop().time
        since = clock()
        try:
            async with asyncio.timeout(max(LEAST_WAIT, span - self._waited)):
                part = await self._content.readany()
        except TimeoutError:
            exchange.connection.impatient = True
            raise exchange.refuse(408, end=True) from None
        except (RequestPayloadError, OSError, RuntimeError):
            raise exchange.broken_off() from None
        if not part and self._content.exception() is not None:
            raise exchange.broken_off()
        self._waited += clock() - since
        self._came += len(part)
        if self._came >= self._limits.min_rate * span:
            self._waited, self._came = 0.0, 0
        return part

    def _let_go(self) -> None:
        self._exchange.let_go(self._held)
        self._held = 0

    def _end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)


async def nothing() -> AsyncIterator[bytes]:
    """The body of a request without one."""
    parts: tuple[bytes, ...] = ()
    for part in parts:
        yield part
