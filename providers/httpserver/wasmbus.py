"""HTTP as the 0.x contract has it (wasmbus-0x.md §8.1): whole requests to the actor of a link, whole responses back."""

from __future__ import annotations

from provider_sdk import DeadlineExceeded, Link, ProviderError, Unavailable
from provider_sdk.context import Tracer
from provider_sdk.contracts.httpserver import HttpRequest, HttpServer
from providers.httpserver.answer import Answer
from providers.httpserver.config import HttpServerConfig
from providers.httpserver.exchange import Exchange
from providers.httpserver.linked import LinkedSite


class ActorSite(LinkedSite):
    """Has the requests of one link answered by its actor: each is a call."""

    def __init__(self, link: Link[HttpServerConfig], config: HttpServerConfig, tracer: Tracer) -> None:
        super().__init__(link, config, tracer)
        self._actor = HttpServer.at(link.peer, timeout=self._timeout)

    async def handle(self, exchange: Exchange) -> Answer:
        """The actor's response; Refused with the status that says why there is none."""
        config = self._config
        body = await exchange.body(config.max_content_len, config.max_body_memory)
        header = exchange.header(self._proxies)
        for name, value in self._own_header(exchange).items():
            header[name] = [value]
        request = HttpRequest(exchange.method, exchange.path, exchange.request.query, header, body)
        del body
        try:
            with self._call(exchange):
                response = await self._actor.handle_request(request)
        except ProviderError as error:
            raise self._refused(exchange, self._status(error), error) from error
        lines = self._lines(exchange, response.status_code, response.header.items())
        return Answer(response.status_code, lines, response.body)

    def _status(self, error: ProviderError) -> int:
        # What has a cause arose on the way; the actor's own error has none, whatever code its text ends in.
        if isinstance(error, DeadlineExceeded) and (error.__cause__ is not None):
            return self._config.timeout_status
        return 503 if isinstance(error, Unavailable) and error.__cause__ is not None else 500
