"""HTTP as the 0.x contract has it (wasmbus-0x.md §8.1): whole requests to the actor of a link, whole responses back."""

from __future__ import annotations

import math
import re

from provider_sdk import Context, DeadlineExceeded, Link, ProviderError, Unavailable
from provider_sdk.context import TraceContext, Tracer
from provider_sdk.contracts.httpserver import HttpRequest, HttpResponse, HttpServer
from providers.httpserver.answer import Answer, Lines
from providers.httpserver.config import HttpServerConfig
from providers.httpserver.exchange import OF_THE_CONNECTION, Exchange
from providers.httpserver.forwarded import Proxies

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class ActorSite:
    """Has the requests of one link answered by its actor: each is a call."""

    def __init__(self, link: Link[HttpServerConfig], tracer: Tracer) -> None:
        self._link = link
        self._config = link.config
        self._tracer = tracer
        self._proxies = Proxies.of(link.config)
        self._id_header = link.config.request_id_header.lower()
        self._timeout = None if link.config.timeout_ms is None else link.config.timeout_ms / 1000
        self._actor = HttpServer.at(link.peer, timeout=self._timeout)

    async def handle(self, exchange: Exchange) -> Answer:
        """The actor's response; Refused with the status that says why there is none."""
        config = self._config
        body = await exchange.body(config.max_content_len, config.max_body_memory)
        request = HttpRequest(exchange.method, exchange.path, exchange.request.query, self._header(exchange), body)
        del body
        context = self._context(exchange)
        context.enter()
        try:
            if self._tracer.active:
                with self._tracer.span(context.operation, context.trace, _attributes(exchange, context)) as context.trace:
                    response = await self._actor.handle_request(request)
            else:
                response = await self._actor.handle_request(request)
        except ProviderError as error:
            status = self._status(error)
            context.log.warning("%s %s: %d: %s", exchange.method, exchange.path, status, error)
            raise exchange.refuse(status) from error
        return self._answer(exchange, response)

    def _status(self, error: ProviderError) -> int:
        # What has a cause arose on the way; the actor's own error has none, whatever code its text ends in.
        if isinstance(error, DeadlineExceeded) and (error.__cause__ is not None):
            return self._config.timeout_status
        return 503 if isinstance(error, Unavailable) and error.__cause__ is not None else 500

    def _header(self, exchange: Exchange) -> dict[str, list[str]]:
        header = exchange.header(self._proxies)
        if self._id_header:
            header[self._id_header] = [exchange.request_id]
        if self._config.tls.client_certificates != "none":
            certificate = exchange.client_certificate()
            if certificate:
                header["client-cert"] = [certificate]
        return header

    def _context(self, exchange: Exchange) -> Context:
        """The context of the call that the request becomes: a name for logs and traces, and the trace that the client began."""
        header = exchange.request.headers
        parent = header.get("Traceparent")
        trace = None if parent is None else TraceContext.parse(parent, header.get("Tracestate", ""))
        client = exchange.client.address if exchange.client else exchange.connection.peer
        return Context(f"HTTP {exchange.method}", client, self._link.key, exchange.request_id, math.inf, trace)

    def _answer(self, exchange: Exchange, response: HttpResponse) -> Answer:
        if not 200 <= response.status_code <= 999:
            self._link.log.warning("%s: the actor answered with status %d: sent as 502", exchange.path, response.status_code)
            raise exchange.refuse(502)
        lines, left_out = response_lines(response.header, self._config.cache_control)
        if left_out:
            self._link.log.warning("response headers left out, since they cannot be sent: %s", ", ".join(left_out))
        return Answer(response.status_code, lines, response.body)


def _attributes(exchange: Exchange, context: Context) -> dict[str, str]:
    """What a trace says of the request, in OpenTelemetry's words."""
    return {
        "http.request.method": exchange.method,
        "url.path": exchange.path,
        "client.address": context.caller,
        "http.request.id": exchange.request_id,
    }


def response_lines(given: dict[str, list[str]], cache_control: str | None) -> tuple[Lines, list[str]]:
    """The header lines to send, without those of the connection, and the names of those that HTTP does not allow."""
    lines: Lines = []
    left_out = []
    cached = cache_control is None
    for name, values in given.items():
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
