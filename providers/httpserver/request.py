"""A request as aiohttp's parser gives it, with its first line and headers as they came."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from aiohttp import StreamReader
from aiohttp.http import HttpVersion10, HttpVersion11, RawRequestMessage

from providers.httpserver.routes import plain_host

if TYPE_CHECKING:
    from providers.httpserver.connection import Connection
    from providers.httpserver.upload import Upload

_HOST = re.compile(r"([A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")


class Request:
    """One request. `target`, `path` (still percent-encoded) and `query` (without `?`) are what the client sent; `authority` is host and
    port of a target in absolute form, which count in place of the Host header (RFC 9112 §3.2.2). `content` is the body as it arrives,
    `upload` who reads it as it does, if anybody."""

    __slots__ = (
        "_message",
        "authority",
        "connection",
        "content",
        "headers",
        "keep_alive",
        "method",
        "path",
        "query",
        "target",
        "upload",
        "version",
    )

    def __init__(self, message: RawRequestMessage, content: StreamReader, connection: Connection) -> None:
        self._message = message
        self.connection = connection
        self.content = content
        self.upload: Upload | None = None
        self.method = message.method
        self.headers = message.headers
        self.version = message.version
        self.keep_alive = not message.should_close
        self.target = message.path
        # A target has no fragment (RFC 9112 §3.2); where one is sent, it is nobody's business here.
        target = self.target.partition("#")[0]
        self.authority = ""
        if target[0] == "/":
            self.path, _, self.query = target.partition("?")
        else:
            self.authority, self.path, self.query = _absolute(target)

    @property
    def origin_form(self) -> str:
        """Path and query as they were sent, a question mark with nothing behind it included."""
        return f"{self.path}?{self.query}" if "?" in self.target.partition("#")[0] else self.path

    @property
    def spoils(self) -> bool:
        """Whether no other request may follow, since aiohttp's parser goes wrong behind this one.

        It drops what comes in one piece with a request for another protocol, and takes the last trailer of a chunked body for a header
        of the next request.
        """
        return bool(self._message.upgrade or self._message.chunked)

    def fault(self) -> int:
        """The status that answers a version or a framing that is not taken, 0 where there is nothing to say (RFC 9112 §2.3, §6.1)."""
        if self.version not in (HttpVersion10, HttpVersion11):
            return 505
        coding = self.headers.get("Transfer-Encoding")
        if coding is None:
            return 0
        if self.version < HttpVersion11:
            return 400
        return 0 if coding.lower() == "chunked" else 501

    @property
    def length(self) -> int | None:
        """What Content-Length says, which the parser has checked."""
        given = self.headers.get("Content-Length")
        return None if given is None else int(given)

    @property
    def expects(self) -> bool:
        """Whether it has an Expect header."""
        return "Expect" in self.headers

    def asked_host(self) -> str | None:
        """The host that is asked for, as `bare_host` gives it; HTTP/1.0 need not name any."""
        return bare_host(self.authority or self.headers.get("Host", ""))

    def head_size(self) -> int:
        """Bytes of all headers."""
        return sum(len(name) + len(value) + 4 for name, value in self._message.raw_headers)


@lru_cache(maxsize=4096)
def bare_host(given: str) -> str | None:
    """`Example.com:80` as `example.com`, as `plain_host` has it; None for what cannot be a host."""
    match = _HOST.fullmatch(given)
    return None if match is None else plain_host(match[1])


def _absolute(target: str) -> tuple[str, str, str]:
    """Authority, path and query of the absolute form, whose path may be empty, or of `*`."""
    rest = target.partition("://")[2]
    if not rest:
        return "", target, ""
    start = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    path, _, query = rest[start:].partition("?")
    return rest[:start].rpartition("@")[2], path or "/", query
