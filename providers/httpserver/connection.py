"""One connection: bytes become requests by aiohttp's parser, under our limits and deadlines, and are answered one after the other.

aiohttp's own server makes a task, a request object, a writer and a response for each request, which costs three times what a request
costs here, and has no deadline for heads, bodies and responses.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpProcessingError, HttpRequestParser, RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.tcp_helpers import tcp_keepalive
from aiohttp.web import RequestPayloadError

from providers.httpserver.answer import Answer
from providers.httpserver.faults import Fault, fault_of
from providers.httpserver.forwarded import plain_address
from providers.httpserver.limits import Limits
from providers.httpserver.pace import Pace
from providers.httpserver.pages import page
from providers.httpserver.request import Request
from providers.httpserver.streamed import StreamedAnswer

if TYPE_CHECKING:
    from providers.httpserver.listener import Listener
    from providers.httpserver.upload import Upload

log = logging.getLogger("provider.http")

LINGER = 5.0
READ_AT_ONCE = 64 * 1024
# Requests that wait behind the one that is being answered: at the first number reading stops, at the second it goes on.
MOST_QUEUED, FEW_QUEUED = 8, 4

Item = tuple[RawRequestMessage | Fault, StreamReader]


class Connection(BaseProtocol):
    """Counts what arrives, so that a head that is late or long ends the connection.

    `impatient`: the connection is closed at once behind the response, without waiting for what the client still sends. `streams`: the
    response's body comes as it is sent, which has no point without the client.
    """

    __slots__ = (
        "_before",
        "_body",
        "_deaf",
        "_half_closed",
        "_head_bytes",
        "_head_timer",
        "_heads",
        "_idle_timer",
        "_idle_until",
        "_listener",
        "_long_head",
        "_lost",
        "_queue",
        "_release",
        "_secure",
        "_task",
        "_waiter",
        "busy",
        "impatient",
        "limits",
        "pace",
        "peer",
        "streams",
    )

    def __init__(self, listener: Listener, limits: Limits, release: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        parser = HttpRequestParser(
            self,
            loop,
            READ_AT_ONCE,
            max_line_size=limits.max_uri,
            # A line that is one byte too long for a header is told from a target that is too long by the limit in the error.
            max_field_size=limits.max_header_line + (limits.max_header_line == limits.max_uri),
            max_headers=limits.max_header_count,
            payload_exception=RequestPayloadError,
            auto_decompress=False,
            max_msg_queue_size=MOST_QUEUED,
        )
        super().__init__(loop, parser)
        self.limits = limits
        self.impatient = False
        self.busy = False
        self.streams = False
        self.peer = ""
        self.pace: Pace
        self._listener = listener
        self._release = release
        self._queue: deque[Item] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._heads = 0
        self._head_bytes = 0
        self._body: StreamReader = EMPTY_PAYLOAD
        self._long_head = False
        # How much of the next head may have come in one piece with what is before it.
        self._before = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_until = 0.0
        self._deaf = False
        self._half_closed = False
        self._lost: asyncio.Future[None] | None = None
        self._secure = False

    def stays(self, request: Request) -> bool:
        """Whether more requests may follow the one that is being answered."""
        if (self._listener.draining or self._half_closed) and not self._queue:
            return False
        # A client that waits for 100 Continue in vain may send the body or leave it: the two cannot be told apart.
        return not (request.spoils or self._secure != self._listener.secure or (request.expects and not request.content.is_eof()))

    @property
    def idle(self) -> bool:
        """Whether it has served requests and waits for the next, of which nothing has arrived."""
        return self._heads > 0 and not (self.busy or self._queue or self._head_bytes)

    @property
    def fresh(self) -> bool:
        """Whether no whole request has arrived yet."""
        return self._heads == 0

    @property
    def long_head(self) -> bool:
        """Whether the last head may be longer than max_header: it is to be measured."""
        return self._long_head

    def now(self) -> float:
        """The loop's time."""
        return self._loop.time()

    @property
    def scheme(self) -> str:
        """`http` or `https`."""
        return "https" if self._secure else "http"

    def own_address(self) -> str:
        """Address and port that the client connected to."""
        name = self.transport.get_extra_info("sockname") if self.transport is not None else None
        host, port = name[:2] if name else ("localhost", 80)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def tls_object(self) -> ssl.SSLObject | None:
        """The TLS side of the connection, if it has one."""
        return self.transport.get_extra_info("ssl_object") if self._secure and self.transport is not None else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        stream = cast("asyncio.Transport", transport)
        super().connection_made(stream)
        tcp_keepalive(stream)
        name = stream.get_extra_info("peername")
        self.peer = plain_address(name[0]) if name else ""
        self._secure = stream.get_extra_info("ssl_object") is not None
        # With no bytes kept back here, `drain` means that the system has taken all.
        stream.set_write_buffer_limits(high=0)
        self.pace = Pace(stream, self.limits)
        self._head_timer = self._loop.call_later(self.limits.header_timeout, self._head_is_late)
        self._listener.connections.add(self)
        self._task = self._loop.create_task(self._serve(), name="connection")

    def connection_lost(self, exc: BaseException | None) -> None:
        """See asyncio.Protocol."""
        self._release()
        self._listener.connections.discard(self)
        self._stop_head_timer()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self.pace.end()
        self._break_body("the client has gone")
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)
        super().connection_lost(exc)
        # The parser refers to the connection.
        self._parser = None
        self._deaf = True
        self._wake()
        if self.streams and self._task is not None:
            self._task.cancel()

    def eof_received(self) -> bool:
        """The client sends no more: what it has asked is still answered, where the transport can do that (TLS cannot)."""
        self._half_closed = True
        self._break_body("the client has ended in the middle of it")
        self._wake()
        return not self._secure and self._lost is None and (self.busy or bool(self._queue))

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._deaf or self._parser is None:
            return
        size, in_body = len(data), not self._body.is_eof()
        try:
            messages, _, _ = self._parser.feed_data(data)
        except HttpProcessingError as error:
            self._fail(fault_of(error, self.limits))
            return
        if messages:
            self._heads_arrived(messages, size)
        elif in_body:
            self._before = size
        elif data:
            self._head_bytes += size
            if self._head_timer is None:
                self._head_timer = self._loop.call_later(self.limits.header_timeout, self._head_is_late)
            if self._head_bytes > self.limits.max_header + self.limits.max_uri:
                self._fail(Fault(431))

    def _heads_arrived(self, messages: list[Item], size: int) -> None:
        self._queue.extend(messages)
        self._body = messages[-1][1]
        self._long_head = not size or self._before + self._head_bytes + size > self.limits.max_header
        self._before = size
        self._heads += len(messages)
        self._head_bytes = 0
        self._stop_head_timer()
        if len(self._queue) >= MOST_QUEUED and not self._buffer_paused:
            self._pause_reading_for_buffer()
        self._wake()

    def _fail(self, fault: Fault) -> None:
        """Answer `fault` when the requests from before are answered, and hear no more."""
        self._deaf = True
        self._stop_head_timer()
        self._break_body("it is not framed as HTTP is")
        self._queue.append((fault, EMPTY_PAYLOAD))
        self._wake()

    def _break_body(self, reason: str) -> None:
        if not self._body.is_eof():
            # A reader that the end of a chunk woke does not look for an exception again: it is told the end as well.
            self._body.set_exception(RequestPayloadError(reason))
            self._body.feed_eof()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.busy or self._queue:
            # The next request waits behind one that is being served.
            self._head_timer = self._loop.call_later(self.limits.header_timeout, self._head_is_late)
        elif self._head_bytes:
            self._fail(Fault(408))
        else:
            self.force_close()

    def _rest(self) -> None:
        """Nothing is asked for now: close the connection unless something comes within `idle_timeout`."""
        self._idle_until = self._loop.time() + self.limits.idle_timeout
        if self._idle_timer is None:
            self._idle_timer = self._loop.call_at(self._idle_until, self._has_rested)

    def _has_rested(self) -> None:
        self._idle_timer = None
        if not self.idle:
            # While a head arrives, that one's deadline counts; behind a response there is a new rest.
            return
        if self._loop.time() < self._idle_until:
            self._idle_timer = self._loop.call_at(self._idle_until, self._has_rested)
        else:
            self.force_close()

    def force_close(self) -> None:
        """Let go of the connection, once what is written is sent."""
        self._deaf = True
        self._queue.clear()
        self._wake()
        if self.transport is not None:
            self.transport.close()

    def cut_off(self) -> None:
        """End the connection as an error: the client is not to take what it has got for the whole."""
        if self.transport is not None:
            self.pace.cut_off()

    async def drain(self) -> None:
        """Wait until the system has taken what was written; ConnectionResetError where the client has gone."""
        # Its error refers to itself by way of its traceback: with ours added, that would keep the body until the next search for cycles.
        with contextlib.suppress(ConnectionError):
            await self._drain_helper()
        if self.transport is None or self.transport.is_closing():
            raise ConnectionResetError("the client has gone, or took the response too slowly")

    async def _serve(self) -> None:
        """Answer request after request."""
        try:
            while await self._asked():
                message, body = self._queue.popleft()
                self._make_room()
                self.busy = True
                if not await self._answer(message, body):
                    break
                self.busy = False
                self._rest()
        except ConnectionError:
            pass
        finally:
            self.busy = False
            if self.transport is not None:
                self.transport.close()

    async def _asked(self) -> bool:
        """Wait for a request; false where none will come."""
        while not self._queue:
            if self._deaf or self._half_closed:
                return False
            self._waiter = self._loop.create_future()
            await self._waiter
            self._waiter = None
        return True

    def _make_room(self) -> None:
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._queue) <= FEW_QUEUED:
            # What the parser holds back comes first.
            self.data_received(b"")
            if len(self._queue) < MOST_QUEUED:
                self._resume_reading_for_buffer()

    async def _answer(self, message: RawRequestMessage | Fault, body: StreamReader) -> bool:
        """Answer one request; whether the connection stays."""
        if isinstance(message, Fault):
            log.debug("%s: %d: %s", self.peer, message.status, message.reason)
            self.impatient = message.status == 408
            request, answer = None, page(message.status, detail=message.detail, end=True)
        else:
            request = Request(message, body, self)
            answer = await self._answer_of(request)
        upload = None if request is None else request.upload
        try:
            keep = await answer.write(self, request)
        finally:
            self._listener.answered(answer)
            if isinstance(answer, StreamedAnswer):
                await self._handed_on(answer, upload)
        if not keep:
            await self._part(answer, request)
        elif not body.is_eof() or body.exception() is not None:
            keep = await self._skip(body, upload)
        return keep

    async def _answer_of(self, request: Request) -> Answer:
        try:
            return await self._listener.respond(request)
        except Exception as error:
            log.error("a request failed: %s", error, exc_info=error)
            return page(500, request.headers.get("Accept", ""), end=True)

    async def _handed_on(self, answer: StreamedAnswer, upload: Upload | None) -> None:
        """Let a program that has answered have what is left of the request's body for a while, if both stay."""
        if upload is not None and self.transport is not None and not self.transport.is_closing():
            await asyncio.wait([upload.over], timeout=LINGER)
        answer.close()
        if upload is not None:
            await upload.aclose()

    async def _skip(self, body: StreamReader, upload: Upload | None) -> bool:
        """Read what is left of a body that nobody wants; false where it does not end soon."""
        try:
            async with asyncio.timeout(LINGER):
                if upload is not None:
                    await upload.aclose()
                    await asyncio.shield(upload.over)
                while not body.at_eof():
                    await body.readany()
        except (TimeoutError, RequestPayloadError):
            return False
        return body.exception() is None

    async def _part(self, answer: Answer, request: Request | None) -> None:
        """Let the client read the last response: the system takes it back where a connection is closed while the client still sends
        (RFC 9112 §9.6).
        """
        asked = request is not None and not (answer.end or request.keep_alive)
        whole = request is not None and request.content.is_eof()
        if self.transport is None or self.impatient or (whole and (asked or self._half_closed or self._listener.draining)):
            return
        self._deaf = True
        self._resume_transport_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._lost = self._loop.create_future()
        await asyncio.wait([self._lost], timeout=LINGER)
