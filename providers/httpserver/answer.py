"""A whole response and how it is written: one head in one piece, the body behind it no faster than the client takes it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from providers.httpserver.connection import Connection
    from providers.httpserver.request import Request

Lines = list[tuple[str, str]]
"""Header lines: name in lower case, value."""

AT_ONCE = 64 * 1024
SLICE = 256 * 1024

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_STATUS_LINES = {status: f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\n" for status in range(100, 1000)}


class Refused(Exception):
    """The request is answered here and now."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Answer:
    """A response. `header` is written as it is, but for those of the connection and the length, which belong to this class.

    `end` closes the connection behind the response; `tell` is called when it is written or cannot be; `sent` counts bytes of the body.
    `comes_later`: the body is not there yet.
    """

    comes_later = False

    __slots__ = ("end", "lines", "sent", "status", "tell", "whole")

    def __init__(self, status: int, header: Lines, body: bytes = b"", *, end: bool = False) -> None:
        self.status = status
        self.lines = header
        self.whole = body
        self.end = end
        self.sent = 0
        self.tell: Callable[[Answer], None] | None = None

    async def write(self, connection: Connection, request: Request | None) -> bool:
        """Write head and body, and whether the connection stays; ConnectionResetError where the client has gone or is too slow.

        Without a request, which is then none that can be read, the connection does not stay.
        """
        transport = connection.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        keep = self._keeps(connection, request)
        body = b"" if self._bodiless(request) else self.whole
        head = self._head(request, keep)
        if len(body) <= AT_ONCE:
            transport.write(head + body)
            connection.pace.watch(len(head) + len(body))
            self.sent = len(body)
            if transport.get_write_buffer_size():
                await connection.drain()
        else:
            transport.write(head)
            await self._write_slices(connection, transport, memoryview(body))
        return keep

    def _keeps(self, connection: Connection, request: Request | None) -> bool:
        return request is not None and request.keep_alive and not self.end and connection.stays(request)

    def _bodiless(self, request: Request | None) -> bool:
        return self.status in (204, 304) or (request is not None and request.method == "HEAD")

    def _head(self, request: Request | None, keep: bool) -> bytes:
        parts = [_STATUS_LINES[self.status]]
        dated = False
        length = None
        for name, value in self.lines:
            if name == "content-length":
                length = value
            else:
                dated = dated or name == "date"
                parts.append(f"{name}: {value}\r\n")
        parts.append(self._framing(request, length))
        if not dated:
            parts.append(_clock.line())
        if not keep:
            parts.append("connection: close\r\n")
        elif request is not None and request.version < (1, 1):
            parts.append("connection: keep-alive\r\n")
        parts.append("\r\n")
        # Bytes that are not UTF-8 are surrogates.
        return "".join(parts).encode("utf-8", "surrogateescape")

    def _framing(self, request: Request | None, length: str | None) -> str:
        """The header line that says where the body ends; `length` is what the program says."""
        if self.status == 304 or (request is not None and request.method == "HEAD" and not self.whole):
            # Of a body that is not sent, whoever made the response knows the length.
            return f"content-length: {length}\r\n" if length is not None and length.isdecimal() else ""
        return "" if self.status == 204 else f"content-length: {len(self.whole)}\r\n"

    async def _write_slices(self, connection: Connection, transport: asyncio.Transport, body: memoryview) -> None:
        for start in range(0, len(body), SLICE):
            piece = body[start : start + SLICE]
            transport.write(piece)
            connection.pace.watch(len(piece))
            self.sent += len(piece)
            if transport.get_write_buffer_size():
                await connection.drain()


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
