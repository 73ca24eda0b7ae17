"""One request on its way: who asks, what is asked, and its body as it arrives."""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from aiohttp import StreamReader
from aiohttp.web import RequestPayloadError

from providers.httpserver.answer import Answer, Refused
from providers.httpserver.pages import page
from providers.httpserver.request import bare_host
from providers.httpserver.upload import Upload, nothing

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

    @property
    def scheme(self) -> str:
        """`http` or `https`, as a trusted proxy says or the connection is."""
        return self.client.scheme if self.client else self.connection.scheme

    @property
    def authority(self) -> str:
        """Host and port that are asked for: what a trusted proxy says, else the target, else the Host header, else where we listen."""
        asked = self.client.asked_host if self.client else ""
        asked = asked or self.request.authority or self.request.headers.get("Host", "")
        return asked if bare_host(asked) else self.connection.own_address()

    def refuse(self, status: int, *, detail: str = "", end: bool = False) -> Refused:
        """An error that answers with the page of `status`."""
        return Refused(self.page(status, detail=detail, end=end))

    def page(self, status: int, *, detail: str = "", end: bool = False) -> Answer:
        """The page of `status` in the form that the client prefers."""
        return page(status, self.request.headers.get("Accept", ""), self.request_id, detail=detail, end=end)

    def header(self, proxies: Proxies) -> dict[str, list[str]]:
        """Header lines by name in lower case, without those of the connection and values of other than visible ASCII (§8.1)."""
        dropped = self._dropped()
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

    def fields(self, proxies: Proxies) -> dict[str, list[bytes]]:
        """The same with values as they came, of whatever bytes (wrpc-1x.md §5.1)."""
        dropped, peer = self._dropped(), self.connection.peer
        fields: dict[str, list[bytes]] = {}
        for given, value in self.request.headers.items():
            name = given.lower()
            if name not in dropped and not proxies.keeps_out(name, peer):
                fields.setdefault(name, []).append(value.encode("utf-8", "surrogateescape"))
        if self.request.authority:
            fields["host"] = [self.request.authority.encode()]
        if self.client is not None:
            fields.update({name: [value.encode() for value in values] for name, values in proxies.header(self.client).items()})
        return fields

    def _dropped(self) -> frozenset[str]:
        """Names of headers that go no further."""
        named = self.request.headers.get("Connection")
        if named is None or named.lower() in ("keep-alive", "close"):
            return OF_THE_CONNECTION
        return OF_THE_CONNECTION | {name.strip().lower() for name in named.split(",")} - {"host"}

    def client_certificate(self) -> str:
        """The client's certificate as a Client-Cert header's value (RFC 9440), empty where there is none."""
        found = self.connection.tls_object()
        der = found.getpeercert(binary_form=True) if isinstance(found, ssl.SSLObject) else None
        return f":{base64.b64encode(der).decode()}:" if der else ""

    async def body(self, longest: int, memory: int) -> bytes:
        """The whole body; Refused where it is too long, too slow, broken off or more than memory has room for."""
        if not self._comes(longest):
            return b""
        content = self.request.content
        limits, parts, received, counted = self.connection.limits, list[bytes](), 0, 0
        least = limits.min_rate * limits.body_timeout
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(limits.body_timeout) as deadline:
                async for part in content.iter_any():
                    received += len(part)
                    if received > longest:
                        raise self.refuse(413, end=True)
                    self.hold(len(part), memory)
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
            raise self.broken_off() from None
        if content.exception() is not None:
            raise self.broken_off()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def upload(self, longest: int, memory: int) -> AsyncIterator[bytes]:
        """The body as it arrives, under the same limits; Refused where its headers say already that it is too long."""
        if not self._comes(longest):
            return nothing()
        self.request.upload = Upload(self, longest, memory)
        return self.request.upload

    def _comes(self, longest: int) -> bool:
        """Whether there is a body, for which the client is then told to go on if it waits for that."""
        length, content = self.request.length, self.request.content
        if length is not None and length > longest:
            raise self.refuse(413, end=True)
        if content.is_eof() and not content.total_bytes and content.exception() is None:
            return False
        self._meet_expectation(content)
        return True

    def broken_off(self) -> Refused:
        """The error of a body that ended in the middle."""
        return self.refuse(400, detail="The body is not what its headers say.", end=True)

    def hold(self, size: int, memory: int) -> None:
        """Count bytes of a body as held until `let_go`, or until the exchange is over; Refused where `memory` has no room."""
        if not self._budget.take(size, memory):
            raise self.refuse(503, end=True)
        self._held += size

    def count(self, size: int) -> None:
        """The same for what cannot be refused any more."""
        self._budget.held += size
        self._held += size

    def let_go(self, size: int) -> None:
        """Bytes that were held are handed on."""
        size = min(size, self._held)
        self._budget.give_back(size)
        self._held -= size

    def over(self) -> None:
        """Nothing of it is held any more."""
        self._budget.give_back(self._held)
        self._held = 0

    def _meet_expectation(self, content: StreamReader) -> None:
        expected = self.request.headers.get("Expect")
        if expected is None or self.request.version < (1, 1):
            return
        if expected.lower() != "100-continue":
            raise self.refuse(417, end=True)
        if not content.total_bytes and self.connection.transport is not None:
            self.connection.transport.write(_CONTINUE)
