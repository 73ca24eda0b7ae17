"""A response whose body comes while it is sent: no faster than the client takes it, and never ended cleanly where it broke off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from provider_sdk import ProviderError
from providers.httpserver.answer import AT_ONCE, SLICE, Answer, Lines

if TYPE_CHECKING:
    from providers.httpserver.connection import Connection
    from providers.httpserver.exchange import Exchange
    from providers.httpserver.request import Request

log = logging.getLogger("provider.http")

_LAST_CHUNK = b"0\r\n\r\n"


class BrokenOff(Exception):
    """The body is not what the head has promised."""


class StreamedAnswer(Answer):
    """The response of one exchange with its body still to come; `close` is called when nothing more is wanted of its source.

    The length is what the program's content-length says; without one the body goes in chunks, to HTTP/1.0 up to the end of the connection.
    """

    comes_later = True

    __slots__ = ("_exchange", "body", "close")

    def __init__(self, status: int, header: Lines, exchange: Exchange, body: AsyncIterator[bytes], close: Callable[[], None]) -> None:
        super().__init__(status, header)
        self.body = body
        self.close = close
        self._exchange = exchange

    @property
    def length(self) -> int | None:
        """Bytes of the whole body where the program says it."""
        said = {value for name, value in self.lines if name == "content-length"}
        text = said.pop() if len(said) == 1 else ""
        return int(text) if text.isdecimal() and text.isascii() else None

    async def write(self, connection: Connection, request: Request | None) -> bool:
        """See Answer. A body that breaks off, or is not as long as was said, ends the connection as an error."""
        try:
            return await self._write(connection, request)
        except (BrokenOff, ProviderError) as error:
            log.warning("%s: the response's body broke off after %d bytes: %s", connection.peer, self.sent, error)
            connection.cut_off()
            raise ConnectionResetError("the response broke off") from None
        except asyncio.CancelledError:
            connection.cut_off()
            raise
        finally:
            connection.streams = False

    async def _write(self, connection: Connection, request: Request | None) -> bool:
        transport = connection.transport
        if transport is None or transport.is_closing() or request is None:
            raise ConnectionResetError("the client has gone")
        bodiless, chunked = self._bodiless(request), self._goes_in_chunks(request)
        keep = self._keeps(connection, request) and (chunked or bodiless or self.length is not None)
        writing = Writing(connection, transport)
        try:
            await writing.put(self._head(request, keep))
            if not bodiless:
                connection.streams = True
                await self._send(writing, chunked)
            await writing.flush()
        finally:
            writing.end()
        return keep

    def _goes_in_chunks(self, request: Request | None) -> bool:
        return self.length is None and not self._bodiless(request) and request is not None and request.version >= (1, 1)

    def _framing(self, request: Request | None, length: str | None) -> str:
        known = self.length
        if self.status == 204:
            return ""
        if known is not None:
            return f"content-length: {known}\r\n"
        return "transfer-encoding: chunked\r\n" if self._goes_in_chunks(request) else ""

    async def _send(self, writing: Writing, chunked: bool) -> None:
        exchange, length = self._exchange, self.length
        async for part in self.body:
            if length is not None and self.sent + len(part) > length:
                raise BrokenOff(f"it was to be {length} bytes long, and more came")
            exchange.count(len(part))
            for start in range(0, len(part), SLICE):
                piece = part[start : start + SLICE]
                await writing.put(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                self.sent += len(piece)
            exchange.let_go(len(part))
        if length is not None and self.sent < length:
            raise BrokenOff(f"it was to be {length} bytes long")
        if chunked:
            await writing.put(_LAST_CHUNK)


class Writing:
    """Writes to one client: what comes in one turn of the loop goes in one piece, and no more is taken than the client takes."""

    def __init__(self, connection: Connection, transport: asyncio.Transport) -> None:
        self._connection = connection
        self._transport = transport
        self._waiting: list[bytes] = []
        self._size = 0
        self._turn: asyncio.Handle | None = None

    async def put(self, data: bytes) -> None:
        """Write `data`, within this turn of the loop at the latest; waits where the system has not taken what was before."""
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= AT_ONCE or self._transport.get_write_buffer_size():
            await self.flush()
        elif self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._hand_over)

    async def flush(self) -> None:
        """Write what waits, and wait until the system has taken all."""
        self._hand_over()
        if self._transport.get_write_buffer_size():
            await self._connection.drain()

    def end(self) -> None:
        """Nothing more is written."""
        self._waiting.clear()
        if self._turn is not None:
            self._turn.cancel()

    def _hand_over(self) -> None:
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        if self._waiting and not self._transport.is_closing():
            self._transport.write(self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting))
            self._connection.pace.watch(self._size)
        self._waiting.clear()
        self._size = 0
