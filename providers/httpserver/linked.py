"""What the way to the program behind a link has in common in all generations: the call that a request becomes, and its answer's headers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from provider_sdk import Context, Link, ProviderError
from provider_sdk.context import TraceContext, Tracer
from providers.httpserver.answer import Lines, Refused
from providers.httpserver.config import HttpServerConfig
from providers.httpserver.exchange import OF_THE_CONNECTION, Exchange
from providers.httpserver.forwarded import Proxies

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class LinkedSite:
    """The program of one link, as whoever hands requests to it sees it."""

    def __init__(self, link: Link[HttpServerConfig], config: HttpServerConfig, tracer: Tracer) -> None:
        self._link = link
        self._config = config
        self._tracer = tracer
        self._proxies = Proxies.of(config)
        self._id_header = config.request_id_header.lower()
        self._timeout = None if config.timeout_ms is None else config.timeout_ms / 1000

    @contextmanager
    def _call(self, exchange: Exchange) -> Iterator[None]:
        """Make the request a call: with a name for logs and traces, and in the trace that the client began."""
        header = exchange.request.headers
        parent = header.get("Traceparent")
        trace = None if parent is None else TraceContext.parse(parent, header.get("Tracestate", ""))
        client = exchange.client.address if exchange.client else exchange.connection.peer
        context = Context(f"HTTP {exchange.method}", client, self._link.key, exchange.request_id, math.inf, trace)
        context.enter()
        if self._tracer.active:
            with self._tracer.span(context.operation, context.trace, _attributes(exchange, context)) as context.trace:
                yield
        else:
            yield

    def _refused(self, exchange: Exchange, status: int, error: ProviderError) -> Refused:
        """The answer where the program gave none; what went wrong is for the log."""
        Context.current().log.warning("%s %s: %d: %s", exchange.method, exchange.path, status, error)
        return exchange.refuse(status)

    def _own_header(self, exchange: Exchange) -> dict[str, str]:
        """What the program is told by us: the request's id, and the client's certificate where the link asks for one."""
        own = {self._id_header: exchange.request_id} if self._id_header else {}
        if self._config.tls.client_certificates != "none":
            certificate = exchange.client_certificate()
            if certificate:
                own["client-cert"] = certificate
        return own

    def _lines(self, exchange: Exchange, status: int, given: Iterable[tuple[str, list[str]]]) -> Lines:
        """The header lines of a response; Refused where the status is none."""
        if not 200 <= status <= 999:
            self._link.log.warning("%s: the answer has status %d: sent as 502", exchange.path, status)
            raise exchange.refuse(502)
        lines, left_out = response_lines(given, self._config.cache_control)
        if left_out:
            self._link.log.warning("response headers left out, since they cannot be sent: %s", ", ".join(left_out))
        return lines


def _attributes(exchange: Exchange, context: Context) -> dict[str, str]:
    """What a trace says of the request, in OpenTelemetry's words."""
    return {
        "http.request.method": exchange.method,
        "url.path": exchange.path,
        "client.address": context.caller,
        "http.request.id": exchange.request_id,
    }


def response_lines(given: Iterable[tuple[str, list[str]]], cache_control: str | None) -> tuple[Lines, list[str]]:
    """The header lines to send, without those of the connection, and the names of those that HTTP does not allow."""
    lines: Lines = []
    left_out = []
    cached = cache_control is None
    for name, values in given:
        lower = name.lower()
        if lower in OF_THE_CONNECTION:
            continue
        cached = cached or lower == "cache-control"
        known = _TOKEN.fullmatch(name) is not None
        for value in values:
            if known and ((value.isascii() and value.isprintable()) or not _CONTROL.search(value)):
                lines.append((lower, value.strip(" \t")))
            else:
                left_out.append(repr(name))
    if not cached and cache_control:
        lines.append(("cache-control", cache_control))
    return lines, left_out
