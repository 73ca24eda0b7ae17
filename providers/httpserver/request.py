"""aiohttp's request, with what it keeps of the first line and the headers as they came."""

from __future__ import annotations

import asyncio
import re

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage

from providers.httpserver.routes import plain_host

_HOST = re.compile(r"([A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")


class Request(web.BaseRequest):
    """One request. `target`, `path_text` (still percent-encoded) and `query_text` (without `?`) are what the client sent."""

    def __init__(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> None:
        super().__init__(message, payload, protocol, writer, task, asyncio.get_running_loop())
        self.target = target = message.path
        if target[0] == "/":
            self.path_text, _, self.query_text = target.partition("?")
        else:
            self.path_text, self.query_text = _path_and_query(target)

    @property
    def upgrades(self) -> bool:
        """Whether it asks for another protocol."""
        return bool(self._message.upgrade)

    @property
    def expects(self) -> bool:
        """Whether it has an Expect header."""
        return "Expect" in self.headers

    def asked_host(self) -> str | None:
        """The host that is asked for, as `bare_host` gives it; HTTP/1.0 need not name any."""
        url = self._message.url
        if url.absolute and url.raw_host:
            return plain_host(url.raw_host)
        return bare_host(self.headers.get("Host", ""))

    def head_size(self) -> int:
        """Bytes of all headers."""
        return sum(len(name) + len(value) + 4 for name, value in self._message.raw_headers)


def bare_host(given: str) -> str | None:
    """`Example.com:80` as `example.com`, as `plain_host` has it; None for what cannot be a host."""
    match = _HOST.fullmatch(given)
    return None if match is None else plain_host(match[1])


def _path_and_query(target: str) -> tuple[str, str]:
    """Of the absolute form (RFC 9112 §3.2.2), whose path may be empty, or of `*`."""
    rest = target.partition("://")[2]
    if not rest:
        return target, ""
    start = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    path, _, query = rest[start:].partition("?")
    return path or "/", query
