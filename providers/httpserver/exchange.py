"""One request on its way: who asks, what is asked, and its body as it arrives."""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from typing import TYPE_CHECKING

from aiohttp import StreamReader
from aiohttp.web import RequestPayloadError

from providers.httpserver.answer import Answer
from providers.httpserver.pages import page

if TYPE_CHECKING:
    from providers.httpserver.forwarded import Client, Proxies
    from providers.httpserver.limits import Budget
    from providers.httpserver.request import Request

_UNPRINTABLE = re.compile(r"[^\t\x20-\x7e]")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
OF_THE_CONNECTION = frozenset(
    ("connection", "expect", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings")
)
"""Header names that mean this hop only (RFC 9110 §7.6.1)."""


class Refused(Exception):
    """The request is answered here and now."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Exchange:
    """A request and what is known of it. `cut` says that it is out of time: it is answered 503."""

    __slots__ = ("_budget", "_held", "client", "connection", "cut", "method", "path", "request", "request_id", "since", "task")

    def __init__(self, request: Request, budget: Budget) -> None:
        self.request = request
        self.connection = request.connection
        self.method = request.method
        self.path = request.path
        self.client: Client | None = None
        self.request_id = ""
        self.since = self.connection.now()
        self.task: asyncio.Task[object] | None = None
        self.cut = False
        self._budget = budget
        self._held = 0

    def refuse(self, status: int, *, detail: str = "", end: bool = False) -> Refused:
        """An error that answers with the page of `status`."""
        return Refused(self.page(status, detail=detail, end=end))

    def page(self, status: int, *, detail: str = "", end: bool = False) -> Answer:
        """The page of `status` in the form that the client prefers."""
        return page(status, self.request.headers.get("Accept", ""), self.request_id, detail=detail, end=end)

    def header(self, proxies: Proxies) -> dict[str, list[str]]:
        """Header lines by name in lower case, without those of the connection and values of other than visible ASCII (§8.1)."""
        dropped = OF_THE_CONNECTION
        named = self.request.headers.get("Connection")
        if named is not None and named.lower() not in ("keep-alive", "close"):
            dropped = dropped | {name.strip().lower() for name in named.split(",")} - {"host"}
        peer = self.connection.peer
        header: dict[str, list[str]] = {}
        for given, value in self.request.headers.items():
            name = given.lower()
            if name in dropped or proxies.keeps_out(name, peer):
                continue
            if not (value.isascii() and value.isprintable()) and _UNPRINTABLE.search(value):
                continue
            if name in header:
                header[name].append(value)
            else:
                header[name] = [value]
        if self.request.authority:
            header["host"] = [self.request.authority]
        if self.client is not None:
            header.update(proxies.header(self.client))
        return header

    def client_certificate(self) -> str:
        """The client's certificate as a Client-Cert header's value (RFC 9440), empty where there is none."""
        found = self.connection.tls_object()
        der = found.getpeercert(binary_form=True) if isinstance(found, ssl.SSLObject) else None
        return f":{base64.b64encode(der).decode()}:" if der else ""

    async def body(self, longest: int, memory: int) -> bytes:
        """The whole body; Refused where it is too long, too slow, broken off or more than memory has room for."""
        request = self.request
        length = request.length
        if length is not None and length > longest:
            raise self.refuse(413, end=True)
        content = request.content
        if content.is_eof() and not content.total_bytes and content.exception() is None:
            return b""
        self._meet_expectation(content)
        limits, parts, received, counted = self.connection.limits, list[bytes](), 0, 0
        least = limits.min_rate * limits.body_timeout
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(limits.body_timeout) as deadline:
                async for part in content.iter_any():
                    received += len(part)
                    if received > longest:
                        raise self.refuse(413, end=True)
                    self._hold(len(part), memory)
                    parts.append(part)
                    if received - counted >= least:
                        counted = received
                        deadline.reschedule(loop.time() + limits.body_timeout)
        except TimeoutError:
            self.connection.impatient = True
            raise self.refuse(408, end=True) from None
        except (RequestPayloadError, OSError, RuntimeError):
            # RuntimeError is aiohttp's word for a connection that is closed. The error refers to this frame, and to itself.
            parts.clear()
            raise self.refuse(400, detail="The body is not what its headers say.", end=True) from None
        if content.exception() is not None:
            raise self.refuse(400, detail="The body is not what its headers say.", end=True)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def hold_answer(self, size: int, memory: int) -> None:
        """Count a response's body as held until the exchange is over; Refused where memory has no room."""
        self._hold(size, memory)

    def over(self) -> None:
        """Nothing of it is held any more."""
        self._budget.give_back(self._held)
        self._held = 0

    def _hold(self, size: int, memory: int) -> None:
        if not self._budget.take(size, memory):
            raise self.refuse(503, end=True)
        self._held += size

    def _meet_expectation(self, content: StreamReader) -> None:
        expected = self.request.headers.get("Expect")
        if expected is None or self.request.version < (1, 1):
            return
        if expected.lower() != "100-continue":
            raise self.refuse(417, end=True)
        if not content.total_bytes and self.connection.transport is not None:
            self.connection.transport.write(_CONTINUE)
