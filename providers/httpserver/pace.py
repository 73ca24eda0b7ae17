"""The pace at which a client has to take what it asked for."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import sys
import termios

from providers.httpserver.limits import Limits

CHECK_EVERY = 0.5
LONGEST = 6
# Of Linux' struct tcp_info: where tcpi_bytes_acked, its eight bytes, begins and ends.
BYTES_ACKED, TCP_INFO_SIZE = 120, 128
# Of macOS' sys/socket.h, which has no TIOCOUTQ for sockets.
SO_NWRITE = 0x1024
AT_ONCE = struct.pack("ii", 1, 0)


class Pace:
    """Cuts off a client that takes less than `min_rate` bytes a second in a span of `send_timeout` seconds.

    Taken is what the client's system has acknowledged: what waits in ours, which has room for megabytes, is not. A client's system
    takes much at once and nothing until the client has read a part of that: after a large step the span is what that step is worth
    at `min_rate`, up to six times `send_timeout`. `written` counts what it was given.
    """

    __slots__ = ("_allowed", "_goal", "_loop", "_mark", "_rate", "_since", "_span", "_timer", "_transport", "written")

    def __init__(self, transport: asyncio.Transport, limits: Limits) -> None:
        self.written = 0
        self._transport = transport
        self._span = limits.send_timeout
        self._rate = limits.min_rate
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        # For what the system still has to send after the connection has been closed.
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            last = int(LONGEST * self._span * 1000)
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, last)
        self._since = self._mark = self._goal = self._allowed = 0.0

    def watch(self, size: int) -> None:
        """Look at it until all is taken, `size` bytes more than before."""
        self.written += size
        if self._timer is None:
            self._since, self._goal = self._loop.time(), 0.0
            self._timer = self._loop.call_later(CHECK_EVERY, self._check)

    def end(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _check(self) -> None:
        self._timer = None
        with contextlib.suppress(OSError):
            waiting, taken = self._figures()
            if not waiting:
                return
            now, step = self._loop.time(), taken - self._mark
            if not 0 <= step < self._goal:
                self._since, self._mark, self._goal = now, taken, min(self._span * self._rate, waiting)
                self._allowed = min(max(step / self._rate, self._span), LONGEST * self._span)
            if now - self._since > self._allowed:
                self.cut_off()
            else:
                self._timer = self._loop.call_later(CHECK_EVERY, self._check)

    def _figures(self) -> tuple[int, int]:
        """Bytes that wait on our side, and bytes that the client's side has taken since the connection began."""
        sock = self._transport.get_extra_info("socket")
        waiting = self._transport.get_write_buffer_size() + _unacknowledged(sock)
        acknowledged = 0
        if hasattr(socket, "TCP_INFO"):
            acknowledged = int.from_bytes(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_SIZE)[BYTES_ACKED:], sys.byteorder)
        # Other systems, and some in the place of Linux, do not count.
        return waiting, acknowledged or self.written - waiting

    def cut_off(self) -> None:
        """End the connection as an error."""
        # Without lingering, or the system would go on to offer what the client does not take.
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        self._transport.abort()


def _unacknowledged(sock: socket.socket) -> int:
    if sys.platform == "darwin":
        return sock.getsockopt(socket.SOL_SOCKET, SO_NWRITE)
    return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
