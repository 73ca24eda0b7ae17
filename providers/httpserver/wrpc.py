"""HTTP as 1.x has it (wrpc-1x.md §5.1): requests to the component of a link, bodies in both directions as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from provider_sdk import DeadlineExceeded, Link, ProviderError, ResourceExhausted, Unavailable
from provider_sdk.context import Tracer
from provider_sdk.contracts import wasi_http_errors as codes
from provider_sdk.contracts.wasi_http import Http, Https, IncomingHandler, NoTrailers, Request, Response, method_of
from provider_sdk.contracts.wasi_http_errors import HttpFailure
from providers.httpserver.answer import Answer
from providers.httpserver.config import HttpServerConfig
from providers.httpserver.exchange import Exchange
from providers.httpserver.linked import LinkedSite
from providers.httpserver.streamed import StreamedAnswer
from providers.httpserver.upload import Upload

LONGEST_RUN = 600.0
"""Seconds after which 1.x hosts end a component by themselves (wrpc-1x.md §3.2, rule 15)."""

_STATUSES: dict[type[object], int] = {
    codes.HttpRequestDenied: 403,
    codes.HttpRequestLengthRequired: 411,
    codes.HttpRequestBodySize: 413,
    codes.HttpRequestUriTooLong: 414,
    codes.HttpRequestHeaderSectionSize: 431,
    codes.HttpRequestHeaderSize: 431,
    codes.HttpRequestTrailerSectionSize: 431,
    codes.HttpRequestTrailerSize: 431,
    codes.ConnectionLimitReached: 503,
    codes.LoopDetected: 508,
    **dict.fromkeys(
        (
            codes.DnsError,
            codes.DestinationNotFound,
            codes.DestinationUnavailable,
            codes.DestinationIpProhibited,
            codes.DestinationIpUnroutable,
            codes.ConnectionRefused,
            codes.ConnectionTerminated,
            codes.TlsProtocolError,
            codes.TlsCertificateError,
            codes.TlsAlertReceived,
            codes.HttpResponseIncomplete,
            codes.HttpResponseHeaderSectionSize,
            codes.HttpResponseHeaderSize,
            codes.HttpResponseBodySize,
            codes.HttpResponseTrailerSectionSize,
            codes.HttpResponseTrailerSize,
            codes.HttpResponseTransferCoding,
            codes.HttpResponseContentCoding,
        ),
        502,
    ),
    **dict.fromkeys(
        (
            codes.DnsTimeout,
            codes.ConnectionTimeout,
            codes.ConnectionReadTimeout,
            codes.ConnectionWriteTimeout,
            codes.HttpResponseTimeout,
        ),
        504,
    ),
}


class ComponentSite(LinkedSite):
    """Has the requests of one link answered by its component: each is a call."""

    def __init__(self, link: Link[HttpServerConfig], config: HttpServerConfig, tracer: Tracer) -> None:
        super().__init__(link, config, tracer)
        self._component = IncomingHandler.at(link.peer, timeout=self._timeout or LONGEST_RUN)

    async def handle(self, exchange: Exchange) -> Answer:
        """The component's response, whose body is still to come; Refused with the status that says why there is none."""
        config = self._config
        body = exchange.upload(config.max_content_len, config.max_body_memory)
        request = self._request(exchange, body)
        try:
            with self._call(exchange):
                response = await (self._asked(request, body) if isinstance(body, Upload) else self._component.handle(request))
        except ProviderError as error:
            if isinstance(body, Upload):
                await body.aclose()
                if body.failure is not None:
                    raise body.failure from None
            raise self._refused(exchange, self._status(error), error) from error
        return self._answer(exchange, response)

    async def _asked(self, request: Request, body: Upload) -> Response:
        """The response to a request with a body, which may come before that was read. Unavailable where the body broke off before."""
        call = asyncio.ensure_future(self._component.handle(request))
        try:
            await asyncio.wait((call, body.over), return_when=asyncio.FIRST_COMPLETED)
            if body.failure is None or call.done():
                return await call
            raise Unavailable("the request's body broke off")
        finally:
            if not call.done():
                call.cancel()

    def _request(self, exchange: Exchange, body: AsyncIterator[bytes]) -> Request:
        fields = exchange.fields(self._proxies)
        for name, value in self._own_header(exchange).items():
            fields[name] = [value.encode()]
        scheme = Https() if exchange.scheme == "https" else Http()
        target, method = exchange.request.origin_form, method_of(exchange.method)
        return Request(body, NoTrailers(), method, target, scheme, exchange.authority, list(fields.items()))

    def _answer(self, exchange: Exchange, response: Response) -> Answer:
        def close() -> None:
            # While the trailers are awaited, which nobody is, the request's body goes on to the component.
            for incoming in (response.body, response.trailers):
                incoming.close()  # type: ignore[union-attr]  # what a call gives has it

        try:
            given = ((name, [value.decode("utf-8", "surrogateescape") for value in values]) for name, values in response.headers)
            lines = self._lines(exchange, response.status, given)
        except BaseException:
            close()
            raise
        return StreamedAnswer(response.status, lines, exchange, response.body, close)

    def _status(self, error: ProviderError) -> int:
        if isinstance(error, HttpFailure):
            return _STATUSES.get(type(error.error), 500)
        if isinstance(error, DeadlineExceeded):
            return self._config.timeout_status
        return 503 if isinstance(error, Unavailable | ResourceExhausted) else 500
