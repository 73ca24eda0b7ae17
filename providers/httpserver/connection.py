"""One connection: aiohttp's, with the limits and deadlines that it has not, and answers of ours to what is not HTTP."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from typing import TYPE_CHECKING, Any, cast

from aiohttp import StreamReader, web
from aiohttp.http_exceptions import BadHttpMethod, BadStatusLine, HttpProcessingError, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import _ErrInfo

from providers.httpserver.answer import Answer
from providers.httpserver.forwarded import plain_address
from providers.httpserver.limits import Limits
from providers.httpserver.pace import Pace
from providers.httpserver.pages import page

if TYPE_CHECKING:
    from providers.httpserver.listener import Listener
    from providers.httpserver.request import Request

log = logging.getLogger("provider.http")

LINGER = 5.0
_UNKNOWN_METHOD = re.compile(r"""b["'][!#$%&*+.^_`|~0-9A-Za-z-]+ """)


class Connection(web.RequestHandler):
    """Counts what arrives, so that a head that is late or long ends the connection.

    `impatient`: the connection is closed at once behind the response, without waiting for what the client still sends.
    """

    __slots__ = (
        "_body",
        "_deaf",
        "_head_bytes",
        "_head_timer",
        "_heads",
        "_listener",
        "_long_head",
        "_lost",
        "_secure",
        "impatient",
        "limits",
        "pace",
        "peer",
        "release",
    )

    def __init__(self, listener: Listener, limits: Limits, release: Any) -> None:
        # A line that is one byte too long for a header is told from a target that is too long by the limit in the error.
        field = limits.max_header_line + (limits.max_header_line == limits.max_uri)
        super().__init__(
            listener.server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=limits.idle_timeout,
            access_log=None,  # type: ignore[arg-type]  # None is no access log, whatever the annotation says
            max_line_size=limits.max_uri,
            max_field_size=field,
            max_headers=limits.max_header_count,
            lingering_time=LINGER,
            auto_decompress=False,
        )
        self.limits = limits
        self.release = release
        self.impatient = False
        self.peer = ""
        self.pace: Pace
        self._listener = listener
        self._heads = 0
        self._head_bytes = 0
        self._body: StreamReader | None = None
        self._long_head = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._deaf = False
        self._lost: asyncio.Future[None] | None = None
        self._secure = False

    def stays(self, request: Request) -> bool:
        """Whether more requests may follow the one that is being answered."""
        if self._listener.draining and not self._messages:
            return False
        # A client that waits for 100 Continue in vain may send the body or leave it: the two cannot be told apart.
        return not (request.spoils or self._secure != self._listener.secure or (request.expects and not request.content.is_eof()))

    @property
    def idle(self) -> bool:
        """Whether it has served requests and waits for the next, of which nothing has arrived."""
        return self._waiter is not None and not self._waiter.done() and self._heads > 0 and not self._head_bytes

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

    def tls_object(self) -> ssl.SSLObject | None:
        """The TLS side of the connection, if it has one."""
        return None if self.transport is None else self.transport.get_extra_info("ssl_object")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        transport = cast("asyncio.Transport", transport)
        name = transport.get_extra_info("peername")
        self.peer = plain_address(name[0]) if name else ""
        self._secure = transport.get_extra_info("ssl_object") is not None
        # With no bytes kept back here, `drain` means that the system has taken all.
        transport.set_write_buffer_limits(high=0)
        self.pace = Pace(transport, self.limits)
        self._head_timer = self._loop.call_later(self.limits.header_timeout, self._head_is_late)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """See asyncio.Protocol."""
        self.release()
        self._stop_timer()
        self.pace.end()
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._deaf:
            return
        in_body = self._body is not None and not self._body.is_eof()
        super().data_received(data)
        if self._request_count != self._heads:
            self._heads_arrived(len(data))
        elif data and not in_body:
            self._head_bytes += len(data)
            if self._head_timer is None:
                self._head_timer = self._loop.call_later(self.limits.header_timeout, self._head_is_late)
            if self._head_bytes > self.limits.max_header + self.limits.max_uri:
                self._end_with(431)

    def _heads_arrived(self, size: int) -> None:
        message, body = self._messages[-1]
        if isinstance(message, _ErrInfo):
            self._deaf = True
            if self._body is not None and not self._body.is_eof():
                # A reader that the end of a chunk woke does not look for an exception again.
                self._body.set_exception(web.RequestPayloadError(message.message))
                self._body.feed_eof()
        self._body = body
        self._long_head = self._head_bytes + size > self.limits.max_header
        self._heads = self._request_count
        self._head_bytes = 0
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._request_in_progress or self._messages:
            # The next request waits behind one that is being served.
            self._head_timer = self._loop.call_later(self.limits.header_timeout, self._head_is_late)
        elif self._head_bytes:
            self._end_with(408)
        else:
            self.force_close()

    def _process_keepalive(self) -> None:
        """Close the connection if it is idle: while a head arrives, that one's deadline counts."""
        if self._head_bytes:
            self._keepalive_handle = None
        else:
            super()._process_keepalive()

    def _end_with(self, status: int) -> None:
        """Answer `status` when the requests from before are answered, and hear no more."""
        self._deaf = True
        self._stop_timer()
        self._messages.append((_ErrInfo(status, HttpProcessingError(code=status), ""), EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def part(self, answer: Answer, request: Request) -> None:
        """Let the client read the last response: the system takes it back where a connection is closed while the client still sends
        (RFC 9112 §9.6).
        """
        asked = not (answer.end or request.keep_alive)
        if self.impatient:
            self.force_close()
        elif self.transport is not None and not (request.content.is_eof() and (asked or self._listener.draining)):
            self._deaf = True
            self._resume_transport_reading()
            if self.transport.can_write_eof():
                self.transport.write_eof()
            self._lost = self._loop.create_future()
            await asyncio.wait([self._lost], timeout=LINGER)
            self.force_close()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The answer to what is not HTTP, or to a fault of ours."""
        if isinstance(exc, HttpProcessingError):
            found, detail = self._judgement(exc)
            log.debug("%s: %d: %s", self.peer, found, " ".join(str(exc).split()))
            self.impatient = found == 408
            return page(found, detail=detail, end=True)
        log.error("a request failed: %s", exc, exc_info=exc)
        return page(500, request.headers.get("Accept", ""), end=True)

    def _judgement(self, error: HttpProcessingError) -> tuple[int, str]:
        if isinstance(error, LineTooLong):
            return (414 if str(error.args[1]) == str(self.max_line_size) else 431), ""
        if type(error) is HttpProcessingError:
            return error.code, ""
        text = str(error.message)
        if "Too many headers" in text:
            return 431, ""
        if isinstance(error, BadHttpMethod):
            if "HTTPS" in text:
                return 400, "This port speaks HTTP, and the request is HTTPS."
            if _UNKNOWN_METHOD.search(text):
                return 501, ""
        if isinstance(error, BadStatusLine) and "Invalid HTTP version" in text:
            return 505, ""
        return 400, ""

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """What aiohttp calls an unhandled exception: a client that went at a bad moment is none."""
        error = kw.get("exc_info")
        if not isinstance(error, (web.RequestPayloadError, web.PayloadAccessError, ConnectionError)):
            super().log_exception(*args, **kw)

    def answered(self, answer: Answer) -> None:
        """A response has been written, or the client has gone."""
        self._listener.answered(answer)
