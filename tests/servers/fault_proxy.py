"""A proxy before a registry that loses, cuts, delays and falsifies what a test tells it to, and counts what passes."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECE = 1 << 14
_HOP = {"connection", "transfer-encoding", "keep-alive"}


@dataclass(frozen=True)
class Seen:
    """A request that came."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Fault:
    """What is done with a request: answered by the proxy itself, or cut after so many bytes of a body, or changed on its way."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut_request: int | None = None
    cut_response: int | None = None
    lose_answer: bool = False
    length: int | None = None
    flip: bool = False
    change: Mapping[str, str | None] = field(default_factory=dict)
    seconds: float = 0.0


Script = Callable[[Seen], "Fault | None"]


@dataclass(eq=False)
class FaultProxy:
    """The proxy of one registry. `script` is asked for each request; `up` and `down` are bytes of bodies that passed."""

    upstream: str
    host: str = ""
    script: Script = field(default=lambda seen: None)
    seen: list[Seen] = field(default_factory=list)
    up: int = 0
    down: int = 0

    def methods(self, *wanted: str) -> list[str]:
        """The methods that came, in order, or those of them that are wanted."""
        return [one.method for one in self.seen if not wanted or one.method in wanted]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def any(self) -> None:
        seen = Seen(self.command, self.path, dict(self.headers))
        self.server.proxy.seen.append(seen)
        fault = self.server.proxy.script(seen) or Fault()
        time.sleep(fault.seconds)
        with suppress(OSError, http.client.HTTPException):
            if fault.status:
                self._answer(fault)
            else:
                self._pass_on(fault)
            return
        self._cut()

    def _answer(self, fault: Fault) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(fault.status)
        headers = {"Content-Length": str(len(fault.body)), **fault.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(fault.body)

    def _pass_on(self, fault: Fault) -> None:
        upstream = http.client.HTTPConnection(self.server.proxy.upstream, timeout=30)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                upstream.putheader(name, value)
            upstream.endheaders()
            if not self._send(upstream, fault):
                self._cut()
                return
            response = upstream.getresponse()
            with response:
                if fault.lose_answer:
                    self._cut()
                else:
                    self._bring(response, fault)
        finally:
            upstream.close()

    def _send(self, upstream: http.client.HTTPConnection, fault: Fault) -> bool:
        left = int(self.headers.get("Content-Length", 0))
        most = left if fault.cut_request is None else min(left, fault.cut_request)
        sent = 0
        while sent < most:
            piece = self.rfile.read(min(PIECE, most - sent))
            if not piece:
                return False
            upstream.send(piece)
            sent += len(piece)
            self.server.proxy.up += len(piece)
        return fault.cut_request is None

    def _bring(self, response: http.client.HTTPResponse, fault: Fault) -> None:
        self.send_response(response.status)
        names = {name.lower() for name in fault.change}
        for name, value in response.getheaders():
            if name.lower() not in _HOP | names and not (fault.length is not None and name.lower() == "content-length"):
                self.send_header(name, value)
        for name, changed in fault.change.items():
            if changed is not None:
                self.send_header(name, changed)
        if fault.length is not None:
            self.send_header("Content-Length", str(fault.length))
        elif response.length is None and self.command != "HEAD":
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        brought = 0
        while piece := response.read(PIECE):
            if fault.cut_response is not None:
                piece = piece[: max(0, fault.cut_response - brought)]
            if fault.flip and not brought:
                piece = bytes([piece[0] ^ 1]) + piece[1:]
            self.wfile.write(piece)
            brought += len(piece)
            self.server.proxy.down += len(piece)
            if fault.cut_response is not None and brought >= fault.cut_response:
                self._cut()
                return
        if fault.length is not None:
            self._cut()

    def _cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *arguments: object) -> None:
        """Be quiet."""


for _method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
    setattr(_Handler, f"do_{_method}", _Handler.any)


@contextmanager
def fault_proxy(upstream: str) -> Iterator[FaultProxy]:
    """A proxy on loopback, before a registry there."""
    proxy = FaultProxy(upstream)
    with _Server(proxy) as server:
        proxy.host = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
