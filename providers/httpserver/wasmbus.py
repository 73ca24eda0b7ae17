"""HTTP as the 0.x contract has it (wasmbus-0x.md §8.1): whole requests to the actor of a link, whole responses back."""

from __future__ import annotations

import logging
import re

from aiohttp import web
from multidict import CIMultiDict

from provider_sdk import DeadlineExceeded, Link, ProviderError
from provider_sdk.contracts.httpserver import HttpRequest, HttpResponse, HttpServer
from providers.httpserver.config import HttpServerConfig

log = logging.getLogger("provider.http")

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNPRINTABLE = re.compile(r"[^\t\x20-\x7e]")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_OF_THE_CONNECTION = frozenset(
    ("connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)


class ActorSite:
    """What one link serves: each request is a call to its actor."""

    def __init__(self, link: Link[HttpServerConfig]) -> None:
        self._link = link
        timeout = link.config.timeout_ms
        self._actor = HttpServer.at(link.peer, timeout=None if timeout is None else timeout / 1000)

    async def respond(self, request: web.Request) -> web.Response:
        """The actor's response, or an empty one with the status that says why there is none."""
        response = await self._respond(request)
        self._link.log.debug("%s %s: %d", request.method, request.rel_url.raw_path, response.status)
        return response

    async def _respond(self, request: web.Request) -> web.Response:
        if self._link.config.readonly_mode and request.method not in ("GET", "HEAD"):
            return web.Response(status=405)
        try:
            body = await self._body(request)
        except (web.RequestPayloadError, ConnectionResetError):
            return web.Response(status=400)
        if body is None:
            return web.Response(status=413)
        try:
            return self._response(await self._actor.handle_request(http_request(request, body)))
        except DeadlineExceeded as error:
            self._link.log.warning("%s %s: 503: %s", request.method, request.rel_url.raw_path, error)
            return web.Response(status=503)
        except ProviderError as error:
            self._link.log.warning("%s %s: 500: %s", request.method, request.rel_url.raw_path, error)
            return web.Response(status=500)

    async def _body(self, request: web.Request) -> bytes | None:
        """The whole body; None for one that is longer than max_content_len."""
        limit = self._link.config.max_content_len
        if (request.content_length or 0) > limit:
            return None
        parts, length = [], 0
        async for part in request.content.iter_any():
            length += len(part)
            if length > limit:
                return None
            parts.append(part)
        return b"".join(parts)

    def _response(self, answer: HttpResponse) -> web.Response:
        if not 200 <= answer.status_code <= 999:
            self._link.log.warning("the actor answered with status %d: sent as 500", answer.status_code)
            return web.Response(status=500)
        header, left_out = response_header(answer.header, self._link.config.cache_control)
        if left_out:
            self._link.log.warning("response headers left out, since they cannot be sent: %s", ", ".join(left_out))
        response = web.Response(status=answer.status_code, headers=header, body=answer.body)
        response["given"] = frozenset(name.lower() for name in header)
        return response


def http_request(request: web.Request, body: bytes) -> HttpRequest:
    """The request as the contract has it; header values with other than visible ASCII are left out."""
    header: dict[str, list[str]] = {}
    for name, value in request.headers.items():
        if not _UNPRINTABLE.search(value):
            header.setdefault(name.lower(), []).append(value)
    url = request.rel_url
    return HttpRequest(request.method.upper(), url.raw_path or "/", url.raw_query_string, header, body)


def response_header(given: dict[str, list[str]], cache_control: str | None) -> tuple[CIMultiDict[str], list[str]]:
    """The header lines to send, without those of the connection, and the names of those that HTTP does not allow."""
    header: CIMultiDict[str] = CIMultiDict()
    left_out = []
    lines = {"cache-control": [cache_control]} if cache_control else {}
    for name, values in (lines | {name.lower(): values for name, values in given.items()}).items():
        if name in _OF_THE_CONNECTION:
            continue
        for value in values:
            if _TOKEN.fullmatch(name) and not _CONTROL.search(value):
                header.add(name, value.strip(" \t"))
            else:
                left_out.append(repr(name))
    return header, left_out
