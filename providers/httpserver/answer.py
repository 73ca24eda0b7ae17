"""A whole response and how it is written: one head in one piece, the body behind it no faster than the client takes it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

if TYPE_CHECKING:
    from providers.httpserver.connection import Connection
    from providers.httpserver.request import Request

Lines = list[tuple[str, str]]
"""Header lines: name in lower case, value."""

AT_ONCE = 64 * 1024
SLICE = 256 * 1024

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_STATUS_LINES = {status: f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\n" for status in range(100, 1000)}


class Answer(web.StreamResponse):
    """A response as aiohttp's server asks for it: `prepare`, `write_eof`, `keep_alive`.

    web.Response costs as much as all the rest of a request, and decides on headers that are the actor's to decide. `header` is
    written as it is, but for those of the connection and the length, which belong to this class. `end` closes the connection behind
    the response; `tell` is called when it is written or cannot be.
    """

    def __init__(self, status: int, header: Lines, body: bytes = b"", *, end: bool = False) -> None:
        super().__init__(status=status, reason="")
        self.lines = header
        self.whole = body
        self.end = end
        self.sent = 0
        self.tell: Callable[[Answer], None] | None = None
        self._request: web.BaseRequest | None = None

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """See StreamResponse."""
        self._request = request
        return None

    @property
    def prepared(self) -> bool:
        """See StreamResponse."""
        return self._request is not None

    async def write_eof(self, data: bytes = b"") -> None:
        """Write head and body, then tell; ConnectionResetError where the client has gone or takes them too slowly."""
        request = cast("Request", self._request)
        connection = cast("Connection", request.protocol)
        try:
            await self._write(connection, request)
        finally:
            connection.answered(self)
            # A task keeps its result, which would keep the task.
            self.whole, self.tell = b"", None
        if not self._keep_alive:
            await connection.part(self, request)

    async def _write(self, connection: Connection, request: Request) -> None:
        transport = connection.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        self._keep_alive = keep = bool(request.keep_alive) and not self.end and connection.stays(request)
        bodiless = request.method == "HEAD" or self.status in (204, 304)
        body = b"" if bodiless else self.whole
        head = self._head(request, keep)
        if len(body) <= AT_ONCE:
            transport.write(head + body)
            connection.pace.watch(len(head) + len(body))
            self.sent = len(body)
            await _taken(transport, request.writer)
        else:
            transport.write(head)
            await self._write_slices(connection, transport, request.writer, memoryview(body))

    def _head(self, request: web.BaseRequest, keep: bool) -> bytes:
        parts = [_STATUS_LINES[self.status]]
        dated = False
        length = None
        for name, value in self.lines:
            if name == "content-length":
                length = value
            else:
                dated = dated or name == "date"
                parts.append(f"{name}: {value}\r\n")
        if self.status == 304 or (request.method == "HEAD" and not self.whole):
            # Of a body that is not sent, whoever made the response knows the length.
            if length is not None and length.isdecimal():
                parts.append(f"content-length: {length}\r\n")
        elif self.status != 204:
            parts.append(f"content-length: {len(self.whole)}\r\n")
        if not dated:
            parts.append(_clock.line())
        if not keep:
            parts.append("connection: close\r\n")
        elif request.version < (1, 1):
            parts.append("connection: keep-alive\r\n")
        parts.append("\r\n")
        return "".join(parts).encode("utf-8", "replace")

    async def _write_slices(self, connection: Connection, transport: asyncio.Transport, writer: Any, body: memoryview) -> None:
        for start in range(0, len(body), SLICE):
            piece = body[start : start + SLICE]
            transport.write(piece)
            connection.pace.watch(len(piece))
            self.sent += len(piece)
            await _taken(transport, writer)


async def _taken(transport: asyncio.Transport, writer: Any) -> None:
    if transport.get_write_buffer_size():
        # Its error would refer to itself through the frames that it passes: the body would stay until Python's next full collection.
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        if transport.is_closing():
            raise ConnectionResetError("the client has gone, or took the response too slowly")


class _Clock:
    """The Date header line of RFC 9110 §6.6.1, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = ""

    def line(self) -> str:
        """The line, with its end."""
        now = int(time.time())
        if now != self._second:
            self._second, self._line = now, f"date: {formatdate(now, usegmt=True)}\r\n"
        return self._line


_clock = _Clock()
